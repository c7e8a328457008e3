// Connectors: is data flowing, how fast, and if not, why not, in words; below, every tag with its live value.

import { useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { perSecond } from "../lib/live.ts";
import type { Connector, ConnectorSummary, TagValue } from "../lib/types.ts";
import { connectorPath } from "../lib/view.ts";
import { Certificates } from "../parts/certificates.tsx";
import { Empty, Loaded } from "../parts/common.tsx";
import { Facts, StateWord, Trouble, type Rates } from "../parts/connector.tsx";
import { TagTable } from "../parts/tag-table.tsx";
import { useResource } from "../resource.ts";

const STATUS_EVERY_MS = 2_000;
const TAGS_EVERY_MS = 10_000;
const NONE: readonly ConnectorSummary[] = [];

interface Sample {
  ms: number;
  readings: number;
  requests: number;
}

/** Rates per second of wall time, over the last ten seconds or so. */
export function useRates(connectors: readonly Connector[]): ReadonlyMap<string, Rates> {
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

function Card({ connector, rates }: { connector: ConnectorSummary; rates: Rates | undefined }) {
  const c = connector;
  return (
    <li class={`connector connector-${c.state}`}>
      <div class="connector-head">
        <h2>
          <a href={connectorPath(c.name)}>{c.name}</a>
        </h2>
        <StateWord connector={c} />
        <span class="connector-where">
          {c.protocol} · {c.endpoint}
        </span>
      </div>
      <Trouble connector={c} />
      <Facts connector={c} rates={rates} />
      <a class="connector-more" href={connectorPath(c.name)} aria-label={t.connectors.open(c.name)}>
        {t.connectors.details}
      </a>
    </li>
  );
}

export function ConnectorsPage() {
  const list = useResource<{ connectors: ConnectorSummary[] }>("/connectors", { everyMs: STATUS_EVERY_MS });
  const tags = useResource<{ tags: TagValue[] }>("/tags", { everyMs: TAGS_EVERY_MS });
  const connectors = list.data?.connectors ?? NONE;
  const rates = useRates(connectors);
  return (
    <div class="page">
      <header class="page-head">
        <h1>{t.connectors.title}</h1>
      </header>
      <Loaded of={list}>
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
