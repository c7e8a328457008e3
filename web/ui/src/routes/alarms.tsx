// Alarms: the active list with acknowledgement, and the history.

import { useEffect, useState } from "preact/hooks";
import { ApiError, post } from "../api.ts";
import { t } from "../i18n/index.ts";
import type { Alarm } from "../lib/types.ts";
import { AlarmRow, canAcknowledge } from "../parts/alarm-row.tsx";
import { Empty, Loaded, Problem } from "../parts/common.tsx";
import { Icon } from "../parts/icons.tsx";
import { toast } from "../parts/toast.tsx";
import { useResource } from "../resource.ts";
import { actor } from "../settings.ts";
import { live } from "../stream.ts";

const LIMIT = 200;

function Tabs({ tab }: { tab: "active" | "history" }) {
  const { alarmsActive } = live.value;
  return (
    <nav class="tabs" aria-label={t.alarms.tabs}>
      <a href="/alarms" aria-current={tab === "active" ? "page" : undefined}>
        {t.alarms.active}
        {alarmsActive > 0 && <span class="count">{alarmsActive}</span>}
      </a>
      <a href="/alarms/history" aria-current={tab === "history" ? "page" : undefined}>
        {t.alarms.history}
      </a>
    </nav>
  );
}

/** Unacknowledged before acknowledged, then newest first: the order of ISA-18.2 alarm summaries. */
function inOrder(alarms: readonly Alarm[]): Alarm[] {
  return [...alarms].sort(
    (a, b) => Number(canAcknowledge(b)) - Number(canAcknowledge(a)) || Date.parse(b.raised_at) - Date.parse(a.raised_at),
  );
}

/** Moves the focus to the checkbox of the next or the previous row. */
function moveFocus(list: HTMLElement, from: Element, step: number): void {
  const rows = [...list.querySelectorAll<HTMLElement>("[data-alarm]")];
  const at = rows.findIndex((row) => row.contains(from));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  next?.querySelector<HTMLElement>("input, a")?.focus();
}

function Active({ alarms, reload }: { alarms: readonly Alarm[]; reload: () => void }) {
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const open = alarms.filter(canAcknowledge);
  const chosen = open.filter(({ id }) => picked.has(id));
  // What has been acknowledged elsewhere is no longer picked.
  useEffect(() => {
    setPicked((old) => new Set([...old].filter((id) => open.some((alarm) => alarm.id === id))));
  }, [alarms]);

  const acknowledge = async (ids: string[]) => {
    if (ids.length === 0 || busy) return;
    if (!actor.value.trim()) {
      setError(new ApiError(0, t.alarms.nameMissing));
      document.getElementById("ack-name")?.focus();
      return;
    }
    setBusy(true);
    setError(null);
    try {
      const answer = await post<{ acknowledged: number }>("/alarms/ack", { ids, actor: actor.value.trim() });
      toast(t.alarms.acknowledged(answer.acknowledged));
    } catch (problem) {
      setError(problem instanceof ApiError ? problem : new ApiError(0, String(problem)));
    } finally {
      setBusy(false);
      reload();
    }
  };
  const toggle = (id: string) => {
    const next = new Set(picked);
    if (!next.delete(id)) next.add(id);
    setPicked(next);
  };
  const onKey = (event: KeyboardEvent & { currentTarget: HTMLElement }) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof Element)) return;
    const row = event.target.closest<HTMLElement>("[data-alarm]")?.dataset.alarm;
    if (row === undefined) return;
    const actions: Record<string, () => void> = {
      j: () => moveFocus(event.currentTarget, event.target as Element, 1),
      k: () => moveFocus(event.currentTarget, event.target as Element, -1),
      x: () => open.some(({ id }) => id === row) && toggle(row),
      a: () => void acknowledge(chosen.length > 0 ? chosen.map(({ id }) => id) : open.some(({ id }) => id === row) ? [row] : []),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };

  if (alarms.length === 0) {
    return (
      <div class="quiet">
        <span class="quiet-mark">
          <Icon name="check" />
        </span>
        <p class="quiet-title">{t.alarms.none}</p>
        <p>{t.alarms.noneHint}</p>
      </div>
    );
  }
  return (
    <>
      {open.length > 0 && (
        <div class="toolbar">
          <label class="check">
            <input
              type="checkbox"
              checked={chosen.length === open.length}
              indeterminate={chosen.length > 0 && chosen.length < open.length}
              onChange={() => setPicked(chosen.length === open.length ? new Set() : new Set(open.map(({ id }) => id)))}
            />
            <span>{t.alarms.selectAll}</span>
          </label>
          <span class="toolbar-gap" />
          <label class="inline-field">
            <span>{t.alarms.name}</span>
            <input
              id="ack-name"
              type="text"
              autoComplete="name"
              maxLength={80}
              value={actor.value}
              onInput={(event) => {
                actor.value = event.currentTarget.value;
                setError(null);
              }}
            />
          </label>
          <button
            type="button"
            class="button button-main"
            disabled={busy || chosen.length === 0}
            onClick={() => void acknowledge(chosen.map(({ id }) => id))}
          >
            <Icon name="check" />
            {busy ? t.alarms.acknowledging : t.alarms.acknowledgeN(chosen.length)}
          </button>
        </div>
      )}
      {error && <Problem error={error} />}
      <ol class="alarm-list" aria-label={t.alarms.list} onKeyDown={onKey}>
        {inOrder(alarms).map((alarm) => (
          <AlarmRow
            key={alarm.id}
            alarm={alarm}
            pick={{ on: picked.has(alarm.id), toggle: () => toggle(alarm.id), acknowledge: () => void acknowledge([alarm.id]), busy }}
          />
        ))}
      </ol>
      {open.length > 0 && <p class="keys">{t.alarms.keys}</p>}
    </>
  );
}

function History({ alarms }: { alarms: readonly Alarm[] }) {
  if (alarms.length === 0) return <Empty title={t.alarms.noHistory} />;
  const newest = [...alarms].sort((a, b) => Date.parse(b.raised_at) - Date.parse(a.raised_at));
  return (
    <ol class="alarm-list" aria-label={t.alarms.history}>
      {newest.map((alarm) => (
        <AlarmRow key={alarm.id} alarm={alarm} />
      ))}
    </ol>
  );
}

export function AlarmsPage({ tab }: { tab: "active" | "history" }) {
  const state = tab === "active" ? "active" : "all";
  const alarms = useResource<{ at: string; alarms: Alarm[] }>(`/alarms?state=${state}&limit=${LIMIT}`, {
    version: live.value.alarmsVersion,
    everyMs: 10_000,
  });
  return (
    <div class="page page-narrow">
      <header class="page-head">
        <h1>{t.alarms.title}</h1>
        <Tabs tab={tab} />
      </header>
      <Loaded of={alarms}>
        {(data) => (tab === "active" ? <Active alarms={data.alarms} reload={alarms.reload} /> : <History alarms={data.alarms} />)}
      </Loaded>
    </div>
  );
}
