// Who needs a person, in which order, and how the rest is grouped. Pure.

import { millis } from "./format.ts";
import type { Alarm, AlarmKind, Asset, HealthState } from "./types.ts";

/** Urgency of a state; higher is sooner. */
export const STATE_RANK: Readonly<Record<HealthState, number>> = {
  act: 5,
  plan: 4,
  monitor: 3,
  unknown: 2,
  learning: 1,
  acceptable: 0,
};

const KIND_RANK: Readonly<Record<AlarmKind, number>> = {
  failure_limit: 3,
  machine_anomaly: 2,
  no_data: 1,
  sensor_fault: 1,
};

const PRIORITY_RANK = { high: 3, medium: 2, low: 1 } as const;

/** One open case: an asset, the alarms that speak about it, and the sentence that says most. */
export interface Case {
  asset: Asset;
  /** Of this asset, most telling first. */
  alarms: Alarm[];
  /** About the machine, or only about its instruments. */
  about: "machine" | "instrument";
  sentence: string;
  /** Since when the case is open. */
  since: string | null;
}

export function isMachineAlarm(alarm: Pick<Alarm, "kind">): boolean {
  return alarm.kind === "machine_anomaly" || alarm.kind === "failure_limit";
}

function isUnacked(alarm: Alarm): boolean {
  return alarm.state === "unacked_alarm" || alarm.state === "rtn_unacked";
}

/** Most telling first: condition still there, then the machine before the instrument, priority, newest. */
export function compareAlarms(a: Alarm, b: Alarm): number {
  return (
    Number(a.state === "rtn_unacked") - Number(b.state === "rtn_unacked") ||
    KIND_RANK[b.kind] - KIND_RANK[a.kind] ||
    PRIORITY_RANK[b.priority] - PRIORITY_RANK[a.priority] ||
    (millis(b.raised_at) ?? 0) - (millis(a.raised_at) ?? 0)
  );
}

function deservesCase(asset: Asset, alarms: readonly Alarm[]): boolean {
  return STATE_RANK[asset.state] >= STATE_RANK.monitor || alarms.length > 0 || asset.alarms > 0;
}

function toCase(asset: Asset, alarms: Alarm[]): Case {
  const telling = [...alarms].sort(compareAlarms);
  const lead = telling[0];
  const ill = STATE_RANK[asset.state] >= STATE_RANK.monitor;
  const about = ill || telling.some(isMachineAlarm) ? "machine" : "instrument";
  // The asset's own reason is as of now; an alarm's sentence as of its last change.
  const sentence = about === "machine" && ill ? asset.reason || lead?.sentence : lead?.sentence || asset.reason;
  return { asset, alarms: telling, about, sentence: sentence ?? "", since: ill ? asset.since : (lead?.raised_at ?? asset.since) };
}

function shortestLife(asset: Asset): number {
  return (asset.rul.available ? asset.rul.p05_h : null) ?? Number.POSITIVE_INFINITY;
}

function compareCases(a: Case, b: Case): number {
  const life = shortestLife(a.asset) - shortestLife(b.asset);
  return (
    STATE_RANK[b.asset.state] - STATE_RANK[a.asset.state] ||
    Number(b.about === "machine") - Number(a.about === "machine") ||
    (Number.isNaN(life) ? 0 : life) ||
    Number(b.alarms.some(isUnacked)) - Number(a.alarms.some(isUnacked)) ||
    (millis(b.since) ?? 0) - (millis(a.since) ?? 0) ||
    a.asset.name.localeCompare(b.asset.name)
  );
}

/** At most one case per asset, most urgent first. */
export function openCases(assets: readonly Asset[], alarms: readonly Alarm[]): Case[] {
  const byAsset = new Map<string, Alarm[]>();
  for (const alarm of alarms) {
    const list = byAsset.get(alarm.asset);
    if (list) list.push(alarm);
    else byAsset.set(alarm.asset, [alarm]);
  }
  return assets
    .filter((asset) => deservesCase(asset, byAsset.get(asset.id) ?? []))
    .map((asset) => toCase(asset, byAsset.get(asset.id) ?? []))
    .sort(compareCases);
}

/** Something that happened to an alarm. */
export interface PlantEvent {
  alarm: Alarm;
  what: "raised" | "returned" | "acknowledged";
  at: string;
}

/** The last things that happened, newest first. */
export function recentEvents(alarms: readonly Alarm[], most: number): PlantEvent[] {
  const events = alarms.flatMap((alarm): PlantEvent[] => [
    { alarm, what: "raised", at: alarm.raised_at },
    ...(alarm.returned_at ? [{ alarm, what: "returned" as const, at: alarm.returned_at }] : []),
    ...(alarm.acked_at ? [{ alarm, what: "acknowledged" as const, at: alarm.acked_at }] : []),
  ]);
  return events.sort((a, b) => (millis(b.at) ?? 0) - (millis(a.at) ?? 0)).slice(0, most);
}

/** Assets of one work center, under the name of its area. */
export interface Group {
  area: string;
  workCenter: string;
  assets: Asset[];
}

/** In the order of the names: places do not move when states change, so that eyes find them again. */
export function groupAssets(assets: readonly Asset[]): Group[] {
  const groups = new Map<string, Group>();
  for (const asset of assets) {
    const key = `${asset.area}\n${asset.work_center}`;
    const group = groups.get(key) ?? { area: asset.area, workCenter: asset.work_center, assets: [] };
    group.assets.push(asset);
    groups.set(key, group);
  }
  const collator = new Intl.Collator("en", { numeric: true });
  for (const group of groups.values()) group.assets.sort((a, b) => collator.compare(a.name, b.name));
  return [...groups.values()].sort(
    (a, b) => collator.compare(a.area, b.area) || collator.compare(a.workCenter, b.workCenter),
  );
}

/** Those still learning, least finished first. */
export function learners(assets: readonly Asset[]): Asset[] {
  return assets
    .filter((asset) => asset.state === "learning")
    .sort((a, b) => a.learning_ratio - b.learning_ratio || a.name.localeCompare(b.name));
}
