// What the type checker cannot see: rules of the house for the sources, and the size and the origin of what is built.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MOST_INITIAL_JS_BYTES = 90_000;
const MOST_RUNTIME_PACKAGES = 5;
const MOST_TEST_PACKAGES = 3;
const TEST_ONLY = new Set(["axe-core", "playwright-core"]);
const BANNED = [
  [/dangerouslySetInnerHTML|\.innerHTML|\.outerHTML|insertAdjacentHTML/, "writes HTML: Trusted Types forbid it"],
  [/\bstyle=/, "inline style: the CSP forbids it, use a class"],
  [/https?:\/\/(?!127\.0\.0\.1)/, "names another origin: nothing leaves the gateway"],
  [/\beval\(|new Function\(/, "evaluates text: the CSP forbids it"],
];
/** Only this file turns numbers, units and times into text, and asks Intl. */
const FORMATTER = "src/lib/format.ts";
const FORMATTING = [
  [/toLocale(Date|Time)?String|Intl\.(DateTimeFormat|NumberFormat)/, `formats: that is the business of ${FORMATTER}`],
  [/\bDate\.now\(\)|new Date\(\)/, "asks the browser for the time: the gateway's time counts"],
];

const problems = [];

function files(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

for (const path of files("src").filter((name) => /\.(tsx?|css)$/.test(name))) {
  const lines = readFileSync(join(ROOT, path), "utf8").split("\n");
  if (lines.length > 500) problems.push(`${path}: ${lines.length} lines, split it at 500`);
  const rules = path === FORMATTER ? BANNED : [...BANNED, ...FORMATTING];
  lines.forEach((line, index) => {
    for (const [pattern, why] of rules) if (pattern.test(line)) problems.push(`${path}:${index + 1}: ${why}`);
  });
}

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
const tests = names.filter((name) => TEST_ONLY.has(name));
if (names.length - tests.length > MOST_RUNTIME_PACKAGES) problems.push(`package.json: more than ${MOST_RUNTIME_PACKAGES} run-time and build packages`);
if (tests.length > MOST_TEST_PACKAGES) problems.push(`package.json: more than ${MOST_TEST_PACKAGES} test packages`);
if (/"resolved"/.test(readFileSync(join(ROOT, "package-lock.json"), "utf8"))) problems.push("package-lock.json: names a registry host");

const index = join(ROOT, "dist/index.html");
if (existsSync(index)) {
  const scripts = [...readFileSync(index, "utf8").matchAll(/src="(\/assets\/[^"]+\.js)"/g)].map(([, path]) => path);
  const size = scripts.reduce((sum, path) => sum + gzipSync(readFileSync(join(ROOT, "dist", path))).length, 0);
  console.log(`initial JS ${(size / 1_000).toFixed(1)} kB gzip of ${MOST_INITIAL_JS_BYTES / 1_000}`);
  if (size > MOST_INITIAL_JS_BYTES) problems.push(`dist: ${size} bytes of initial JS, at most ${MOST_INITIAL_JS_BYTES}`);
}

for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
