// What the list of connectors and the page of one have in common.

import { t } from "../i18n/index.ts";
import { age, bytes, count, milliseconds, rate } from "../lib/format.ts";
import type { Connector, ConnectorSummary, Flag } from "../lib/types.ts";
import { now } from "../stream.ts";
import { Fact, Time } from "./common.tsx";
import { DeviceShape } from "./icons.tsx";

export function StateWord({ connector }: { connector: Connector }) {
  const fine = connector.state === "connected";
  const status = fine ? "good" : connector.state === "backing_off" || connector.state === "stopped" ? "failure" : "out-of-spec";
  return (
    <span class={fine ? "badge badge-acceptable" : "badge badge-device"}>
      <DeviceShape status={status} />
      {t.connectors.states[connector.state]}
      <span class="badge-since">
        <Time at={connector.since}>{t.connectors.since(age(connector.since, now.value))}</Time>
      </span>
    </span>
  );
}

export function Trouble({ connector }: { connector: Connector }) {
  const { last_error: error, last_error_at: at, silent } = connector;
  return (
    <dl class="trouble">
      {silent.length > 0 && (
        <div class="trouble-now">
          <dt>{t.connectors.silent}</dt>
          <dd>{silent.join(", ")}</dd>
        </div>
      )}
      <div>
        <dt>{t.connectors.lastError}</dt>
        <dd>
          {error ?? <span class="fact-quiet">{t.connectors.noError}</span>}
          {error && at && (
            <span class="fact-quiet">
              {" "}
              <Time at={at}>{t.asset.ago(age(at, now.value))}</Time>
            </span>
          )}
        </dd>
      </div>
    </dl>
  );
}

export interface Rates {
  readings: number | null;
  requests: number | null;
}

export function Facts({ connector: c, rates }: { connector: ConnectorSummary; rates: Rates | undefined }) {
  const speed = (value: number | null | undefined) => (
    <>
      {rate(value ?? null)} <span class="unit">{t.connectors.perSecond}</span>
    </>
  );
  const warn = (value: number) => (value > 0 ? ("warn" as const) : undefined);
  return (
    <dl class="facts">
      <Fact label={t.connectors.readings}>{speed(rates?.readings)}</Fact>
      <Fact label={t.connectors.requests}>{speed(c.requests_per_s > 0 ? c.requests_per_s : rates?.requests)}</Fact>
      <Fact label={`${t.connectors.roundTrip}, ${t.connectors.median}`}>{milliseconds(c.round_trip_p50_ms)}</Fact>
      <Fact label={`${t.connectors.roundTrip}, ${t.connectors.p99}`}>{milliseconds(c.round_trip_p99_ms)}</Fact>
      <Fact label={t.connectors.lateness}>{milliseconds(c.lateness_p99_ms)}</Fact>
      <Fact label={t.connectors.tags}>{count(c.tags)}</Fact>
      <Fact label={t.connectors.received}>{bytes(c.bytes_received)}</Fact>
      <Fact label={t.connectors.timeouts}>{count(c.timeouts)}</Fact>
      <Fact label={t.connectors.refusals}>{count(c.refusals)}</Fact>
      <Fact label={t.connectors.reconnects}>{count(c.reconnects)}</Fact>
      <Fact label={t.connectors.dropped} tone={warn(c.dropped)}>
        {count(c.dropped)}
      </Fact>
      <Fact label={t.connectors.flagged} tone={warn(c.flagged)}>
        {count(c.flagged)}
      </Fact>
    </dl>
  );
}

export function FlagMarks({ flags }: { flags: readonly Flag[] }) {
  return (
    <>
      {flags.map(({ code, words }) => (
        <span key={code} class="flag" title={words}>
          <DeviceShape status="out-of-spec" />
          {t.connectors.flags[code] ?? words}
        </span>
      ))}
    </>
  );
}
