// States in words and shapes.

import { t } from "../i18n/index.ts";
import type { Alarm, HealthState } from "../lib/types.ts";
import { DeviceShape, StateShape } from "./icons.tsx";

/** Shape and word; grey unless abnormal. */
export function StateBadge({ state, large = false }: { state: HealthState; large?: boolean }) {
  return (
    <span class={`badge badge-${state}${large ? " badge-large" : ""}`} title={t.stateHints[state]}>
      <StateShape state={state} />
      {t.states[state]}
    </span>
  );
}

/** What an alarm is about: the machine's severity, or the instrument's NE 107 status. */
export function AlarmBadge({ alarm }: { alarm: Pick<Alarm, "kind" | "severity" | "state"> }) {
  if (alarm.kind === "sensor_fault" || alarm.kind === "no_data") {
    const status = alarm.kind === "no_data" ? "failure" : "out-of-spec";
    return (
      <span class="badge badge-device">
        <DeviceShape status={status} />
        {t.alarms.kinds[alarm.kind]}
      </span>
    );
  }
  return <StateBadge state={alarm.severity} />;
}
