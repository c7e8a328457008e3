// Chromium for the browser tests: fresh profile, no phoning home, and every complaint of a page collected.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function launch() {
  if (!existsSync(EXECUTABLE)) throw new Error(`there is no ${EXECUTABLE}: apt-get install -y chromium fonts-dejavu-core`);
  // Playwright gives each launch a fresh --user-data-dir; a home of its own keeps the rest out of the user's folders.
  const home = mkdtempSync(join(tmpdir(), "bellwether-ui-"));
  const browser = await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS, env: { ...process.env, HOME: home } });
  return {
    browser,
    close: async () => {
      await browser.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A page with its complaints: console errors, page errors, CSP violations, requests to anybody else. */
export async function openPage(browser, base, options = {}) {
  const { width = 1440, height = 900, theme = "light", axe = false, touch = width < 600 } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    bypassCSP: axe,
    hasTouch: touch,
    timezoneId: "Europe/Paris",
    locale: "en-GB",
    reducedMotion: "reduce",
    serviceWorkers: "block",
  });
  const page = await context.newPage();
  const complaints = [];
  const expected = [];
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    if (!expected.some((pattern) => pattern.test(message.text()))) complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`page: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith("data:") && !url.startsWith("blob:")) complaints.push(`foreign request: ${url}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return { page, context, complaints, expected };
}

/** axe with the rules of WCAG 2.0 to 2.2, A and AA. Returns one line a violation. */
export async function axeViolations(page) {
  await page.evaluate(AXE);
  const result = await page.evaluate(async () =>
    globalThis.axe.run(document, {
      runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
    }),
  );
  return result.violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, any }) => `${id}: ${help} @ ${target.join(" ")} ${any[0]?.message ?? ""}`),
  );
}

/** The page does not scroll sideways. */
export function sidewaysOverflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** Waits until the page has its first data: a clock in the header and nothing loading. */
export function settled(page, timeout = 20_000) {
  return page.waitForFunction(() => document.querySelector(".clock") && !document.querySelector(".loading"), null, { timeout });
}

/** Saves a picture when a folder is asked for. */
export async function picture(page, name, fullPage = false) {
  const folder = process.env.SCREENSHOT_DIR;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage });
}
