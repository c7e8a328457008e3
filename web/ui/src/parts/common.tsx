// Small pieces every page uses.

import type { ComponentChildren } from "preact";
import type { ApiError } from "../api.ts";
import { t } from "../i18n/index.ts";
import { withUnit, quantity, millis } from "../lib/format.ts";
import type { Resource } from "../resource.ts";

/** A time as machines read it, around a time as people read it. */
export function Time({ at, children }: { at: string | null; children: ComponentChildren }) {
  const ms = millis(at);
  if (ms === null) return <span>{children}</span>;
  const iso = new Date(ms).toISOString();
  return (
    <time dateTime={iso} title={iso}>
      {children}
    </time>
  );
}

/** Number and unit, each in its own column where numbers stand under each other. */
export function Value({ value, unit, span }: { value: number | null; unit: string; span?: number | undefined }) {
  const text = quantity(value, unit, span);
  return (
    <span class="quantity">
      <span class="number">{text.number}</span> <span class="unit">{value === null ? "" : text.unit}</span>
    </span>
  );
}

/** A figure with its name below each other. */
export function Fact({ label, children, tone }: { label: string; children: ComponentChildren; tone?: "warn" | undefined }) {
  return (
    <div class={tone ? `fact fact-${tone}` : "fact"}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Panel(props: {
  title: string;
  id: string;
  class?: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class={`panel ${props.class ?? ""}`} aria-labelledby={props.id}>
      <header class="panel-head">
        <h2 id={props.id}>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

/** Nothing to show, and that is told in words. */
export function Empty({ title, hint, children }: { title: string; hint?: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {hint && <p>{hint}</p>}
      {children}
    </div>
  );
}

export function Loading() {
  return (
    <div class="loading" role="status">
      <span class="visually-hidden">{t.app.loading}</span>
      <span class="bone" />
      <span class="bone" />
      <span class="bone" />
    </div>
  );
}

/** The server's words as they are, and a way to try again. */
export function Problem({ error, retry }: { error: ApiError; retry?: () => void }) {
  return (
    <div class="problem" role="alert">
      <div>
        <p class="problem-title">{error.message}</p>
        {error.hint && <p>{error.hint}</p>}
      </div>
      {retry && (
        <button type="button" class="button" onClick={retry}>
          {t.app.retry}
        </button>
      )}
    </div>
  );
}

/** Loading, failed, or there: what has been loaded stays on the screen when a refresh fails. */
export function Loaded<T>({ of, children }: { of: Resource<T>; children: (data: T) => ComponentChildren }) {
  return (
    <>
      {of.error && <Problem error={of.error} retry={of.reload} />}
      {of.data !== null ? children(of.data) : of.error ? null : <Loading />}
    </>
  );
}

/** For sentences: "7.1 mm/s". */
export function inUnit(value: number | null, unit: string): string {
  return withUnit(value, unit);
}
