// History as the chart wants it: columns with seconds, null where there is a gap. Pure.

import type { Mark, Quality, TagHistory } from "./types.ts";
import { millis } from "./format.ts";

export interface Series {
  /** Seconds since 1970, rising. */
  x: number[];
  mean: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
  quality: Quality[];
}

export const EMPTY_SERIES: Series = { x: [], mean: [], min: [], max: [], quality: [] };

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** More than this many ordinary steps without a point is a gap. */
const GAP_STEPS = 3.5;

/** Bad values and missing stretches become null, so that the line breaks: gaps stay gaps. */
export function toSeries(history: TagHistory): Series {
  const { at, min, max, mean, quality, level } = history;
  const step = median(at.slice(1).map((time, index) => time - (at[index] ?? time)));
  const series: Series = { x: [], mean: [], min: [], max: [], quality: [] };
  const push = (time: number, low: number | null, middle: number | null, high: number | null, q: Quality) => {
    series.x.push(time / 1_000);
    series.min.push(low);
    series.mean.push(middle);
    series.max.push(high);
    series.quality.push(q);
  };
  at.forEach((time, index) => {
    const before = at[index - 1];
    if (before !== undefined && step > 0 && time - before > GAP_STEPS * step) push(before + step, null, null, null, "bad");
    const q = quality[index] ?? "good";
    // A bucket may hold a bad reading beside good ones: it is shown, and marked. A bad reading by itself is not.
    const hidden = q === "bad" && level === "raw";
    const value = (column: (number | null)[]) => (hidden ? null : (column[index] ?? null));
    push(time, value(min), value(mean), value(max), q);
  });
  return series;
}

/** Whether the band is worth drawing: raw points have no width. */
export function hasBand(series: Series): boolean {
  return series.min.some((low, index) => low !== null && low !== series.max[index]);
}

/** Stretches of seconds in which the value is not to be believed. */
export function doubtful(series: Series): [number, number][] {
  const stretches: [number, number][] = [];
  let from: number | null = null;
  series.x.forEach((x, index) => {
    if (series.quality[index] !== "good" && series.mean[index] !== null) from ??= x;
    else if (from !== null) {
      stretches.push([from, x]);
      from = null;
    }
  });
  const end = series.x.at(-1);
  if (from !== null && end !== undefined) stretches.push([from, end]);
  return stretches;
}

/** The index of the value nearest to x, or null. */
export function nearest(xs: readonly number[], x: number): number | null {
  if (xs.length === 0) return null;
  let low = 0;
  let high = xs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((xs[middle] ?? 0) < x) low = middle + 1;
    else high = middle;
  }
  const before = xs[low - 1];
  return before !== undefined && x - before < (xs[low] ?? Number.POSITIVE_INFINITY) - x ? low - 1 : low;
}

/** Change per hour over the last third of what is seen, for the summary in words. */
export function slopePerHour(series: Series): number | null {
  const from = Math.floor((series.x.length * 2) / 3);
  const points: [number, number][] = [];
  for (let index = from; index < series.x.length; index += 1) {
    const y = series.mean[index];
    const x = series.x[index];
    if (y !== null && y !== undefined && x !== undefined && series.quality[index] === "good") points.push([x, y]);
  }
  if (points.length < 8) return null;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const sxy = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const sxx = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return sxx === 0 ? null : (sxy / sxx) * 3_600;
}

/** Marks inside the window, in seconds. */
export function marksWithin(marks: readonly Mark[], from: number, to: number): { x: number; mark: Mark }[] {
  return marks
    .map((mark) => ({ x: (millis(mark.at) ?? Number.NaN) / 1_000, mark }))
    .filter(({ x }) => x >= from && x <= to);
}
