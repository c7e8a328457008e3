// The one place where numbers, units and times become text. Everything is relative to the gateway's time: plant time
// may run faster than the wall clock and lie in the future, so nothing here asks the browser what time it is.

import type { Rul, RulInterval, TagValue } from "./types.ts";

/** Stands for "there is no value". */
export const NONE = "–";

const MINUTE_S = 60;
const HOUR_S = 3_600;
const DAY_S = 86_400;

/** A number apart from its unit, so that columns can align both. */
export interface Quantity {
  number: string;
  unit: string;
}

const UNITS: Readonly<Record<string, string>> = {
  Cel: "°C",
  "[degF]": "°F",
  K: "K",
  "m3/h": "m³/h",
  "m3/s": "m³/s",
  "m/s2": "m/s²",
  "mm/s2": "mm/s²",
  "1/min": "rpm",
  "/min": "rpm",
  "{rpm}": "rpm",
  "{revolutions}/min": "rpm",
  "[g]": "g",
  um: "µm",
  "N.m": "N·m",
  "kW.h": "kWh",
  "1": "",
};

/** A UCUM unit as people write it. */
export function unitText(ucum: string): string {
  return UNITS[ucum] ?? ucum;
}

/** Fewer decimals for larger numbers: about three significant digits, never an exponent. */
export function decimalsFor(magnitude: number): number {
  const size = Math.abs(magnitude);
  if (!Number.isFinite(size) || size >= 100) return 0;
  if (size >= 10) return 1;
  if (size >= 1 || size === 0) return 2;
  return 3;
}

const numberFormats = new Map<number, Intl.NumberFormat>();

/** A number with a fixed count of decimals and a real minus sign. */
export function fixed(value: number, decimals: number): string {
  let format = numberFormats.get(decimals);
  if (!format) {
    format = new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    numberFormats.set(decimals, format);
  }
  const text = format.format(value);
  return text.startsWith("-") ? (/[1-9]/.test(text) ? `−${text.slice(1)}` : text.slice(1)) : text;
}

/** A number with about three significant digits; no more decimals than make sense in a range of this `span`. */
export function number(value: number | null | undefined, span?: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const most = span === undefined ? 3 : decimalsFor(span) + 1;
  return fixed(value, Math.min(most, decimalsFor(value)));
}

/** The size by which a tag's decimals are limited: half its range. */
export function tagSpan(tag: Pick<TagValue, "range">): number | undefined {
  return tag.range ? (tag.range[1] - tag.range[0]) / 2 : undefined;
}

/** A configured number as it was written: no trailing zeros. */
export function plain(value: number, ucum: string): string {
  const text = number(value).replace(/\.0+$|(\.\d*?)0+$/, "$1");
  const unit = unitText(ucum);
  return unit ? `${text}\u00a0${unit}` : text;
}

/** Two significant digits of a spread decide how many decimals its neighbours deserve. */
export function decimalsOfSpread(spread: number): number {
  if (!(spread > 0)) return 2;
  return Math.min(3, Math.max(0, 1 - Math.floor(Math.log10(spread))));
}

/** "4.06 mm/s" and "2.10 ± 0.28 mm/s", with the same decimals. */
export function withSpread(actual: number, expected: number, spread: number, ucum: string): { actual: string; expected: string } {
  const decimals = decimalsOfSpread(spread);
  const unit = unitText(ucum) ? `\u00a0${unitText(ucum)}` : "";
  return {
    actual: fixed(actual, decimals) + unit,
    expected: `${fixed(expected, decimals)}\u00a0±\u00a0${fixed(spread, decimals)}${unit}`,
  };
}

/** A rate of change with two significant digits, "0.34 °C per h". */
export function perHour(value: number, ucum: string): string {
  const unit = unitText(ucum);
  return `${fixed(value, decimalsOfSpread(Math.abs(value)))}${unit ? `\u00a0${unit}` : ""} per\u00a0h`;
}

export function quantity(value: number | null | undefined, ucum: string, span?: number): Quantity {
  const unit = unitText(ucum);
  // A bare whole number counts or says on and off: decimals would pretend a measurement.
  const whole = unit === "" && Number.isInteger(value);
  return { number: whole ? fixed(value ?? 0, 0) : number(value, span), unit };
}

/** Number and unit in one text, a no-break space between them. */
export function withUnit(value: number | null | undefined, ucum: string, span?: number): string {
  const { number: text, unit } = quantity(value, ucum, span);
  return unit ? `${text}\u00a0${unit}` : text;
}

export function percent(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined || !Number.isFinite(ratio)) return NONE;
  return `${fixed(ratio * 100, 0)}\u00a0%`;
}

export function count(value: number): string {
  return fixed(value, 0);
}

/** Events a second. */
export function rate(perSecond: number | null): string {
  if (perSecond === null || !Number.isFinite(perSecond)) return NONE;
  return fixed(perSecond, perSecond >= 10 || perSecond === 0 ? 0 : 1);
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes in decimal units, as network people count them. */
export function bytes(value: number): string {
  let size = value;
  let step = 0;
  while (size >= 999.5 && step < BYTE_UNITS.length - 1) {
    size /= 1_000;
    step += 1;
  }
  const decimals = step === 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return `${fixed(size, decimals)}\u00a0${BYTE_UNITS[step]}`;
}

/** Milliseconds of a round trip. */
export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  if (value < 1) return `${fixed(value, 2)}\u00a0ms`;
  return value < 1_000 ? `${fixed(value, value < 10 ? 1 : 0)}\u00a0ms` : `${fixed(value / 1_000, 1)}\u00a0s`;
}

/** A length of time in its largest fitting unit: "3 s", "12 min", "5 h", "9 d". */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  const size = Math.max(0, seconds);
  if (size < 99.5) return `${fixed(size, 0)}\u00a0s`;
  if (size < 99.5 * MINUTE_S) return `${fixed(size / MINUTE_S, 0)}\u00a0min`;
  if (size < 47.5 * HOUR_S) return `${fixed(size / HOUR_S, 0)}\u00a0h`;
  return `${fixed(size / DAY_S, 0)}\u00a0d`;
}

/** Milliseconds since 1970, or null for what is no time. */
export function millis(time: string | null | undefined): number | null {
  if (!time) return null;
  const parsed = Date.parse(time);
  return Number.isNaN(parsed) ? null : parsed;
}

/** Seconds between a time and the gateway's now. */
export function ageSeconds(time: string | null | undefined, now: string | null | undefined): number | null {
  const then = millis(time);
  const at = millis(now);
  return then === null || at === null ? null : Math.max(0, (at - then) / 1_000);
}

/** How long ago, without the word "ago". */
export function age(time: string | null | undefined, now: string | null | undefined): string {
  return duration(ageSeconds(time, now));
}

const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const clockFormat = new Intl.DateTimeFormat("en-GB", { ...CLOCK, second: "2-digit" });
const minuteFormat = new Intl.DateTimeFormat("en-GB", CLOCK);
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dateFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const zoneFormat = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });

/** "14:03:22" in the viewer's time zone. */
export function clock(time: string | number | null | undefined): string {
  const at = typeof time === "number" ? time : millis(time);
  return at === null ? NONE : clockFormat.format(at);
}

/** "14:03". */
export function hourMinute(at: number): string {
  return minuteFormat.format(at);
}

/** "23 Nov". */
export function day(time: string | number | null | undefined): string {
  const at = typeof time === "number" ? time : millis(time);
  return at === null ? NONE : dayFormat.format(at);
}

/** "23 Nov 2026". */
export function date(time: string | null | undefined): string {
  const at = millis(time);
  return at === null ? NONE : dateFormat.format(at);
}

/** The viewer's time zone, "UTC" or "CET". */
export function zone(time: string | null | undefined): string {
  const at = millis(time);
  if (at === null) return "";
  return zoneFormat.formatToParts(at).find((part) => part.type === "timeZoneName")?.value ?? "";
}

/** "14:03:22" today, "23 Nov, 14:03" on other days. */
export function moment(time: string | number | null | undefined, now: string | null | undefined): string {
  const at = typeof time === "number" ? time : millis(time);
  if (at === null) return NONE;
  const today = millis(now);
  if (today !== null && dayFormat.format(at) === dayFormat.format(today)) return clockFormat.format(at);
  return `${dayFormat.format(at)}, ${minuteFormat.format(at)}`;
}

/** To the minute, for times that nobody knows to the second: "21:04" today, "24 Nov, 05:32" on other days. */
export function about(time: string | number | null | undefined, now: string | null | undefined): string {
  const at = typeof time === "number" ? time : millis(time);
  if (at === null) return NONE;
  const today = millis(now);
  const hour = minuteFormat.format(at);
  return today !== null && dayFormat.format(at) === dayFormat.format(today) ? hour : `${dayFormat.format(at)}, ${hour}`;
}

/** A tick on a time axis whose ticks are `stepSeconds` apart. */
export function axisTime(at: number, stepSeconds: number, first: boolean): string {
  if (stepSeconds >= DAY_S) return dayFormat.format(at);
  const midnight = minuteFormat.format(at) === "00:00";
  if (stepSeconds < MINUTE_S) return clockFormat.format(at);
  return first || midnight ? `${minuteFormat.format(at)}\n${dayFormat.format(at)}` : minuteFormat.format(at);
}

/** Hours as a number in the unit in which `scale` hours read best. */
export function hoursIn(hours: number, scale: number): Quantity {
  if (scale < 2) return { number: fixed(hours * 60, 0), unit: "min" };
  if (scale < 10) return { number: fixed(hours, 1), unit: "h" };
  if (scale < 72) return { number: fixed(hours, 0), unit: "h" };
  if (scale < 10 * 24) return { number: fixed(hours / 24, 1), unit: "d" };
  if (scale < 700 * 24) return { number: fixed(hours / 24, 0), unit: "d" };
  return { number: fixed(hours / 8_766, 1), unit: "a" };
}

/** The three quantiles of an estimate. */
export type Quantiles = Pick<RulInterval, "p05_h" | "p50_h" | "p95_h">;

/** The end of the interval that decides its unit. */
function rulScale(rul: Quantiles): number {
  return rul.p95_h ?? rul.p50_h ?? rul.p05_h ?? 0;
}

/** Remaining life as an interval in one unit: "6 – 14 h", "≥ 6 h" when no end is in sight, "∞". Never a lone number. */
export function rulInterval(rul: Quantiles): string {
  const scale = rulScale(rul);
  if (rul.p05_h === null) return "∞";
  const low = hoursIn(rul.p05_h, scale);
  if (rul.p95_h === null) return `≥\u00a0${low.number}\u00a0${low.unit}`;
  const high = hoursIn(rul.p95_h, scale);
  return `${low.number}\u2009–\u2009${high.number}\u00a0${high.unit}`;
}

/** The middle of the interval, or null when it lies beyond any horizon. */
export function rulMiddle(rul: RulInterval): string | null {
  if (rul.p50_h === null) return null;
  const middle = hoursIn(rul.p50_h, rulScale(rul));
  return `${middle.number}\u00a0${middle.unit}`;
}

/** The interval if there is one. */
export function rulShort(rul: Rul): string | null {
  return rul.available ? rulInterval(rul) : null;
}

/** How many times less, honestly rounded: "47×", "1.3×". Null when nothing can be said. */
export function timesLess(raw: number, sent: number): string | null {
  if (raw <= 0 || sent <= 0) return null;
  const factor = raw / sent;
  return `${fixed(factor, factor >= 10 ? 0 : 1)}×`;
}

/** The speed of a demo's clock: "×600". */
export function speed(factor: number): string {
  return `×${fixed(factor, Number.isInteger(factor) ? 0 : 1)}`;
}
