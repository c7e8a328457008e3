// Level 1: what needs a person and why; beside it, calmly, everything else.

import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { age, clock, moment, NONE, percent, rulInterval } from "../lib/format.ts";
import { groupAssets, learners, openCases, recentEvents, type Case, type Group } from "../lib/rank.ts";
import type { Alarm, Asset, Status } from "../lib/types.ts";
import { assetPath } from "../lib/view.ts";
import { Empty, Loading, Problem, Time } from "../parts/common.tsx";
import { KindIcon } from "../parts/icons.tsx";
import { RulLine } from "../parts/rul.tsx";
import { Spark } from "../parts/spark.tsx";
import { AlarmBadge, StateBadge } from "../parts/states.tsx";
import { StatusStrip } from "../parts/strip.tsx";
import { useResource } from "../resource.ts";
import { isLive, live, now, refreshSparks, stopped } from "../stream.ts";
import { Icon } from "../parts/icons.tsx";

const SPARKS_EVERY_MS = 15_000;
const STATUS_EVERY_MS = 5_000;

function CaseRow({ of }: { of: Case }) {
  const { asset, alarms } = of;
  const lead = alarms[0];
  const unacked = alarms.filter((alarm) => alarm.state !== "acked_alarm").length;
  const tone = of.about === "machine" ? asset.state : "device";
  return (
    <li>
      <a class={`case case-${tone}${unacked > 0 ? " case-unacked" : ""}`} href={assetPath(asset.id)}>
        <span class="case-head">
          {of.about === "machine" || !lead ? <StateBadge state={asset.state} /> : <AlarmBadge alarm={lead} />}
          <span class="case-name">{asset.name}</span>
          <span class="case-age">
            <Time at={of.since}>{t.overview.open(age(of.since, now.value))}</Time>
          </span>
        </span>
        <span class="case-reason">{of.sentence}</span>
        <span class="case-foot">
          {of.about === "machine" && <RulLine rul={asset.rul} />}
          <span class="case-notes">
            {unacked > 0 && <span class="note note-strong">{t.overview.unacked(unacked)}</span>}
            {asset.quality !== "good" && <span class="note">{t.overview.dataLine[asset.quality]}</span>}
            <span class="note">{asset.work_center}</span>
          </span>
        </span>
      </a>
    </li>
  );
}

function Quiet({ assets, tags, learning }: { assets: number; tags: number | null; learning: boolean }) {
  const { at } = live.value;
  if (learning) return null;
  return (
    <div class="quiet">
      <span class="quiet-mark">
        <Icon name="check" />
      </span>
      <p class="quiet-title">{t.overview.allQuiet}</p>
      <p>{t.overview.allQuietText(assets, tags ?? live.value.tags.size)}</p>
      {isLive.value && at !== null && <p class="quiet-time">{t.overview.lastChecked(clock(at))}</p>}
    </div>
  );
}

function Learning({ assets, all }: { assets: Asset[]; all: number }) {
  if (assets.length === 0) return null;
  return (
    <section class="learning" aria-labelledby="learning-title">
      <h3 id="learning-title">{t.overview.stillLearning(assets.length, all)}</h3>
      <ul>
        {assets.map((asset) => (
          <li key={asset.id}>
            <span class="learning-name" id={`learning-${asset.id}`}>
              {asset.name}
            </span>
            <progress max="1" value={asset.learning_ratio} aria-labelledby={`learning-${asset.id}`} />
            <span class="learning-ratio">{percent(asset.learning_ratio)}</span>
          </li>
        ))}
      </ul>
      <p>{t.overview.learningHint}</p>
    </section>
  );
}

/** Health is withheld when there is nothing to judge by. */
function headline(asset: Asset): string {
  if (asset.state === "learning") return percent(asset.learning_ratio);
  return asset.state === "unknown" ? NONE : percent(asset.health);
}

function AssetCard({ asset }: { asset: Asset }) {
  const trend = (asset.spark ?? []).filter((value) => value !== null);
  const label = t.overview.healthTrend(percent(trend[0] ?? asset.health), percent(trend.at(-1) ?? asset.health));
  return (
    <li>
      <a class={`asset-card asset-${asset.state}`} href={assetPath(asset.id)}>
        <span class="asset-head">
          <KindIcon kind={asset.kind} />
          <span class="asset-name">{asset.name}</span>
          <StateBadge state={asset.state} />
        </span>
        <span class="asset-body">
          <span class="asset-health">
            <span class="asset-health-number">{headline(asset)}</span>
            <span class="asset-health-label">{asset.state === "learning" ? t.states.learning : t.overview.health}</span>
          </span>
          <Spark values={asset.spark} label={label} />
        </span>
        <span class="asset-foot">
          <span>{t.operation[asset.operation]}</span>
          {asset.rul.available ? <span class="asset-rul">{rulInterval(asset.rul)}</span> : asset.quality !== "good" && <span>{t.overview.dataLine[asset.quality]}</span>}
        </span>
      </a>
    </li>
  );
}

function Place({ group }: { group: Group }) {
  return (
    <section class={`place place-${Math.min(4, group.assets.length)}`}>
      <h3>
        <span class="place-area">{group.area}</span>
        <span class="place-center">{group.workCenter}</span>
      </h3>
      <ul class="asset-grid">
        {group.assets.map((asset) => (
          <AssetCard key={asset.id} asset={asset} />
        ))}
      </ul>
    </section>
  );
}

/** Sparklines are not in the frames, so they are fetched now and then. */
function useSparks() {
  useEffect(() => {
    const abort = new AbortController();
    const refresh = () => {
      if (!document.hidden && !stopped.peek()) refreshSparks(abort.signal).catch(() => undefined);
    };
    refresh();
    const timer = window.setInterval(refresh, SPARKS_EVERY_MS);
    return () => {
      abort.abort();
      window.clearInterval(timer);
    };
  }, []);
}

const EVENTS_SHOWN = 6;

function Lately({ version }: { version: number }) {
  const all = useResource<{ alarms: Alarm[] }>(`/alarms?state=all&limit=20`, { version, keep: true });
  const events = recentEvents(all.data?.alarms ?? [], EVENTS_SHOWN);
  return (
    <section class="lately" aria-labelledby="lately-title">
      <header class="panel-head">
        <h2 id="lately-title">{t.overview.lately}</h2>
        <a class="head-note" href="/alarms/history">
          {t.overview.allAlarms}
        </a>
      </header>
      {all.error && <Problem error={all.error} retry={all.reload} />}
      {all.data && events.length === 0 && <p class="lately-none">{t.overview.latelyNone}</p>}
      {events.length > 0 && (
        <ol class="events">
          {events.map(({ alarm, what, at }) => (
            <li key={`${alarm.id}/${what}`} class="event">
              <Time at={at}>{moment(at, now.value)}</Time>
              <span>
                <a class="event-asset" href={assetPath(alarm.asset)}>
                  {alarm.asset_name}
                </a>{" "}
                {t.overview.events[what](t.alarms.kinds[alarm.kind], alarm.acked_by)}
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

export function OverviewPage() {
  useSparks();
  const { assets, alarmsVersion } = live.value;
  const alarms = useResource<{ alarms: Alarm[] }>("/alarms?state=active", { version: alarmsVersion, keep: true });
  const status = useResource<Status>("/status", { everyMs: STATUS_EVERY_MS });
  if (live.value.at === null) {
    return (
      <div class="page">
        <h1 class="visually-hidden">{t.overview.title}</h1>
        {status.error ? <Problem error={status.error} retry={status.reload} /> : <Loading />}
      </div>
    );
  }
  const cases = openCases(assets, alarms.data?.alarms ?? []);
  const young = learners(assets);
  return (
    <div class="page">
      <h1 class="visually-hidden">{t.overview.title}</h1>
      <StatusStrip status={status.data} />
      {assets.length === 0 ? (
        <Empty title={t.overview.noAssets} hint={t.overview.noAssetsHint} />
      ) : (
        <div class="overview">
          <section class="attention" aria-labelledby="attention-title">
            <header class="panel-head">
              <h2 id="attention-title">{t.overview.attention}</h2>
              {cases.length > 0 && <span class="head-note">{t.overview.cases(cases.length)}</span>}
            </header>
            {alarms.error && <Problem error={alarms.error} retry={alarms.reload} />}
            {cases.length === 0 ? (
              <Quiet assets={assets.length} tags={status.data?.tags ?? null} learning={young.length > 0} />
            ) : (
              <ol class="cases">
                {cases.map((item) => (
                  <CaseRow key={item.asset.id} of={item} />
                ))}
              </ol>
            )}
            <Learning assets={young} all={assets.length} />
          </section>
          <section class="plant" aria-labelledby="plant-title">
            <header class="panel-head">
              <h2 id="plant-title">{t.overview.assets}</h2>
              <span class="head-note">{assets.length}</span>
            </header>
            <div class="places">
              {groupAssets(assets).map((group) => (
                <Place key={`${group.area}/${group.workCenter}`} group={group} />
              ))}
            </div>
            <Lately version={alarmsVersion} />
          </section>
        </div>
      )}
    </div>
  );
}
