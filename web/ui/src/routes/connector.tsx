// One connector: how it and its units answer, what went over the wire last, what is suspicious, and what is missing.

import { useRef } from "preact/hooks";
import { segment } from "../api.ts";
import { t } from "../i18n/index.ts";
import { bytes, clock, count, duration, milliseconds, moment, rate } from "../lib/format.ts";
import { gapLength } from "../lib/gaps.ts";
import type { ConnectorDetail, Exchange, Loss, Refusal, TagValue, Unit } from "../lib/types.ts";
import { Loaded, Loading, Panel, Problem, Time } from "../parts/common.tsx";
import { Facts, FlagMarks, StateWord, Trouble } from "../parts/connector.tsx";
import { causeText } from "../parts/gaps.tsx";
import { TagTable } from "../parts/tag-table.tsx";
import { useResource } from "../resource.ts";
import { now } from "../stream.ts";
import { useRates } from "./connectors.tsx";

const EVERY_MS = 2_000;
const GAPS_EVERY_MS = 5_000;
const TAGS_EVERY_MS = 10_000;

function Crumbs({ name }: { name: string }) {
  return (
    <nav class="crumbs" aria-label={t.nav.breadcrumb}>
      <ol>
        <li>
          <a href="/connectors">{t.connectors.title}</a>
        </li>
        <li aria-current="page">{name}</li>
      </ol>
    </nav>
  );
}

function Refusals({ refusals }: { refusals: readonly Refusal[] }) {
  if (refusals.length === 0) return <span class="fact-quiet">{t.connectors.never}</span>;
  return (
    <ul class="refusals">
      {refusals.map(({ code, text, words, count: times }) => (
        <li key={code}>
          <code>{t.connectors.refused(text, count(times))}</code> <span class="cell-words">{words}</span>
        </li>
      ))}
    </ul>
  );
}

function UnitRow({ unit }: { unit: Unit }) {
  return (
    <tr>
      <th scope="row">{unit.name}</th>
      <td class="cell-condition">
        <span class="cell-words">{unit.condition}</span>
      </td>
      <td class="cell-number">{rate(unit.requests_per_s > 0 || unit.requests === 0 ? unit.requests_per_s : null)}</td>
      <td class="cell-number">{milliseconds(unit.round_trip_p50_ms)}</td>
      <td class="cell-number">{milliseconds(unit.round_trip_p99_ms)}</td>
      <td class="cell-number">{milliseconds(unit.lateness_p99_ms)}</td>
      <td class="cell-number">{count(unit.timeouts)}</td>
      <td>
        <Refusals refusals={unit.refusals} />
      </td>
      <td class="cell-number">{bytes(unit.bytes_received)}</td>
    </tr>
  );
}

function Units({ units }: { units: readonly Unit[] }) {
  const head = (text: string, number = true) => (
    <th scope="col" class={number ? "cell-number" : undefined}>
      {text}
    </th>
  );
  return (
    <Panel title={t.connectors.units} id="units-title">
      {units.length === 0 ? (
        <p class="fact-quiet">{t.connectors.noUnits}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t.connectors.unitTable}>
          <table class="tag-table unit-table">
            <thead>
              <tr>
                {head(t.connectors.unit, false)}
                {head(t.connectors.unitState, false)}
                {head(`${t.connectors.requests} ${t.connectors.perS}`)}
                {head(`${t.connectors.roundTrip}, ${t.connectors.median}`)}
                {head(t.connectors.p99)}
                {head(t.connectors.lateness)}
                {head(t.connectors.timeouts)}
                {head(t.connectors.refusals, false)}
                {head(t.connectors.received)}
              </tr>
            </thead>
            <tbody>
              {units.map((unit) => (
                <UnitRow key={unit.name} unit={unit} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Bytes({ label, words, hex }: { label: string; words: string; hex: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <span class="cell-words">{words}</span>
        <code class="hex">{hex || t.connectors.noBytes}</code>
      </dd>
    </div>
  );
}

function hasBytes(e: Exchange): boolean {
  return e.request_hex !== "" || e.answer_hex !== "";
}

function ExchangeRow({ exchange: e }: { exchange: Exchange }) {
  const line = (
    <>
      <span class="exchange-when">
        <Time at={e.at}>{clock(e.at)}</Time>
      </span>
      <span class="exchange-unit">{e.unit}</span>
      <span class="exchange-asked">{e.request}</span>
      <span class="exchange-answer">{e.answer}</span>
      <span class="exchange-took">{milliseconds(e.round_trip_ms > 0 ? e.round_trip_ms : null)}</span>
    </>
  );
  if (!hasBytes(e)) {
    return (
      <li class="exchange">
        <div class="exchange-line">{line}</div>
      </li>
    );
  }
  return (
    <li>
      <details class="exchange">
        <summary class="exchange-line">{line}</summary>
        <dl class="exchange-bytes">
          <Bytes label={t.connectors.asked} words={e.request} hex={e.request_hex} />
          <Bytes label={t.connectors.answered} words={e.answer} hex={e.answer_hex} />
        </dl>
      </details>
    </li>
  );
}

function Exchanges({ exchanges }: { exchanges: readonly Exchange[] }) {
  const seen = new Map<string, number>();
  // Several may have come in the same millisecond; an opened one stays open when newer ones arrive.
  const keyed = exchanges.toReversed().map((exchange) => {
    const base = `${exchange.at} ${exchange.unit} ${exchange.request}`;
    seen.set(base, (seen.get(base) ?? 0) + 1);
    return { key: `${base} ${seen.get(base)}`, exchange };
  });
  return (
    <Panel title={t.connectors.exchanges} id="exchanges-title" aside={<span class="head-note">{exchanges.some(hasBytes) ? t.connectors.exchangesHint : t.connectors.newestFirst}</span>}>
      {exchanges.length === 0 ? (
        <p class="fact-quiet">{t.connectors.noExchanges}</p>
      ) : (
        <ol class="exchange-list">
          {keyed.toReversed().map(({ key, exchange }) => (
            <ExchangeRow key={key} exchange={exchange} />
          ))}
        </ol>
      )}
    </Panel>
  );
}

function Suspicious({ flags }: { flags: ConnectorDetail["flags"] }) {
  return (
    <Panel title={t.connectors.suspicious} id="flags-title">
      {flags.length === 0 ? (
        <p class="fact-quiet">{t.connectors.noneSuspicious}</p>
      ) : (
        <ul class="flag-list">
          {flags.map(({ tag, flags: own }) => (
            <li key={tag}>
              <span class="tag-id">{tag}</span>
              <FlagMarks flags={own} />
              {own.map(({ code, words }) => (
                <span key={code} class="cell-words flag-words">
                  {words}
                </span>
              ))}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function what(loss: Loss): string {
  if (loss.source === null) return t.gaps.everything;
  const [first] = loss.tags;
  return first === undefined ? t.gaps.allTags : t.gaps.tags(first, loss.tag_count - 1);
}

function Gaps({ losses }: { losses: readonly Loss[] }) {
  const at = now.value;
  return (
    <Panel title={t.gaps.title} id="gaps-title">
      {losses.length === 0 ? (
        <p class="fact-quiet">{t.gaps.none}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t.gaps.tableLabel}>
          <table class="tag-table">
            <thead>
              <tr>
                <th scope="col">{t.gaps.from}</th>
                <th scope="col" class="cell-number">
                  {t.gaps.length}
                </th>
                <th scope="col">{t.gaps.cause}</th>
                <th scope="col">{t.gaps.what}</th>
                <th scope="col">{t.gaps.to}</th>
                <th scope="col" class="cell-number">
                  {t.gaps.due}
                </th>
              </tr>
            </thead>
            <tbody>
              {losses.map((loss) => (
                <tr key={`${loss.from} ${loss.cause} ${loss.tags[0] ?? ""}`} class={loss.to === null ? "gap-lasts" : undefined}>
                  <td>{moment(loss.from, at)}</td>
                  <td class="cell-number">{duration(gapLength(loss, at))}</td>
                  <td class="gap-cause">
                    <span class="cell-words">{causeText(loss)}</span>
                  </td>
                  <td title={loss.tags.join(", ")}>{what(loss)}</td>
                  <td>{loss.to === null ? t.gaps.lasts : moment(loss.to, at)}</td>
                  <td class="cell-number">{loss.count > 0 ? count(loss.count) : ""}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Detail({ connector }: { connector: ConnectorDetail }) {
  const source = encodeURIComponent(connector.name);
  const losses = useResource<{ losses: Loss[] }>(`/losses?source=${source}&limit=50`, { everyMs: GAPS_EVERY_MS, keep: true });
  const tags = useResource<{ tags: TagValue[] }>("/tags", { everyMs: TAGS_EVERY_MS, keep: true });
  const list = useRef<ConnectorDetail[]>([connector]);
  if (list.current[0] !== connector) list.current = [connector];
  const rates = useRates(list.current);
  return (
    <>
      <section class={`connector connector-${connector.state}`} aria-labelledby="connector-title">
        <div class="connector-head">
          <h1 id="connector-title">{connector.name}</h1>
          <StateWord connector={connector} />
          <span class="connector-where">
            {connector.protocol} · {connector.endpoint}
          </span>
        </div>
        <Trouble connector={connector} />
        <Facts connector={connector} rates={rates.get(connector.name)} />
      </section>
      <Units units={connector.units} />
      <Loaded of={losses}>{(data) => <Gaps losses={data.losses} />}</Loaded>
      <Exchanges exchanges={connector.exchanges} />
      <Suspicious flags={connector.flags} />
      <Loaded of={tags}>
        {(data) => <TagTable tags={data.tags.filter((tag) => tag.source === connector.name)} sources={[]} />}
      </Loaded>
    </>
  );
}

export function ConnectorPage({ name }: { name: string }) {
  const connector = useResource<ConnectorDetail>(`/connectors/${segment(name)}`, { everyMs: EVERY_MS });
  return (
    <div class="page">
      <Crumbs name={name} />
      {connector.error && (
        <>
          {connector.data === null && <h1>{t.connectors.missing}</h1>}
          <Problem error={connector.error} retry={connector.reload} />
        </>
      )}
      {connector.data ? <Detail connector={connector.data} /> : connector.error ? null : <Loading />}
    </div>
  );
}
