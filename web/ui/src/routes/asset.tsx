// Level 2: one asset. How it is and why, how long there is, what its signals did.

import { segment } from "../api.ts";
import { t } from "../i18n/index.ts";
import { age, NONE, percent, rulInterval } from "../lib/format.ts";
import type { Asset, AssetDetail } from "../lib/types.ts";
import { Fact, Loading, Problem, Time } from "../parts/common.tsx";
import { Contributions } from "../parts/contributions.tsx";
import { KindIcon } from "../parts/icons.tsx";
import { RepairButton } from "../parts/repair.tsx";
import { refusalText } from "../parts/rul.tsx";
import { StateBadge } from "../parts/states.tsx";
import { LiveValues } from "../parts/values.tsx";
import { useResource } from "../resource.ts";
import { live, now } from "../stream.ts";
import { RemainingLife } from "./asset-rul.tsx";
import { Trends } from "./asset-trends.tsx";

const EVERY_MS = 3_000;

function Crumbs({ asset }: { asset: Asset }) {
  return (
    <nav class="crumbs" aria-label={t.nav.breadcrumb}>
      <ol>
        <li>
          <a href="/">{t.nav.overview}</a>
        </li>
        <li>{asset.area}</li>
        <li>{asset.work_center}</li>
        <li aria-current="page">{asset.name}</li>
      </ol>
    </nav>
  );
}

function Facts({ asset }: { asset: Asset }) {
  const { rul } = asset;
  return (
    <dl class="facts asset-facts">
      <Fact label={t.rul.short}>
        {rul.available ? <strong>{rulInterval(rul)}</strong> : <span class="fact-quiet">{t.rul.noneBecause(refusalText(rul))}</span>}
      </Fact>
      {asset.state === "learning" ? (
        <Fact label={t.states.learning}>{t.asset.learning(percent(asset.learning_ratio))}</Fact>
      ) : (
        <Fact label={t.asset.health}>{asset.state === "unknown" ? NONE : percent(asset.health)}</Fact>
      )}
      <Fact label={t.asset.operation}>
        {t.operation[asset.operation]} <span class="fact-quiet">{t.operationHints[asset.operation]}</span>
      </Fact>
      <Fact label={t.asset.since}>
        <Time at={asset.since}>{age(asset.since, now.value)}</Time>
      </Fact>
      <Fact label={t.asset.lastRepair}>
        {asset.maintained_at === null ? (
          <span class="fact-quiet">{t.asset.noRepair}</span>
        ) : (
          <Time at={asset.maintained_at}>{t.asset.ago(age(asset.maintained_at, now.value))}</Time>
        )}
      </Fact>
      <Fact label={t.asset.alarms}>
        {asset.alarms === 0 ? (
          <span class="fact-quiet">{t.asset.alarmsActive(0)}</span>
        ) : (
          <a href="/alarms">{t.asset.alarmsActive(asset.alarms)}</a>
        )}
      </Fact>
    </dl>
  );
}

function Head({ asset, reload }: { asset: Asset; reload: () => void }) {
  return (
    <header class={`asset-top asset-top-${asset.state}`}>
      <div class="asset-title">
        <KindIcon kind={asset.kind} />
        <h1>{asset.name}</h1>
        <StateBadge state={asset.state} large />
        <RepairButton asset={asset} done={reload} />
      </div>
      <p class="asset-reason">{asset.reason}</p>
      <Facts asset={asset} />
    </header>
  );
}

export function AssetPage({ id }: { id: string }) {
  const detail = useResource<AssetDetail>(`/assets/${segment(id)}`, { everyMs: EVERY_MS });
  const { data, error, reload } = detail;
  if (!data) {
    return <div class="page">{error ? <Problem error={error} retry={reload} /> : <Loading />}</div>;
  }
  // Frames are newer than the answer that brought the rest.
  const fresh = live.value.assets.find((asset) => asset.id === id);
  const asset: AssetDetail = fresh ? { ...data, ...fresh } : data;
  return (
    <div class="page">
      <Crumbs asset={asset} />
      {error && <Problem error={error} retry={reload} />}
      <Head asset={asset} reload={reload} />
      <div class="asset-grid-2">
        <div class="asset-main">
          <RemainingLife asset={asset} />
          <Trends asset={asset} />
        </div>
        <div class="asset-side">
          <Contributions asset={asset} />
          <LiveValues tags={asset.tags} />
        </div>
      </div>
    </div>
  );
}
