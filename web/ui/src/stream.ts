// The one live stream of this tab: connects, reconnects with jitter, rests while nobody looks.

import { computed, signal } from "@preact/signals";
import { get } from "./api.ts";
import { isPaused, NOTHING, reconnectDelayMs, reduce, type Live, type LiveEvent } from "./lib/live.ts";
import type { Asset, Frame, Hello, Status } from "./lib/types.ts";

export const live = signal<Live>(NOTHING);
/** The user has stopped the updates. */
export const stopped = signal(false);
/** The browser's monotonic clock, ticking once a second. */
const tickMs = signal(performance.now());
const startedMs = signal(performance.now());

/** How long there has been no frame, in seconds; null while the page is live. */
export const pausedForS = computed(() => {
  const { receivedMs } = live.value;
  return isPaused(receivedMs, startedMs.value, tickMs.value)
    ? Math.round((tickMs.value - (receivedMs ?? startedMs.value)) / 1_000)
    : null;
});

/** The gateway's time: what every age on the page is measured against. */
export const now = computed(() => live.value.at);
/** Whether what is shown is of now. */
export const isLive = computed(() => pausedForS.value === null && !stopped.value);

let source: EventSource | null = null;
let retry: number | undefined;
let attempt = 0;

function dispatch(event: LiveEvent): void {
  live.value = reduce(live.value, event);
}

function parse<T>(event: Event): T | null {
  try {
    return JSON.parse((event as MessageEvent<string>).data) as T;
  } catch {
    return null;
  }
}

function disconnect(): void {
  window.clearTimeout(retry);
  source?.close();
  source = null;
}

function reconnectLater(): void {
  disconnect();
  retry = window.setTimeout(connect, reconnectDelayMs(attempt, Math.random()));
  attempt += 1;
}

function connect(): void {
  disconnect();
  if (stopped.value || document.hidden) return;
  const opened = new EventSource("/api/v1/stream");
  source = opened;
  opened.addEventListener("hello", (event) => {
    const hello = parse<Hello>(event);
    if (hello) dispatch({ kind: "hello", hello });
  });
  opened.addEventListener("frame", (event) => {
    const frame = parse<Frame>(event);
    if (!frame) return;
    attempt = 0;
    tickMs.value = performance.now();
    dispatch({ kind: "frame", frame, nowMs: tickMs.value });
  });
  opened.addEventListener("bye", reconnectLater);
  // The browser's own retry has no jitter and gives up on a 503, so ours replaces it.
  opened.addEventListener("error", reconnectLater);
}

function tick(): void {
  tickMs.value = performance.now();
  // A connection that is open but silent is dead: a sleeping laptop, a stalled proxy.
  const silentS = pausedForS.value;
  if (source && silentS !== null && silentS >= 20 && silentS % 20 === 0) reconnectLater();
}

export function setStopped(value: boolean): void {
  stopped.value = value;
  if (value) disconnect();
  else {
    startedMs.value = performance.now();
    connect();
  }
}

async function loadSnapshot(): Promise<void> {
  const [assets, status] = await Promise.allSettled([
    get<{ at: string; assets: Asset[] }>("/assets"),
    get<Status>("/status"),
  ]);
  if (status.status === "fulfilled") dispatch({ kind: "status", status: status.value });
  if (assets.status === "fulfilled") dispatch({ kind: "assets", at: assets.value.at, assets: assets.value.assets });
}

/** Sparklines change slowly and are not part of a frame. */
export async function refreshSparks(signal?: AbortSignal): Promise<void> {
  const answer = await get<{ at: string; assets: Asset[] }>("/assets", signal);
  dispatch({ kind: "assets", at: answer.at, assets: answer.assets });
}

export function startStream(): void {
  void loadSnapshot();
  connect();
  window.setInterval(tick, 1_000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect();
    else if (!stopped.value) {
      startedMs.value = performance.now();
      attempt = 0;
      connect();
    }
  });
  window.addEventListener("online", () => {
    attempt = 0;
    connect();
  });
}
