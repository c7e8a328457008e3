// Gaps in the data as charts want them: stretches of seconds, with the record behind each. Pure.

import { millis } from "./format.ts";
import type { Loss } from "./types.ts";

export interface Gap {
  /** Seconds since 1970. */
  from: number;
  /** The right edge while it lasts. */
  to: number;
  lasts: boolean;
  loss: Loss;
}

/** Gaps that show in the window, the longest first so that short ones are drawn above them. */
export function gapsWithin(losses: readonly Loss[], [from, to]: readonly [number, number]): Gap[] {
  return losses
    .map((loss) => ({
      from: (millis(loss.from) ?? Number.NaN) / 1_000,
      to: loss.to === null ? to : (millis(loss.to) ?? Number.NaN) / 1_000,
      lasts: loss.to === null,
      loss,
    }))
    .filter((gap) => gap.to >= from && gap.from <= to)
    .sort((a, b) => b.to - b.from - (a.to - a.from));
}

/** The gap at this time; of several the shortest, which says most. */
export function gapAt(gaps: readonly Gap[], x: number): Gap | null {
  return gaps.findLast((gap) => x >= gap.from && x <= gap.to) ?? null;
}

/** How long it is, or has been so far, in seconds of plant time. */
export function gapLength(loss: Loss, now: string | null): number {
  return Math.max(0, ((millis(loss.to ?? now) ?? 0) - (millis(loss.from) ?? 0)) / 1_000);
}
