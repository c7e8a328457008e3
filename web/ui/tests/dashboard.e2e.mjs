// The dashboard in a real browser against the fake API: every route, both themes, three widths, keyboard, failures.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeViolations, launch, openPage, picture, settled, sidewaysOverflow } from "./browser.mjs";
import { startFakeApi } from "./fake-api.mjs";

const PUMP = "acme.lyon.utilities.water.pump-1";
const FAN = "acme.lyon.utilities.air.fan-1";
const ROUTES = {
  overview: "/",
  asset: `/asset/${PUMP}`,
  "asset-sensor": `/asset/${FAN}`,
  alarms: "/alarms",
  history: "/alarms/history",
  connectors: "/connectors",
  connector: "/connectors/plc-utilities",
  "connector-opcua": "/connectors/cell-3",
  uplink: "/uplink",
  missing: "/nowhere",
};
const WIDTHS = [360, 820, 1440];

let chromium;
let api;
before(async () => {
  chromium = await launch();
  api = await startFakeApi();
});
after(async () => {
  await api?.close();
  await chromium?.close();
});

/** A page on a plant of its own. */
async function own(scenario, options = {}) {
  const server = await startFakeApi({ scenario });
  const opened = await openPage(chromium.browser, server.url, options);
  return {
    ...opened,
    server,
    done: async () => {
      await opened.context.close();
      await server.close();
    },
  };
}

/** Resources that a test makes fail on purpose are reported by the browser as console errors. */
const REFUSED = /Failed to load resource|ERR_/;

test("no route complains under the real CSP, and nothing leaves the gateway", async () => {
  const { page, context, complaints } = await openPage(chromium.browser, api.url);
  for (const [name, path] of Object.entries(ROUTES)) {
    await page.goto(api.url + path);
    await settled(page);
    if (name.startsWith("asset")) await page.waitForSelector(".trend canvas");
    assert.deepEqual(complaints, [], `${name}: ${complaints.join("; ")}`);
  }
  await context.close();
});

for (const theme of ["light", "dark"]) {
  for (const width of WIDTHS) {
    test(`axe finds nothing and nothing overflows: ${theme}, ${width} px`, async () => {
      const { page, context } = await openPage(chromium.browser, api.url, { width, theme, axe: true });
      const found = [];
      for (const [name, path] of Object.entries(ROUTES)) {
        await page.goto(api.url + path);
        await settled(page);
        if (name.startsWith("asset")) await page.waitForSelector(".trend canvas");
        await picture(page, `${name}-${width}-${theme}`, true);
        found.push(...(await axeViolations(page)).map((line) => `${name}: ${line}`));
        if ((await sidewaysOverflow(page)) > 0) found.push(`${name}: scrolls sideways`);
      }
      assert.deepEqual(found, []);
      await context.close();
    });
  }
}

test("the overview ranks what needs attention and says why", async () => {
  const { page, context } = await openPage(chromium.browser, api.url);
  await page.goto(api.url);
  await page.waitForSelector(".case");
  assert.deepEqual(await page.locator(".case-name").allTextContents(), ["pump-1", "gearbox-4", "motor-4", "fan-1"]);
  assert.match(await page.locator(".case").first().textContent(), /Plan repair.*expected 2\.1 ± 0\.3.*Remaining life/s);
  assert.match(await page.locator(".case").last().textContent(), /Sensor fault.*stuck/s);
  await page.locator(".case").first().click();
  await page.waitForSelector(".asset-top");
  assert.equal(new URL(page.url()).pathname, ROUTES.asset);
  await page.goBack();
  await page.waitForSelector(".case");
  await context.close();
});

/** Opens a route of a plant of its own, checks it, and closes it again. */
async function on(scenario, path, body, options) {
  const { page, complaints, expected, server, done } = await own(scenario, options);
  try {
    await page.goto(server.url + path);
    await body({ page, server, expected });
    assert.deepEqual(complaints, []);
  } finally {
    await done();
  }
}

test("a quiet plant says that it is quiet", () =>
  on("quiet", "/", async ({ page }) => {
    await page.waitForSelector(".quiet-title");
    assert.equal(await page.locator(".case").count(), 0);
    await page.waitForSelector(".asset-card");
    await picture(page, "quiet-1440-light");
  }));

test("a learning plant shows how far it is", () =>
  on("learning", "/", async ({ page }) => {
    await page.waitForSelector(".learning");
    assert.equal(await page.locator(".learning progress").count(), 8);
    await picture(page, "learning-1440-light");
  }));

test("an empty gateway says what to configure", () =>
  on("empty", "/", async ({ page, server }) => {
    await page.waitForSelector(".empty-title");
    await page.goto(`${server.url}/connectors`);
    await page.waitForSelector("text=No connectors are configured.");
    await page.goto(`${server.url}/uplink`);
    await page.waitForSelector("text=No uplink is configured.");
  }));

test("an alarm is acknowledged with the keyboard alone", () =>
  on("busy", "/alarms", async ({ page, server }) => {
    await page.waitForSelector(".alarm-open");
    await page.locator(".toolbar input[type=checkbox]").focus();
    await page.keyboard.press("Tab");
    await page.keyboard.type("R. Tester");
    // Nothing is selected yet, so the button is skipped and the first row comes next.
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.type), "checkbox");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.keyboard.press("a");
    await page.waitForSelector("text=1 alarm acknowledged.");
    assert.deepEqual(server.control.writes, [{ path: "/alarms/ack", body: { ids: ["1042"], actor: "R. Tester" } }]);
    await page.waitForFunction(() => document.querySelectorAll(".alarm-open").length === 2);
    assert.match(await page.locator(".alarm-list").textContent(), /Acknowledged by R\. Tester/);
  }));

test("many alarms are acknowledged at once, and never without a name", () =>
  on("busy", "/alarms", async ({ page, server }) => {
    await page.waitForSelector(".alarm-open");
    await page.getByLabel("Select all that can be acknowledged").check();
    await page.getByRole("button", { name: "Acknowledge 3" }).click();
    await page.waitForSelector("text=Fill in your name first");
    assert.equal(server.control.writes.length, 0);
    await page.getByLabel("Your name").fill("R. Tester");
    await page.getByRole("button", { name: "Acknowledge 3" }).click();
    await page.waitForSelector("text=3 alarms acknowledged.");
    assert.deepEqual(server.control.writes[0].body.ids.toSorted(), ["1040", "1041", "1042"]);
  }));

test("a repair is logged from the asset", () =>
  on("busy", ROUTES.asset, async ({ page, server }) => {
    await page.getByRole("button", { name: "Log repair…" }).click();
    await page.getByLabel("What was done").fill("bearing replaced");
    await page.getByRole("button", { name: "Log repair", exact: true }).click();
    await page.waitForSelector("text=Fill in your name.");
    await page.getByLabel("Your name").fill("R. Tester");
    await picture(page, "repair-1440-light");
    await page.getByRole("button", { name: "Log repair", exact: true }).click();
    await page.waitForSelector("text=Repair logged.");
    assert.deepEqual(server.control.writes[0], {
      path: `/assets/${PUMP}/maintenance`,
      body: { note: "bearing replaced", actor: "R. Tester" },
    });
  }));

test("the address reproduces range and signals", () =>
  on("busy", `${ROUTES.asset}?span=28800&signals=pump-1.flow`, async ({ page }) => {
    await page.waitForSelector(".trend canvas");
    assert.deepEqual(await page.locator(".trend h3").allTextContents(), ["flow"]);
    assert.equal(await page.locator(".range-bar [aria-pressed=true]").textContent(), "8 h");
    await page.getByRole("button", { name: "vibration", exact: true }).click();
    await page.getByRole("button", { name: "Earlier" }).click();
    const search = new URL(page.url()).searchParams;
    assert.equal(search.get("signals"), "pump-1.flow,pump-1.vibration");
    assert.ok(Number(search.get("to")) > Number(search.get("from")));
    await page.locator(".trend-box").first().focus();
    await page.keyboard.press("ArrowLeft");
    await page.waitForSelector(".trend-cursor");
  }));

test("a bad value is hidden with its reason, a doubtful one is shown with it", () =>
  on("busy", `/asset/${FAN}`, async ({ page, server }) => {
    await page.waitForSelector(".value-why");
    assert.match(await page.locator(".value-uncertain").textContent(), /41\.2.*the value is stuck/s);
    await page.goto(`${server.url}/asset/acme.lyon.machining.cell-4.motor-4`);
    await page.waitForSelector(".value-bad");
    assert.match(await page.locator(".value-bad").first().textContent(), /–.*the device does not answer/s);
    assert.match(await page.locator(".asset-facts").textContent(), /No estimate/);
  }));

test("a silent stream says that live is paused, and comes back by itself", () =>
  on("busy", "/", async ({ page, server, expected }) => {
    expected.push(REFUSED);
    await page.waitForSelector(".case");
    server.control.silent = true;
    await page.waitForSelector(".banner-lost", { timeout: 10_000 });
    await picture(page, "paused-1440-light");
    server.control.silent = false;
    server.cutStreams();
    await page.waitForSelector(".banner-lost", { state: "detached", timeout: 15_000 });
  }));

test("the user can pause and resume", () =>
  on("busy", "/", async ({ page }) => {
    await page.waitForSelector(".case");
    await page.getByRole("button", { name: "Pause live updates" }).click();
    await page.waitForSelector("text=You have paused live updates.");
    const frozen = await page.locator(".clock-time").textContent();
    await page.waitForTimeout(2_200);
    assert.equal(await page.locator(".clock-time").textContent(), frozen);
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await page.waitForFunction((old) => document.querySelector(".clock-time").textContent !== old, frozen);
  }));

test("another build offers a reload", () =>
  on("busy", "/", async ({ page, server, expected }) => {
    expected.push(REFUSED);
    await page.waitForSelector(".case");
    server.control.build = "0.2.0";
    server.cutStreams();
    await page.waitForSelector("text=A new version of the gateway is running.", { timeout: 15_000 });
  }));

test("the server's words reach the screen, and trying again works", () =>
  on("busy", "/uplink", async ({ page, server, expected }) => {
    expected.push(REFUSED);
    server.control.failing.add("/status").add("/alarms");
    for (const path of ["/uplink", "/alarms"]) {
      await page.goto(server.url + path);
      await page.waitForSelector("text=the history database is busy: try again in a moment");
    }
    server.control.failing.clear();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.waitForSelector(".alarm");
  }));

test("an unknown asset is told in the server's words", () =>
  on("busy", "/asset/acme.lyon.nowhere", async ({ page, expected }) => {
    expected.push(REFUSED);
    await page.waitForSelector("text=there is no asset `acme.lyon.nowhere`");
  }));

test("a connector tells its units, what went over the wire, what is suspicious and what was missing", () =>
  on("busy", "/connectors", async ({ page }) => {
    await page.waitForSelector(".connector");
    await page.getByRole("link", { name: "Units, exchanges and gaps of plc-utilities" }).click();
    await page.waitForSelector(".unit-table");
    assert.match(await page.locator(".unit-table").textContent(), /unit 2.*02 × 14.*illegal data address.*unit 4.*silent, asked again in 12 s/s);
    assert.equal(await page.locator(".exchange").count(), 20);
    assert.equal(await page.locator(".hex").first().isVisible(), false);
    await page.locator(".exchange summary").first().focus();
    await page.keyboard.press("Enter");
    assert.match(await page.locator(".exchange").first().textContent(), /1A 2B 00 00 00 06 01 03 01 00 00 0C/);
    assert.match(await page.locator(".flag-list").textContent(), /pump-2\.flow.*Read twice.*reads the same address as pump-2\.discharge_pressure.*Frozen/s);
    assert.match(await page.locator("[aria-labelledby=gaps-title]").textContent(), /the device is not connected.*all tags.*the gateway was not running.*everything/s);
    await page.getByRole("link", { name: "Connectors", exact: true }).first().click();
    await page.waitForSelector(".connector-list");
  }));

test("a server nobody has decided about is trusted with one button, next to its fingerprint", () =>
  on("busy", "/connectors", async ({ page, server }) => {
    await page.waitForSelector("#certificates-title");
    assert.match(await page.locator("[aria-labelledby=certificates-title]").textContent(), /Compare the fingerprint.*Nobody has decided.*3fa1/s);
    await page.getByRole("button", { name: "Trust CN=Cell 3 server, O=Example" }).click();
    await page.waitForSelector("text=Trusted. The connector reconnects by itself.");
    assert.match(server.control.writes[0].path, /^\/certificates\/[0-9a-f]{64}\/trust$/);
    await page.getByRole("button", { name: "Trust CN=Cell 3 server, O=Example" }).waitFor({ state: "detached" });
  }));

test("an unknown connector is told in the server's words", () =>
  on("busy", "/connectors/plc-9", async ({ page, expected }) => {
    expected.push(REFUSED);
    await page.waitForSelector("text=there is no connector `plc-9`");
  }));

test("a gap in a trend says why, at the cursor and as a list", () =>
  on("busy", `${ROUTES.asset}?signals=pump-1.flow`, async ({ page }) => {
    await page.waitForSelector(".trend canvas");
    await page.getByText("3 gaps in the data").click();
    const list = await page.getByRole("list", { name: "Gaps of flow" }).textContent();
    assert.match(list, /the device is not connected.*the device refuses the address.*the gateway was not running/s);
    const box = await page.locator(".trend .u-over").boundingBox();
    // The gateway was not running from 15 to 13.8 hours before now, in a view of 24.
    await page.mouse.move(box.x + (box.width * (24 - 14.4)) / 24, box.y + 40);
    await page.waitForSelector("text=no data for 72 min: the gateway was not running");
    await picture(page, "gap-cursor-1440-light");
  }));

test("text from the plant is never run", () =>
  on("hostile", "/", async ({ page, server }) => {
    await page.waitForSelector(".case");
    await page.goto(`${server.url}/alarms`);
    await page.waitForSelector(".alarm");
    assert.match(await page.locator(".alarm-sentence").first().textContent(), /<img src=x/);
    assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
  }));

test("the chosen colours survive a reload", () =>
  on("busy", "/", async ({ page }) => {
    await page.waitForSelector(".theme-switch");
    await page.locator(".top .theme-switch").getByLabel("Dark").check();
    await page.reload();
    await page.waitForSelector(".theme-switch");
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  }));
