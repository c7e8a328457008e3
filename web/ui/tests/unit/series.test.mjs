import assert from "node:assert/strict";
import { test } from "node:test";
import { doubtful, hasBand, nearest, slopePerHour, toSeries } from "../../node_modules/.unit/lib/series.js";
import { fan } from "../../node_modules/.unit/lib/fan.js";
import { assetPath, bounds, pan, parsePath, parseWindow, windowQuery, zoom } from "../../node_modules/.unit/lib/view.js";

const history = (at, mean, quality = at.map(() => "good")) => ({ id: "t", unit: "", level: "raw", at, min: mean, max: mean, mean, quality });

test("a missing stretch becomes a gap, not a line", () => {
  const series = toSeries(history([0, 1_000, 2_000, 3_000, 20_000, 21_000], [1, 1, 1, 1, 2, 2]));
  assert.deepEqual(series.x, [0, 1, 2, 3, 4, 20, 21]);
  assert.equal(series.mean[4], null);
});

test("a bad value is hidden, an uncertain one is shown and marked", () => {
  const series = toSeries(history([0, 1_000, 2_000, 3_000], [1, 2, 3, 4], ["good", "bad", "uncertain", "uncertain"]));
  assert.deepEqual(series.mean, [1, null, 3, 4]);
  assert.deepEqual(doubtful(series), [[2, 3]]);
});

test("a bucket with a bad reading among good ones is shown and marked", () => {
  const bucket = { ...history([0, 60_000], [1, 2], ["good", "bad"]), level: "1min" };
  const series = toSeries(bucket);
  assert.deepEqual(series.mean, [1, 2]);
  assert.deepEqual(doubtful(series), [[60, 60]]);
});

test("raw points have no band", () => {
  const flat = toSeries(history([0, 1_000], [1, 2]));
  assert.equal(hasBand(flat), false);
  assert.equal(hasBand({ ...flat, max: [1.5, 2] }), true);
});

test("no history at all is an empty series", () => {
  assert.deepEqual(toSeries(history([], [])).x, []);
});

test("the nearest point is found on both sides", () => {
  assert.equal(nearest([0, 10, 20], 4), 0);
  assert.equal(nearest([0, 10, 20], 6), 1);
  assert.equal(nearest([0, 10, 20], 99), 2);
  assert.equal(nearest([], 1), null);
});

test("a slope is told per hour", () => {
  const at = Array.from({ length: 60 }, (_, index) => index * 60_000);
  const slope = slopePerHour(toSeries(history(at, at.map((ms) => ms / 3_600_000))));
  assert.ok(Math.abs(slope - 1) < 1e-9);
});

const NOW_S = 1_000_000;
const RUL = { available: true, p05_h: 5, p50_h: 9, p95_h: 14 };

test("the fan runs down to the dates of failure", () => {
  const shape = fan(RUL, [], NOW_S);
  assert.deepEqual(shape.failure, { from: NOW_S + 5 * 3_600, middle: NOW_S + 9 * 3_600, to: NOW_S + 14 * 3_600 });
  assert.equal(shape.low[shape.x.indexOf(NOW_S)], 5);
  assert.equal(shape.high.at(-1), 0);
  assert.equal(shape.middle[shape.x.indexOf(NOW_S + 9 * 3_600)], 0);
});

test("no end in sight leaves the fan open at the top", () => {
  const shape = fan({ ...RUL, p95_h: null }, [], NOW_S);
  assert.equal(shape.failure.to, null);
  assert.ok(shape.high.every((hours) => hours === null || hours >= shape.top));
});

test("a time without estimates breaks the fan", () => {
  const at = [0, 1, 2, 3, 20, 21].map((minute) => new Date((NOW_S - 3_000 + minute * 60) * 1_000).toISOString());
  const shape = fan(RUL, at.map((time) => ({ at: time, p05_h: 5, p50_h: 9, p95_h: 14 })), NOW_S);
  assert.equal(shape.x.length, 6 + 1 + 4);
  assert.equal(shape.low[4], null);
  assert.equal(shape.middle[4], null);
});

test("when even the earliest quantile lies at never, the fan has no dates", () => {
  const shape = fan({ available: true, p05_h: null, p50_h: null, p95_h: null }, [], NOW_S);
  assert.equal(shape.failure, null);
});

test("without an estimate and a history there is no fan", () => {
  assert.equal(fan({ available: false, code: "learning", reason: "" }, [], NOW_S), null);
});

test("addresses lead to pages and back", () => {
  const id = "acme.lyon.utilities.water.pump-1";
  assert.deepEqual(parsePath(assetPath(id)), { page: "asset", id });
  assert.deepEqual(parsePath("/"), { page: "overview" });
  assert.deepEqual(parsePath("/alarms/history"), { page: "alarms", tab: "history" });
  assert.equal(parsePath("/nowhere").page, "missing");
  assert.equal(parsePath("/asset/%E0%A4%A").page, "asset");
});

test("a range survives the address", () => {
  for (const view of [{ follow: true, spanS: 3_600 }, { follow: false, from: 1_000, to: 5_000 }]) {
    assert.deepEqual(parseWindow(new URLSearchParams(windowQuery(view))), view);
  }
  assert.deepEqual(parseWindow(new URLSearchParams("from=9&to=3")), { follow: true, spanS: 86_400 });
  assert.deepEqual(parseWindow(new URLSearchParams("span=nonsense")), { follow: true, spanS: 86_400 });
});

test("panning past now follows again", () => {
  const earlier = pan({ follow: true, spanS: 100 }, -0.5, 1_000);
  assert.deepEqual(earlier, { follow: false, from: 850, to: 950 });
  assert.deepEqual(pan(earlier, 0.5, 1_000), { follow: true, spanS: 100 });
  assert.deepEqual(bounds(zoom({ follow: true, spanS: 100 }, 0.5), 1_000), [950, 1_000]);
});
