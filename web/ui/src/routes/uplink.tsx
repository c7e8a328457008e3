// Uplink: is it connected, what waits, what has been sent, and what that saves, with the arithmetic.

import { t } from "../i18n/index.ts";
import { age, bytes, count, moment, timesLess } from "../lib/format.ts";
import type { Status, Uplink, UplinkTotals } from "../lib/types.ts";
import { Empty, Fact, Loaded, Panel, Time } from "../parts/common.tsx";
import { DeviceShape } from "../parts/icons.tsx";
import { useResource } from "../resource.ts";
import { now } from "../stream.ts";

const EVERY_MS = 2_000;

function Bar({ label, size, share, own }: { label: string; size: number; share: number; own: boolean }) {
  return (
    <div class="saving-row">
      <span class="saving-label">{label}</span>
      <span class="saving-bytes">{bytes(size)}</span>
      <svg class={own ? "saving-bar saving-own" : "saving-bar"} aria-hidden="true" width="100%" height="14">
        <rect width={`${Math.max(0.25, share * 100)}%`} height="14" rx="2" />
      </svg>
    </div>
  );
}

function Saving({ totals }: { totals: UplinkTotals }) {
  const { bytes_raw_equivalent: raw, bytes_sent: sent } = totals;
  const fewer = raw >= sent;
  const times = timesLess(Math.max(raw, sent), Math.min(raw, sent));
  if (times === null) {
    return (
      <section class="saving panel" aria-label={t.uplink.savedTitle}>
        <Empty title={t.uplink.nothingYet} hint={t.uplink.nothingYetText} />
      </section>
    );
  }
  const largest = Math.max(raw, sent);
  return (
    <section class="saving panel" aria-label={t.uplink.savedTitle}>
      <div class="saving-head">
        <p class="saving-big">{fewer ? t.uplink.less(times) : t.uplink.more(times)}</p>
        <p class="saving-sub">{fewer ? t.uplink.lessText : t.uplink.moreText}</p>
      </div>
      <div class="saving-bars">
        <Bar label={t.uplink.rawLine} size={raw} share={raw / largest} own={false} />
        <Bar label={t.uplink.sentLine} size={sent} share={sent / largest} own />
        <p class="saving-sum">{fewer ? t.uplink.arithmetic(bytes(raw), bytes(sent), times) : t.uplink.arithmetic(bytes(sent), bytes(raw), times)}</p>
        <p class="saving-note">{t.uplink.counted}</p>
      </div>
    </section>
  );
}

function Recent({ uplink }: { uplink: Uplink }) {
  if (uplink.recent.length === 0) return <p class="fact-quiet">{t.uplink.recentNone}</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`${t.uplink.recent}: ${uplink.name}`}>
      <table class="recent">
        <thead>
          <tr>
            <th scope="col">{t.uplink.time}</th>
            <th scope="col">{t.uplink.topic}</th>
            <th scope="col" class="cell-number">
              {t.uplink.size}
            </th>
          </tr>
        </thead>
        <tbody>
          {uplink.recent.map((message, index) => (
            <tr key={`${message.at}/${message.topic}/${index}`}>
              <td>
                <Time at={message.at}>{moment(message.at, now.value)}</Time>
              </td>
              <td class="topic">{message.topic}</td>
              <td class="cell-number">{bytes(message.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Card({ uplink }: { uplink: Uplink }) {
  const up = uplink.connected;
  return (
    <Panel
      title={uplink.name}
      id={`uplink-${uplink.name}`}
      class={up ? "uplink" : "uplink uplink-down"}
      aside={
        <span class={up ? "badge badge-acceptable" : "badge badge-device"}>
          <DeviceShape status={up ? "good" : "failure"} />
          {up ? t.uplink.connected : t.uplink.disconnected}
          <span class="badge-since">
            <Time at={uplink.since}>{t.uplink.since(age(uplink.since, now.value))}</Time>
          </span>
        </span>
      }
    >
      <p class="connector-where">{uplink.endpoint}</p>
      {uplink.last_error && (
        <dl class="trouble">
          <div class={up ? "" : "trouble-now"}>
            <dt>{t.uplink.lastError}</dt>
            <dd>{uplink.last_error}</dd>
          </div>
        </dl>
      )}
      <dl class="facts">
        <Fact label={t.uplink.backlog}>
          {count(uplink.backlog)} <span class="unit">{t.uplink.messages}</span>
        </Fact>
        <Fact label={t.uplink.sent}>{count(uplink.sent)}</Fact>
        <Fact label={t.uplink.acked}>{count(uplink.acked)}</Fact>
        <Fact label={t.uplink.bytes}>{bytes(uplink.bytes_sent)}</Fact>
      </dl>
      <h3>{t.uplink.recent}</h3>
      <Recent uplink={uplink} />
    </Panel>
  );
}

export function UplinkPage() {
  const status = useResource<Status>("/status", { everyMs: EVERY_MS });
  return (
    <div class="page page-narrow">
      <header class="page-head">
        <h1>{t.uplink.title}</h1>
      </header>
      <Loaded of={status}>
        {(data) =>
          data.uplinks.length === 0 ? (
            <Empty title={t.uplink.none} hint={t.uplink.noneHint} />
          ) : (
            <>
              <Saving totals={data.uplink} />
              {data.uplinks.map((uplink) => (
                <Card key={uplink.name} uplink={uplink} />
              ))}
            </>
          )
        }
      </Loaded>
    </div>
  );
}
