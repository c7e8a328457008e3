import assert from "node:assert/strict";
import { test } from "node:test";
import * as f from "../../node_modules/.unit/lib/format.js";

const NOW = "2031-05-04T12:00:00.000Z";
const plain = (text) => text.replaceAll("\u00a0", " ").replaceAll("\u2009", " ");

/** Rows of [input, expected]. */
function check(call, rows) {
  for (const [input, expected] of rows) assert.equal(plain(call(...[input].flat())), expected, JSON.stringify(input));
}

test("a bare whole number has no decimals", () => {
  assert.equal(f.quantity(1, "").number, "1");
  assert.equal(f.quantity(1, "mm/s").number, "1.00");
  assert.equal(f.quantity(1.5, "").number, "1.50");
  assert.equal(f.quantity(null, "").number, "–");
});

test("numbers keep about three significant digits", () => {
  check(f.number, [
    [0, "0.00"],
    [0.1234, "0.123"],
    [4.2, "4.20"],
    [57.96, "58.0"],
    [-3.456, "−3.46"],
    [1480.4, "1,480"],
    [null, "–"],
    [Number.NaN, "–"],
  ]);
});

test("a wide range limits the decimals", () => {
  check(f.number, [
    [[0.1234, 25], "0.12"],
    [[0.03, 1500], "0.0"],
    [[0.1234, undefined], "0.123"],
  ]);
});

test("minus zero is zero", () => {
  assert.equal(f.fixed(-0.0001, 2), "0.00");
});

test("configured numbers stay as they were written", () => {
  assert.equal(plain(f.plain(7.1, "mm/s")), "7.1 mm/s");
  assert.equal(plain(f.plain(80, "Cel")), "80 °C");
  assert.equal(plain(f.plain(100, "%")), "100 %");
});

test("actual, expected and spread share their decimals", () => {
  assert.deepEqual(
    Object.values(f.withSpread(4.0567, 2.1, 0.28, "mm/s")).map(plain),
    ["4.06 mm/s", "2.10 ± 0.28 mm/s"],
  );
  assert.deepEqual(Object.values(f.withSpread(1412.3, 1400, 23, "1/min")).map(plain), ["1,412 rpm", "1,400 ± 23 rpm"]);
});

test("units read as people write them", () => {
  check(f.unitText, [["Cel", "°C"], ["m3/h", "m³/h"], ["1/min", "rpm"], ["mm/s", "mm/s"], ["", ""]]);
});

test("bytes step in thousands", () => {
  check(f.bytes, [[0, "0 B"], [999, "999 B"], [1_240, "1.24 kB"], [70_600_000, "70.6 MB"], [999_600, "1.00 MB"]]);
});

test("durations use their largest fitting unit", () => {
  check(f.duration, [[0, "0 s"], [99, "99 s"], [100, "2 min"], [5_400, "90 min"], [6_000, "2 h"], [170_000, "47 h"], [200_000, "2 d"], [-5, "0 s"], [null, "–"]]);
});

test("ages are measured against the gateway, wherever its clock is", () => {
  assert.equal(plain(f.age("2031-05-04T11:59:30.000Z", NOW)), "30 s");
  assert.equal(plain(f.age("2031-05-04T12:00:05.000Z", NOW)), "0 s");
  assert.equal(f.age(null, NOW), "–");
  assert.equal(f.age("not a time", NOW), "–");
});

test("a moment names its day unless it is today", () => {
  assert.equal(f.moment("2031-05-04T09:08:07.000Z", NOW), "09:08:07");
  assert.equal(f.moment("2031-05-03T09:08:07.000Z", NOW), "3 May, 09:08");
  assert.equal(f.about("2031-05-04T09:08:07.000Z", NOW), "09:08");
});

test("remaining life is an interval in one unit", () => {
  const check = (p05_h, p50_h, p95_h, expected) => assert.equal(plain(f.rulInterval({ p05_h, p50_h, p95_h })), expected);
  check(5.2, 9, 13.7, "5 – 14 h");
  check(0.31, 0.5, 1.1, "19 – 66 min");
  check(2.04, 3, 8.4, "2.0 – 8.4 h");
  check(40, 80, 160, "1.7 – 6.7 d");
  check(30 * 24, 60 * 24, 100 * 24, "30 – 100 d");
  check(6, 30, null, "≥ 6 h");
  check(6, null, null, "≥ 6.0 h");
  check(null, null, null, "∞");
});

test("the middle of an open interval may lie beyond the horizon", () => {
  assert.equal(f.rulMiddle({ p05_h: 6, p50_h: null, p95_h: null }), null);
});

test("times less is rounded honestly", () => {
  assert.equal(f.timesLess(70_600_000, 1_310_000), "54×");
  assert.equal(f.timesLess(130, 100), "1.3×");
  assert.equal(f.timesLess(0, 100), null);
  assert.equal(f.timesLess(100, 0), null);
});

test("a demo's speed is shown as a factor", () => {
  assert.equal(f.speed(600), "×600");
  assert.equal(f.speed(1.5), "×1.5");
});
