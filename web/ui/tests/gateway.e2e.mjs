// The dashboard against a running gateway: BELLWETHER_URL says where. Waits, with bounds, until the plant lives, visits
// every route, and with SCREENSHOT_DIR takes the pictures of the README: dashboard.png (desk) and dashboard-phone.png.
// BELLWETHER_STORY_S is how long it waits for a case to show, 0 (as left out) for not at all.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeViolations, launch, openPage, picture, settled, sidewaysOverflow } from "./browser.mjs";

const BASE = (process.env.BELLWETHER_URL ?? "").replace(/\/$/, "");
const STORY_MS = Number(process.env.BELLWETHER_STORY_S ?? 0) * 1_000;
const skip = BASE ? false : "BELLWETHER_URL is not set";
const LIVE_MS = 60_000;

let chromium;
before(async () => {
  if (!skip) chromium = await launch();
});
after(() => chromium?.close());

async function api(path) {
  const response = await fetch(`${BASE}/api/v1${path}`);
  assert.equal(response.status, 200, path);
  return response.json();
}

/** Asks until the answer satisfies, or the time is over; returns the last answer. */
async function until(limitMs, ask, enough) {
  const end = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (enough(answer) || performance.now() > end) return answer;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function routes() {
  const { assets } = await api("/assets");
  return {
    overview: "/",
    ...Object.fromEntries(assets.slice(0, 3).map(({ id, name }) => [`asset ${name}`, `/asset/${id}`])),
    alarms: "/alarms",
    history: "/alarms/history",
    connectors: "/connectors",
    uplink: "/uplink",
  };
}

test("values arrive", { skip, timeout: LIVE_MS + 10_000 }, async () => {
  const good = ({ tags }) => tags.filter(({ quality }) => quality === "good").length;
  const tags = await until(LIVE_MS, () => api("/tags"), (answer) => good(answer) > 0);
  assert.ok(good(tags) > 0, "no tag has a good value");
});

test("every live route is without complaint", { skip, timeout: 120_000 }, async () => {
  const { page, context, complaints } = await openPage(chromium.browser, BASE);
  for (const [name, path] of Object.entries(await routes())) {
    const response = await page.goto(BASE + path);
    assert.equal(response.status(), 200, name);
    assert.match(response.headers()["content-security-policy"] ?? "", /require-trusted-types-for 'script'/, name);
    await settled(page);
    if (name.startsWith("asset ")) await page.waitForSelector(".trend");
    assert.equal(await page.locator(".problem").count(), 0, `${name}: ${await page.locator(".problem").allTextContents()}`);
    assert.deepEqual(complaints, [], name);
  }
  await context.close();
});

test("the clock moves with the stream", { skip, timeout: 30_000 }, async () => {
  const { page, context } = await openPage(chromium.browser, BASE);
  await page.goto(BASE);
  await settled(page);
  const before = await page.locator(".clock time").getAttribute("datetime");
  await page.waitForFunction((old) => document.querySelector(".clock time")?.getAttribute("datetime") !== old, before);
  assert.equal(await page.locator(".banner-lost").count(), 0);
  await context.close();
});

for (const theme of ["light", "dark"]) {
  test(`axe finds nothing on live routes: ${theme}`, { skip, timeout: 120_000 }, async () => {
    const { page, context } = await openPage(chromium.browser, BASE, { width: 390, height: 844, theme, axe: true });
    const found = [];
    for (const [name, path] of Object.entries(await routes())) {
      await page.goto(BASE + path);
      await settled(page);
      found.push(...(await axeViolations(page)).map((line) => `${name}: ${line}`));
      if ((await sidewaysOverflow(page)) > 0) found.push(`${name}: scrolls sideways`);
    }
    assert.deepEqual(found, []);
    await context.close();
  });
}

test("the pictures of the README are taken", { skip: skip || (process.env.SCREENSHOT_DIR ? false : "SCREENSHOT_DIR is not set"), timeout: STORY_MS + 120_000 }, async () => {
  // The most telling moment: a machine with an estimate of its remaining life.
  await until(STORY_MS, () => api("/assets"), ({ assets }) => assets.some(({ rul }) => rul.available));
  const shots = [
    ["dashboard", { width: 1440, height: 900 }],
    ["dashboard-dark", { width: 1440, height: 900, theme: "dark" }],
    ["dashboard-phone", { width: 390, height: 844 }],
  ];
  const { assets } = await api("/assets");
  const worst = assets.find(({ rul }) => rul.available) ?? assets[0];
  for (const [name, options] of shots) {
    const { page, context } = await openPage(chromium.browser, BASE, options);
    await page.goto(BASE);
    await settled(page);
    await page.waitForSelector(".asset-card");
    await picture(page, name);
    await page.goto(`${BASE}/asset/${worst.id}`);
    await settled(page);
    await page.waitForSelector(".trend");
    await page.waitForFunction(() => !document.querySelector(".trend-empty"), null, { timeout: 5_000 }).catch(() => undefined);
    await picture(page, name.replace("dashboard", "asset"));
    await context.close();
  }
});
