// Connectors: is data flowing, how fast, and if not, why not, in words; below, every tag with its live value.

import { useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { age, bytes, count, duration, milliseconds, rate, tagSpan } from "../lib/format.ts";
import { perSecond } from "../lib/live.ts";
import type { Connector, Status, TagValue } from "../lib/types.ts";
import { assetPath } from "../lib/view.ts";
import { Certificates } from "../parts/certificates.tsx";
import { Empty, Fact, Loaded, Panel, Time, Value } from "../parts/common.tsx";
import { DeviceShape, Icon } from "../parts/icons.tsx";
import { isStale, liveTag, QualityMark, qualityText } from "../parts/values.tsx";
import { useResource } from "../resource.ts";
import { query, setQuery } from "../router.ts";
import { now } from "../stream.ts";

const STATUS_EVERY_MS = 2_000;
const TAGS_EVERY_MS = 10_000;

interface Sample {
  ms: number;
  readings: number;
  requests: number;
}

interface Rates {
  readings: number | null;
  requests: number | null;
}

/** Rates per second of wall time, over the last ten seconds or so. */
function useRates(connectors: readonly Connector[]): ReadonlyMap<string, Rates> {
  const samples = useRef(new Map<string, Sample[]>());
  const known = useRef<readonly Connector[]>([]);
  if (known.current !== connectors) {
    known.current = connectors;
    for (const { name, readings, requests } of connectors) {
      const list = [...(samples.current.get(name) ?? []), { ms: performance.now(), readings, requests }].slice(-6);
      samples.current.set(name, list);
    }
  }
  const rates = new Map<string, Rates>();
  for (const [name, list] of samples.current) {
    const [first, last] = [list[0], list.at(-1)];
    if (!first || !last) continue;
    const of = (key: "readings" | "requests") =>
      perSecond(list.length > 1 ? { count: first[key], ms: first.ms } : null, { count: last[key], ms: last.ms });
    rates.set(name, { readings: of("readings"), requests: of("requests") });
  }
  return rates;
}

function StateWord({ connector }: { connector: Connector }) {
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

function Trouble({ connector }: { connector: Connector }) {
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

function Card({ connector, rates }: { connector: Connector; rates: Rates | undefined }) {
  const c = connector;
  const speed = (value: number | null | undefined) => (
    <>
      {rate(value ?? null)} <span class="unit">{t.connectors.perSecond}</span>
    </>
  );
  return (
    <li class={`connector connector-${c.state}`}>
      <div class="connector-head">
        <h2>{c.name}</h2>
        <StateWord connector={c} />
        <span class="connector-where">
          {c.protocol} · {c.endpoint}
        </span>
      </div>
      <Trouble connector={c} />
      <dl class="facts">
        <Fact label={t.connectors.readings}>{speed(rates?.readings)}</Fact>
        <Fact label={t.connectors.requests}>{speed(rates?.requests)}</Fact>
        <Fact label={`${t.connectors.roundTrip}, ${t.connectors.median}`}>{milliseconds(c.round_trip_p50_ms)}</Fact>
        <Fact label={`${t.connectors.roundTrip}, ${t.connectors.p99}`}>{milliseconds(c.round_trip_p99_ms)}</Fact>
        <Fact label={t.connectors.tags}>{count(c.tags)}</Fact>
        <Fact label={t.connectors.received}>{bytes(c.bytes_received)}</Fact>
        <Fact label={t.connectors.timeouts}>{count(c.timeouts)}</Fact>
        <Fact label={t.connectors.refusals}>{count(c.refusals)}</Fact>
        <Fact label={t.connectors.dropped} tone={c.dropped > 0 ? "warn" : undefined}>
          {count(c.dropped)}
        </Fact>
        <Fact label={t.connectors.sessions}>{count(c.sessions)}</Fact>
      </dl>
    </li>
  );
}

function Row({ tag }: { tag: TagValue }) {
  const text = qualityText(tag);
  return (
    <tr class={isStale(tag) ? "tag-stale" : `tag-${tag.quality}`}>
      <th scope="row">
        <span class="tag-id">{tag.id}</span>
      </th>
      <td>
        <a href={assetPath(tag.asset)}>{tag.asset.split(".").at(-1)}</a>
      </td>
      <td class="cell-number">
        {tag.is_waveform ? <span class="value-role">{t.values.waveform}</span> : <Value value={tag.quality === "bad" ? null : tag.value} unit={tag.unit} span={tagSpan(tag)} />}
      </td>
      <td class="cell-age">{tag.age_s === null ? "" : duration(tag.age_s)}</td>
      <td>
        <span class="cell-quality">
          <QualityMark tag={tag} />
          <span class="cell-words">{text ?? t.quality.good}</span>
        </span>
      </td>
      <td>{tag.source}</td>
    </tr>
  );
}

function TagTable({ tags, sources }: { tags: readonly TagValue[]; sources: readonly string[] }) {
  const source = query.value.get("source") ?? "";
  const text = query.value.get("q") ?? "";
  const shown = tags
    .filter((tag) => (source === "" || tag.source === source) && tag.id.toLowerCase().includes(text.toLowerCase()))
    .map(liveTag);
  return (
    <Panel title={t.connectors.tagTable} id="tags-title" class="tag-panel" aside={<span class="head-note">{t.connectors.shown(shown.length, tags.length)}</span>}>
      <div class="toolbar toolbar-plain">
        <label class="inline-field">
          <span>{t.connectors.search}</span>
          <span class="search">
            <Icon name="search" />
            <input type="search" value={text} onInput={(event) => setQuery({ q: event.currentTarget.value || null })} />
          </span>
        </label>
        <label class="inline-field">
          <span>{t.connectors.source}</span>
          <select value={source} onChange={(event) => setQuery({ source: event.currentTarget.value || null })}>
            <option value="">{t.connectors.allSources}</option>
            {sources.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      {shown.length === 0 ? (
        <Empty title={t.connectors.noMatch} />
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t.connectors.tableLabel}>
          <table class="tag-table">
            <thead>
              <tr>
                <th scope="col">{t.connectors.tag}</th>
                <th scope="col">{t.connectors.asset}</th>
                <th scope="col" class="cell-number">
                  {t.values.value}
                </th>
                <th scope="col" class="cell-age">
                  {t.values.age}
                </th>
                <th scope="col">{t.connectors.quality}</th>
                <th scope="col">{t.connectors.source}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((tag) => (
                <Row key={tag.id} tag={tag} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

export function ConnectorsPage() {
  const status = useResource<Status>("/status", { everyMs: STATUS_EVERY_MS });
  const tags = useResource<{ tags: TagValue[] }>("/tags", { everyMs: TAGS_EVERY_MS });
  const connectors = status.data?.connectors ?? [];
  const rates = useRates(connectors);
  return (
    <div class="page">
      <header class="page-head">
        <h1>{t.connectors.title}</h1>
      </header>
      <Loaded of={status}>
        {() =>
          connectors.length === 0 ? (
            <Empty title={t.connectors.none} hint={t.connectors.noneHint} />
          ) : (
            <ul class="connector-list">
              {connectors.map((connector) => (
                <Card key={connector.name} connector={connector} rates={rates.get(connector.name)} />
              ))}
            </ul>
          )
        }
      </Loaded>
      <Certificates />
      <Loaded of={tags}>
        {(data) => <TagTable tags={data.tags} sources={[...new Set(data.tags.map(({ source }) => source))].sort()} />}
      </Loaded>
    </div>
  );
}
