import assert from "node:assert/strict";
import { test } from "node:test";
import { isPaused, NOTHING, perSecond, reconnectDelayMs, reduce } from "../../node_modules/.unit/lib/live.js";

const AT = "2026-11-23T14:00:00.000Z";
const asset = (id, extra = {}) => ({ id, name: id, state: "acceptable", alarms: 0, rul: { available: false }, ...extra });
const frame = (extra = {}) => ({
  at: AT,
  status: { build: "1", speed: 600, state: "ok" },
  assets: [asset("a")],
  tags: [["a.x", 1.5, "good", 3]],
  alarms_active: 2,
  alarms_version: 7,
  ...extra,
});

test("a frame replaces assets, tags and counts", () => {
  const live = reduce(NOTHING, { kind: "frame", frame: frame(), nowMs: 10 });
  assert.equal(live.at, AT);
  assert.equal(live.receivedMs, 10);
  assert.equal(live.alarmsActive, 2);
  assert.deepEqual(live.tags.get("a.x"), { value: 1.5, quality: "good", ageS: 3 });
  const next = reduce(live, { kind: "frame", frame: frame({ tags: [["b.y", null, "bad", null]] }), nowMs: 20 });
  assert.equal(next.tags.has("a.x"), false);
  assert.deepEqual(next.tags.get("b.y"), { value: null, quality: "bad", ageS: null });
});

test("sparks survive frames, which do not carry them", () => {
  const fetched = reduce(NOTHING, { kind: "assets", at: AT, assets: [asset("a", { spark: [1, 0.5] })] });
  const live = reduce(fetched, { kind: "frame", frame: frame(), nowMs: 1 });
  assert.deepEqual(live.assets[0].spark, [1, 0.5]);
});

test("a list that arrives after a frame brings only its sparks", () => {
  const live = reduce(NOTHING, { kind: "frame", frame: frame({ assets: [asset("a", { state: "act" })] }), nowMs: 1 });
  const next = reduce(live, { kind: "assets", at: "2026-11-23T13:59:59.000Z", assets: [asset("a", { state: "monitor", spark: [1] })] });
  assert.equal(next.assets[0].state, "act");
  assert.deepEqual(next.assets[0].spark, [1]);
  assert.equal(next.at, AT);
});

test("another build offers a reload, the same build after a reconnect does not", () => {
  const hello = (build) => ({ kind: "hello", hello: { at: AT, build } });
  const first = reduce(NOTHING, hello("1"));
  assert.equal(first.newBuild, false);
  assert.equal(reduce(first, hello("1")).newBuild, false);
  assert.equal(reduce(first, hello("2")).newBuild, true);
  assert.equal(reduce(reduce(first, hello("2")), hello("2")).newBuild, true);
});

test("no frame for more than three seconds is not live", () => {
  assert.equal(isPaused(null, 0, 2_999), false);
  assert.equal(isPaused(null, 0, 3_001), true);
  assert.equal(isPaused(5_000, 0, 8_000), false);
  assert.equal(isPaused(5_000, 0, 8_001), true);
});

test("reconnects back off to ten seconds and jitter", () => {
  assert.equal(reconnectDelayMs(0, 0.5), 500);
  assert.equal(reconnectDelayMs(3, 0.5), 4_000);
  assert.equal(reconnectDelayMs(40, 0.5), 10_000);
  assert.notEqual(reconnectDelayMs(2, 0.1), reconnectDelayMs(2, 0.9));
});

test("rates need two samples and survive a restart of the counter", () => {
  assert.equal(perSecond(null, { count: 5, ms: 1_000 }), null);
  assert.equal(perSecond({ count: 0, ms: 0 }, { count: 50, ms: 2_000 }), 25);
  assert.equal(perSecond({ count: 100, ms: 0 }, { count: 5, ms: 2_000 }), null);
});
