import assert from "node:assert/strict";
import { test } from "node:test";
import { groupAssets, learners, openCases, recentEvents } from "../../node_modules/.unit/lib/rank.js";

const NO_RUL = { available: false, code: "no_degradation", reason: "" };
const asset = (id, extra = {}) => ({
  id,
  name: id,
  area: "a",
  work_center: "w",
  state: "acceptable",
  since: "2026-11-23T10:00:00.000Z",
  reason: `reason of ${id}`,
  rul: NO_RUL,
  alarms: 0,
  learning_ratio: 1,
  ...extra,
});
const alarm = (id, assetId, extra = {}) => ({
  id,
  asset: assetId,
  kind: "machine_anomaly",
  state: "unacked_alarm",
  priority: "medium",
  raised_at: "2026-11-23T11:00:00.000Z",
  returned_at: null,
  sentence: `sentence of ${id}`,
  ...extra,
});
const names = (cases) => cases.map(({ asset: { id } }) => id);

test("healthy assets without alarms are quiet", () => {
  assert.deepEqual(openCases([asset("a"), asset("b", { state: "learning" }), asset("c", { state: "unknown" })], []), []);
});

test("the worse state comes first, whatever the order it arrives in", () => {
  const assets = [asset("m", { state: "monitor" }), asset("x", { state: "act" }), asset("p", { state: "plan" })];
  assert.deepEqual(names(openCases(assets, [])), ["x", "p", "m"]);
});

test("of two in the same state the one with less life left comes first", () => {
  const rul = (p05_h) => ({ available: true, p05_h, p50_h: p05_h * 2, p95_h: null });
  const assets = [asset("none", { state: "plan" }), asset("long", { state: "plan", rul: rul(90) }), asset("short", { state: "plan", rul: rul(3) })];
  assert.deepEqual(names(openCases(assets, [])), ["short", "long", "none"]);
});

test("an asset has one case however many alarms it has", () => {
  const cases = openCases([asset("a", { state: "plan", alarms: 2 })], [alarm("1", "a"), alarm("2", "a", { kind: "sensor_fault" })]);
  assert.equal(cases.length, 1);
  assert.equal(cases[0].alarms[0].id, "1");
  assert.equal(cases[0].sentence, "reason of a");
});

test("a sensor fault on a healthy machine is a case about the instrument", () => {
  const [only] = openCases([asset("a", { alarms: 1 })], [alarm("1", "a", { kind: "sensor_fault" })]);
  assert.equal(only.about, "instrument");
  assert.equal(only.sentence, "sentence of 1");
});

test("machines come before instruments", () => {
  const assets = [asset("sensor", { alarms: 1 }), asset("machine", { alarms: 1 })];
  const alarms = [alarm("1", "sensor", { kind: "sensor_fault", priority: "high" }), alarm("2", "machine", { kind: "failure_limit" })];
  assert.deepEqual(names(openCases(assets, alarms)), ["machine", "sensor"]);
});

test("an alarm whose condition is over speaks after one that stands", () => {
  const alarms = [alarm("over", "a", { state: "rtn_unacked", priority: "high" }), alarm("stands", "a", { priority: "low" })];
  assert.equal(openCases([asset("a", { alarms: 2 })], alarms)[0].alarms[0].id, "stands");
});

test("assets are grouped by place and sorted as people count", () => {
  const assets = [asset("pump-10", { work_center: "w2" }), asset("pump-2", { work_center: "w2" }), asset("fan-1", { work_center: "w1" })];
  const groups = groupAssets(assets);
  assert.deepEqual(groups.map(({ workCenter }) => workCenter), ["w1", "w2"]);
  assert.deepEqual(groups[1].assets.map(({ name }) => name), ["pump-2", "pump-10"]);
});

test("the least learnt comes first", () => {
  const assets = [asset("b", { state: "learning", learning_ratio: 0.9 }), asset("a", { state: "learning", learning_ratio: 0.2 }), asset("c")];
  assert.deepEqual(learners(assets).map(({ id }) => id), ["a", "b"]);
});

test("what happened is told newest first, each step of an alarm by itself", () => {
  const over = alarm("1", "a", { returned_at: "2026-11-23T11:30:00.000Z", acked_at: "2026-11-23T11:10:00.000Z" });
  const events = recentEvents([over, alarm("2", "b", { raised_at: "2026-11-23T11:20:00.000Z" })], 3);
  assert.deepEqual(events.map(({ alarm: { id }, what }) => `${id} ${what}`), ["1 returned", "2 raised", "1 acknowledged"]);
});
