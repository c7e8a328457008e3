// What the tab knows about the plant, and how each event of the stream changes it. Pure: time is an argument.

import type { Asset, Frame, Hello, Quality, StatusHead } from "./types.ts";

/** One tag as of the last frame. */
export interface LiveTag {
  value: number | null;
  quality: Quality;
  ageS: number | null;
}

export interface Live {
  /** The gateway's time of the last frame. */
  at: string | null;
  /** The browser's monotonic clock at the last frame, in milliseconds. */
  receivedMs: number | null;
  status: StatusHead | null;
  assets: readonly Asset[];
  tags: ReadonlyMap<string, LiveTag>;
  alarmsActive: number;
  /** Rises when any alarm changes: the lists are then fetched anew. */
  alarmsVersion: number;
  /** The program this page was made for. */
  build: string | null;
  /** Another program answers now: offer a reload. */
  newBuild: boolean;
}

export const NOTHING: Live = {
  at: null,
  receivedMs: null,
  status: null,
  assets: [],
  tags: new Map(),
  alarmsActive: 0,
  alarmsVersion: -1,
  build: null,
  newBuild: false,
};

export type LiveEvent =
  | { kind: "hello"; hello: Hello }
  | { kind: "frame"; frame: Frame; nowMs: number }
  | { kind: "assets"; at: string; assets: readonly Asset[] }
  | { kind: "status"; status: StatusHead };

export function reduce(live: Live, event: LiveEvent): Live {
  switch (event.kind) {
    case "hello":
      return { ...live, build: live.build ?? event.hello.build, newBuild: isNewer(live, event.hello.build) };
    case "frame":
      return applyFrame(live, event.frame, event.nowMs);
    case "assets":
      return { ...live, at: later(live.at, event.at), assets: withSparks(live.assets, event.assets) };
    case "status":
      return {
        ...live,
        at: later(live.at, event.status.at),
        status: live.status ?? event.status,
        alarmsActive: live.status ? live.alarmsActive : event.status.alarms_active,
      };
  }
}

function isNewer(live: Live, build: string): boolean {
  return live.newBuild || (live.build !== null && live.build !== build);
}

function later(a: string | null, b: string): string {
  return a !== null && Date.parse(a) > Date.parse(b) ? a : b;
}

function applyFrame(live: Live, frame: Frame, nowMs: number): Live {
  const sparks = new Map(live.assets.map((asset) => [asset.id, asset.spark]));
  return {
    ...live,
    at: frame.at,
    receivedMs: nowMs,
    status: { ...live.status, ...frame.status },
    assets: frame.assets.map((asset) => {
      const spark = asset.spark ?? sparks.get(asset.id);
      return spark ? { ...asset, spark } : asset;
    }),
    tags: new Map(frame.tags.map(([id, value, quality, ageS]) => [id, { value, quality, ageS }])),
    alarmsActive: frame.alarms_active,
    alarmsVersion: frame.alarms_version,
  };
}

/** A list fetched while frames arrive is older than the last frame: only its sparks are news. */
function withSparks(known: readonly Asset[], fetched: readonly Asset[]): readonly Asset[] {
  if (known.length === 0) return fetched;
  const sparks = new Map(fetched.map((asset) => [asset.id, asset.spark]));
  return known.map((asset) => {
    const spark = sparks.get(asset.id);
    return spark ? { ...asset, spark } : asset;
  });
}

/** Frames come every second; after this long without one the page says that it is not live. */
export const PAUSED_AFTER_MS = 3_000;

export function isPaused(receivedMs: number | null, startedMs: number, nowMs: number): boolean {
  return nowMs - (receivedMs ?? startedMs) > PAUSED_AFTER_MS;
}

/** Wait before the next attempt: doubles from half a second to ten, and jitters so that tabs do not come in step. */
export function reconnectDelayMs(attempt: number, random: number): number {
  const base = Math.min(10_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(base * (0.5 + random));
}

/** Counter differences per second of wall time, for rates from two answers. */
export function perSecond(
  earlier: { count: number; ms: number } | null,
  later: { count: number; ms: number },
): number | null {
  if (!earlier || later.ms <= earlier.ms || later.count < earlier.count) return null;
  return ((later.count - earlier.count) * 1_000) / (later.ms - earlier.ms);
}
