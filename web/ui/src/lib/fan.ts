// The fan of remaining life: what was estimated until now, and from now on the life that is left, running down to the
// dates of failure. Pure.

import { millis } from "./format.ts";
import type { Rul, RulHistoryPoint } from "./types.ts";

export interface Fan {
  /** Seconds since 1970: past estimates, then the future to the last date of failure. */
  x: number[];
  low: (number | null)[];
  middle: (number | null)[];
  high: (number | null)[];
  range: [number, number];
  /** Top of the scale in hours; "no end in sight" runs along it. */
  top: number;
  /** Dates of failure in seconds; null when there is no estimate, or no end in sight. */
  failure: { from: number; middle: number | null; to: number | null } | null;
}

function median(values: number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}

/** Wild first estimates must not flatten the rest: the scale follows the present and the middle of the past. */
function scaleTop(rul: Rul, history: readonly RulHistoryPoint[]): number {
  const highs = history.map(({ p95_h, p50_h }) => p95_h ?? p50_h).filter((value) => value !== null);
  const present = rul.available ? (rul.p95_h ?? (rul.p50_h ?? rul.p05_h ?? 0) * 2) : 0;
  return Math.max(present, median(highs) ?? 0, 0.5) * 1.15;
}

const NOTHING = { p05_h: null, p50_h: null, p95_h: null };

/** More than this many ordinary steps without an estimate is a time without one. */
const GAP_STEPS = 3.5;

/** Times without an estimate are missing from the history; a point without values breaks the lines there. */
function withGaps(history: readonly RulHistoryPoint[]): RulHistoryPoint[] {
  const times = history.map(({ at }) => millis(at) ?? 0);
  const step = median(times.slice(1).map((time, index) => time - (times[index] ?? time)));
  return history.flatMap((point, index) => {
    const before = times[index - 1];
    const late = before !== undefined && step !== null && step > 0 && (times[index] ?? 0) - before > GAP_STEPS * step;
    return late ? [{ ...NOTHING, at: new Date(before + step).toISOString() }, point] : [point];
  });
}

/** Null when there is neither an estimate nor a history of estimates. */
export function fan(rul: Rul, history: readonly RulHistoryPoint[], nowS: number): Fan | null {
  const past = withGaps(history)
    .map((point) => ({ ...point, x: (millis(point.at) ?? Number.NaN) / 1_000 }))
    .filter(({ x }) => x < nowS);
  if (!rul.available && past.length === 0) return null;
  const top = scaleTop(rul, history);
  const above = top * 1.5;
  const result: Fan = { x: [], low: [], middle: [], high: [], range: [nowS - 3_600, nowS], top, failure: null };
  for (const point of past) {
    const none = point.p05_h === null && point.p50_h === null && point.p95_h === null;
    result.x.push(point.x);
    result.low.push(point.p05_h);
    result.middle.push(none ? null : (point.p50_h ?? above));
    result.high.push(none ? null : (point.p95_h ?? above));
  }
  const first = past[0]?.x ?? nowS - 3_600;
  result.range = [first, nowS];
  if (rul.available && rul.p05_h !== null) extend(result, { ...rul, p05_h: rul.p05_h }, nowS, above);
  return result;
}

/** Remaining life shrinks by an hour an hour: from each quantile a straight line down to its date. */
function extend(
  result: Fan,
  rul: { p05_h: number; p50_h: number | null; p95_h: number | null },
  nowS: number,
  above: number,
): void {
  const dates = [rul.p05_h, rul.p50_h, rul.p95_h].map((hours) => (hours === null ? null : nowS + hours * 3_600));
  const [from, middle, to] = dates as [number, number | null, number | null];
  const end = to ?? (middle !== null ? nowS + (middle - nowS) * 2 : nowS + (from - nowS) * 3);
  const left = (hours: number | null, x: number) => {
    if (hours === null) return above;
    const rest = hours - (x - nowS) / 3_600;
    return rest < -1e-9 ? null : Math.max(0, rest);
  };
  const xs = [...new Set([nowS, from, middle ?? end, end])].filter((x) => x <= end).sort((a, b) => a - b);
  for (const x of xs) {
    result.x.push(x);
    result.low.push(left(rul.p05_h, x) ?? 0);
    result.middle.push(left(rul.p50_h, x));
    result.high.push(left(rul.p95_h, x));
  }
  // The past takes at most as much room again as what is to come, or a long history hides a near end.
  const start = Math.max(result.range[0], nowS - 1.5 * (end - nowS));
  result.range = [start, end + (end - start) * 0.02];
  result.failure = { from, middle, to };
}
