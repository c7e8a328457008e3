// One alarm: what, where, why, since when, and who has seen it.

import { t } from "../i18n/index.ts";
import { ageSeconds, duration, millis, moment } from "../lib/format.ts";
import type { Alarm } from "../lib/types.ts";
import { assetPath } from "../lib/view.ts";
import { now } from "../stream.ts";
import { Time } from "./common.tsx";
import { AlarmBadge } from "./states.tsx";

export function canAcknowledge({ state }: Pick<Alarm, "state">): boolean {
  return state === "unacked_alarm" || state === "rtn_unacked";
}

interface Selection {
  on: boolean;
  busy: boolean;
  toggle: () => void;
  acknowledge: () => void;
}

function lasted(alarm: Alarm): string {
  const end = millis(alarm.returned_at);
  const begin = millis(alarm.raised_at);
  if (end !== null && begin !== null) return t.alarms.lasted(duration((end - begin) / 1_000));
  return t.alarms.since(duration(ageSeconds(alarm.raised_at, now.value)));
}

function Seen({ alarm }: { alarm: Alarm }) {
  if (alarm.acked_at === null) return <span class="alarm-state alarm-state-open">{t.alarms.states[alarm.state]}</span>;
  const time = moment(alarm.acked_at, now.value);
  return <span class="alarm-state">{alarm.acked_by ? t.alarms.ackedBy(alarm.acked_by, time) : t.alarms.ackedAt(time)}</span>;
}

export function AlarmRow({ alarm, pick }: { alarm: Alarm; pick?: Selection }) {
  const open = canAcknowledge(alarm) && pick !== undefined;
  const over = alarm.returned_at !== null;
  const name = `alarm alarm-${alarm.kind} alarm-${alarm.severity}${open ? " alarm-open" : ""}${over ? " alarm-over" : ""}`;
  return (
    <li class={name} data-alarm={alarm.id}>
      {pick && (
        <span class="alarm-pick">
          {open && <input type="checkbox" aria-label={t.alarms.select(alarm.asset_name)} checked={pick.on} onChange={pick.toggle} />}
        </span>
      )}
      <div class="alarm-body">
        <div class="alarm-head">
          <AlarmBadge alarm={alarm} />
          <a class="alarm-asset" href={assetPath(alarm.asset)}>
            {alarm.asset_name}
          </a>
          {(alarm.kind === "machine_anomaly" || alarm.kind === "failure_limit") && (
            <span class="alarm-kind">{t.alarms.kinds[alarm.kind]}</span>
          )}
          <span class={`alarm-priority alarm-priority-${alarm.priority}`}>{t.alarms.priority(t.alarms.priorities[alarm.priority])}</span>
        </div>
        <p class="alarm-sentence">{alarm.sentence}</p>
        <p class="alarm-foot">
          <span>
            {t.alarms.raised} <Time at={alarm.raised_at}>{moment(alarm.raised_at, now.value)}</Time>, {lasted(alarm)}
          </span>
          <Seen alarm={alarm} />
        </p>
      </div>
      {open && (
        <button
          type="button"
          class="button alarm-ack"
          disabled={pick.busy}
          aria-label={t.alarms.acknowledgeOne(alarm.asset_name)}
          onClick={pick.acknowledge}
        >
          {t.alarms.acknowledge}
        </button>
      )}
    </li>
  );
}
