import assert from "node:assert/strict";
import { test } from "node:test";
import { gapAt, gapLength, gapsWithin } from "../../node_modules/.unit/lib/gaps.js";

const iso = (seconds) => new Date(seconds * 1_000).toISOString();
const loss = (from, to, cause = "silent") => ({ from: iso(from), to: to === null ? null : iso(to), cause });

test("gaps are cut out of the window, and one that lasts reaches its edge", () => {
  const gaps = gapsWithin([loss(0, 5), loss(8, 12), loss(90, null), loss(200, 300)], [10, 100]);
  assert.deepEqual(
    gaps.map(({ from, to, lasts }) => [from, to, lasts]),
    [
      [90, 100, true],
      [8, 12, false],
    ],
  );
});

test("where gaps lie in each other the shortest tells why", () => {
  const gaps = gapsWithin([loss(10, 20, "refused"), loss(0, 100, "gateway_stopped")], [0, 100]);
  assert.equal(gapAt(gaps, 15).loss.cause, "refused");
  assert.equal(gapAt(gaps, 50).loss.cause, "gateway_stopped");
  assert.equal(gapAt(gaps, 101), null);
});

test("a gap that lasts grows", () => {
  assert.equal(gapLength(loss(10, 25), iso(99)), 15);
  assert.equal(gapLength(loss(10, null), iso(99)), 89);
});
