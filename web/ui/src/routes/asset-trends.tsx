// Signal picker, range, and the stack of trends. The address holds what is chosen.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, segment } from "../api.ts";
import { t } from "../i18n/index.ts";
import { millis, moment } from "../lib/format.ts";
import { gapsWithin } from "../lib/gaps.ts";
import type { AssetDetail, Loss, TagHistory, TagValue } from "../lib/types.ts";
import { bounds, pan, parseWindow, PRESETS_S, windowQuery, zoom, type Window } from "../lib/view.ts";
import { Panel, Problem } from "../parts/common.tsx";
import { Icon } from "../parts/icons.tsx";
import { TrendPanel } from "../parts/trend.tsx";
import { query, setQuery } from "../router.ts";
import { live, now, stopped } from "../stream.ts";

const MOST_SIGNALS = 6;
const DEFAULT_SIGNALS = 3;
const REFRESH_MS = 3_000;
const MOST_GAPS = 500;

/** What explains most first: the tag of the estimate, then the largest contributions, then the rest. */
function defaultSignals(asset: AssetDetail): string[] {
  const order = [
    ...(asset.rul.available ? [asset.rul.tag] : []),
    ...asset.contributions.map(({ tag }) => tag),
    ...asset.tags.filter(({ role, is_waveform }) => role === "condition" && !is_waveform).map(({ id }) => id),
  ];
  const known = new Set(asset.tags.map(({ id }) => id));
  return [...new Set(order)].filter((id) => known.has(id)).slice(0, DEFAULT_SIGNALS);
}

function chosen(asset: AssetDetail): string[] {
  const text = query.value.get("signals");
  if (text === null) return defaultSignals(asset);
  const known = new Set(asset.tags.map(({ id }) => id));
  return text.split(",").filter((id) => known.has(id)).slice(0, MOST_SIGNALS);
}

function setWindow(view: Window): void {
  setQuery({ span: null, from: null, to: null, ...windowQuery(view) });
}

interface Loaded {
  histories: ReadonlyMap<string, TagHistory>;
  /** By signal; empty where they could not be had. */
  losses: ReadonlyMap<string, readonly Loss[]>;
  range: [number, number];
  error: ApiError | null;
}

function points(): number {
  return Math.min(800, Math.max(200, Math.round(innerWidth / 2)));
}

/** Fetches the window of every chosen signal; while it follows, again and again, but never two rounds at once. */
function useHistories(signals: readonly string[], view: Window): Loaded {
  const nowS = () => (millis(now.peek()) ?? 0) / 1_000;
  const [loaded, setLoaded] = useState<Loaded>({ histories: new Map(), losses: new Map(), range: bounds(view, nowS()), error: null });
  const key = `${signals.join()}|${JSON.stringify(view)}|${now.value === null}`;
  const round = useRef(0);
  useEffect(() => {
    if (now.peek() === null) return;
    const abort = new AbortController();
    let timer: number | undefined;
    const load = async () => {
      round.current += 1;
      const range = bounds(view, nowS());
      const search = `?from=${isoOf(range[0])}&to=${isoOf(range[1])}&points=${points()}`;
      const missing = lossesOf(signals, range, abort.signal);
      const answers = await Promise.allSettled(
        signals.map((id) => get<TagHistory>(`/tags/${segment(id)}/history${search}`, abort.signal)),
      );
      const losses = await missing;
      if (abort.signal.aborted) return;
      const histories = new Map<string, TagHistory>();
      let error: ApiError | null = null;
      answers.forEach((answer, index) => {
        const id = signals[index];
        if (answer.status === "fulfilled" && id !== undefined) histories.set(id, answer.value);
        else if (answer.status === "rejected" && answer.reason instanceof ApiError) error = answer.reason;
      });
      setLoaded((old) => ({ histories: error ? new Map([...old.histories, ...histories]) : histories, losses, range, error }));
      if (view.follow) timer = window.setTimeout(again, REFRESH_MS);
    };
    const again = () => {
      if (document.hidden || stopped.peek()) timer = window.setTimeout(again, REFRESH_MS);
      else void load();
    };
    // A drag or a row of clicks asks once, when it has come to rest.
    timer = window.setTimeout(load, round.current === 0 ? 0 : 150);
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [key]);
  return loaded;
}

/** Why data is missing. Trends are shown without, should this fail: the line has its gaps all the same. */
async function lossesOf(
  signals: readonly string[],
  [from, to]: [number, number],
  signal: AbortSignal,
): Promise<Map<string, readonly Loss[]>> {
  const window = `from=${isoOf(from)}&to=${isoOf(to)}&limit=${MOST_GAPS}`;
  const ask = (id: string) => get<{ losses: Loss[] }>(`/losses?tag=${encodeURIComponent(id)}&${window}`, signal);
  const answers = await Promise.allSettled(signals.map(ask));
  const found = new Map<string, readonly Loss[]>();
  answers.forEach((answer, index) => {
    const id = signals[index];
    if (answer.status === "fulfilled" && id !== undefined) found.set(id, answer.value.losses);
  });
  return found;
}

function isoOf(seconds: number): string {
  return encodeURIComponent(new Date(seconds * 1_000).toISOString());
}

function Signals({ tags, selected }: { tags: readonly TagValue[]; selected: readonly string[] }) {
  const full = selected.length >= MOST_SIGNALS;
  const toggle = (id: string) => {
    const next = selected.includes(id) ? selected.filter((other) => other !== id) : [...selected, id];
    setQuery({ signals: next.join() });
  };
  return (
    <div class="chips" role="group" aria-label={t.trends.signals}>
      {tags
        .filter(({ is_waveform }) => !is_waveform)
        .map((tag) => {
          const on = selected.includes(tag.id);
          return (
            <button
              key={tag.id}
              type="button"
              class="chip"
              aria-pressed={on}
              disabled={full && !on}
              title={full && !on ? t.trends.most(MOST_SIGNALS) : tag.id}
              onClick={() => toggle(tag.id)}
            >
              {tag.signal}
            </button>
          );
        })}
    </div>
  );
}

function RangeBar({ view }: { view: Window }) {
  const nowS = (millis(now.value) ?? 0) / 1_000;
  const step = (label: string, icon: "left" | "right" | "plus" | "minus", next: () => Window, disabled = false) => (
    <button type="button" class="icon-button" aria-label={label} title={label} disabled={disabled} onClick={() => setWindow(next())}>
      <Icon name={icon} />
    </button>
  );
  return (
    <div class="range-bar">
      <div class="segments" role="group" aria-label={t.trends.range}>
        {PRESETS_S.map((spanS) => (
          <button
            key={spanS}
            type="button"
            class="segment"
            aria-pressed={view.follow && view.spanS === spanS}
            onClick={() => setWindow({ follow: true, spanS })}
          >
            {t.trends.spans[spanS]}
          </button>
        ))}
      </div>
      <div class="range-steps">
        {step(t.trends.earlier, "left", () => pan(view, -0.5, nowS))}
        {step(t.trends.later, "right", () => pan(view, 0.5, nowS), view.follow)}
        {step(t.trends.zoomIn, "plus", () => zoom(view, 0.5))}
        {step(t.trends.zoomOut, "minus", () => zoom(view, 2))}
        {!view.follow && (
          <button type="button" class="button" onClick={() => setWindow({ follow: true, spanS: view.to - view.from })}>
            {t.trends.toNow}
          </button>
        )}
      </div>
    </div>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label={t.trends.legend}>
      <li>
        <span class="key key-alarm" />
        {t.trends.legendAlarm}
      </li>
      <li>
        <span class="key key-returned" />
        {t.trends.legendReturned}
      </li>
      <li>
        <span class="key key-repair" />
        {t.trends.legendRepair}
      </li>
      <li>
        <span class="key key-doubt" />
        {t.trends.legendDoubt}
      </li>
      <li>
        <span class="key key-gap" />
        {t.gaps.legend}
      </li>
    </ul>
  );
}

export function Trends({ asset }: { asset: AssetDetail }) {
  const view = parseWindow(query.value);
  const selected = chosen(asset);
  const { histories, losses, range, error } = useHistories(selected, view);
  const shown = selected.flatMap((id) => asset.tags.filter((tag) => tag.id === id));
  const custom = view.follow ? null : t.trends.custom(moment(view.from * 1_000, live.value.at), moment(view.to * 1_000, live.value.at));
  return (
    <Panel title={t.trends.title} id="trends-title" class="trends" aside={<RangeBar view={view} />}>
      <Signals tags={asset.tags} selected={selected} />
      {custom !== null && <p class="range-text">{custom}</p>}
      {error && <Problem error={error} />}
      {asset.history_error !== undefined && <p class="range-text">{asset.history_error}</p>}
      {shown.length === 0 && <p class="trend-empty">{t.trends.pick}</p>}
      {shown.map((tag, index) => (
        <TrendPanel
          key={tag.id}
          tag={tag}
          history={histories.get(tag.id) ?? null}
          marks={asset.marks}
          gaps={gapsWithin(losses.get(tag.id) ?? [], range)}
          range={range}
          last={index === shown.length - 1}
          onZoom={(from, to) => setWindow({ follow: false, from, to })}
        />
      ))}
      <Legend />
    </Panel>
  );
}
