// A stand-in for the gateway: the built files with the real security headers, canned but living JSON, and a stream.
// `node tests/fake-api.mjs [scenario] [port]` serves it for a look by eye.

import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { FakePlant } from "./fake-plant.mjs";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/** As the gateway sends it. */
export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
  "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; " +
  "require-trusted-types-for 'script'";

function json(response, status, body) {
  const type = status >= 400 ? "application/problem+json" : "application/json";
  response.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" });
  response.end(JSON.stringify(body));
}

function problem(response, status, detail, code) {
  json(response, status, { type: "about:blank", title: "Refused", status, detail, code });
}

async function bodyOf(request) {
  let text = "";
  for await (const piece of request) text += piece;
  return JSON.parse(text || "{}");
}

function file(response, path) {
  let full = join(DIST, normalize(path));
  if (path === "/" || !full.startsWith(DIST) || !existsSync(full)) full = join(DIST, "index.html");
  response.writeHead(200, {
    "Content-Type": TYPES[extname(full)] ?? "application/octet-stream",
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
  });
  createReadStream(full).pipe(response);
}

/** Starts on a free port; `control` changes its behaviour while it runs. */
export async function startFakeApi({ scenario = "busy", speed = 60, port = 0 } = {}) {
  const control = { plant: new FakePlant({ scenario, speed }), failing: new Set(), silent: false, build: "0.1.0 (fake)", writes: [] };
  const streams = new Set();

  const server = createServer((request, response) => {
    void answer(request, response).catch((error) => problem(response, 500, String(error), "internal"));
  });

  async function answer(request, response) {
    const { plant } = control;
    const url = new URL(request.url, "http://gateway");
    if (!url.pathname.startsWith("/api/v1/")) return file(response, decodeURIComponent(url.pathname));
    const path = url.pathname.slice("/api/v1".length);
    if ([...control.failing].some((prefix) => path.startsWith(prefix))) {
      return problem(response, 503, "the history database is busy: try again in a moment", "busy");
    }
    if (request.method === "POST") return write(request, response, path);
    const [, resource, id, part] = path.split("/").map(decodeURIComponent);
    const asset = resource === "assets" && id ? plant.assetList.find((one) => plant.id(one) === id) : null;
    if (resource === "assets" && id && !asset) return problem(response, 404, `there is no asset \`${id}\``, "asset_unknown");
    if (path === "/stream") return stream(request, response);
    if (path === "/certificates") return json(response, 200, plant.certificates());
    if (path === "/losses") return json(response, 200, { at: plant.head().at, losses: plant.gaps(url.searchParams) });
    if (path === "/connectors") return json(response, 200, { at: plant.head().at, connectors: plant.connectorList().map(({ units: _u, exchanges: _e, flags: _f, ...rest }) => rest) });
    if (resource === "connectors" && id) {
      const found = plant.connectorList().find(({ name }) => name === id);
      return found ? json(response, 200, { at: plant.head().at, ...found }) : problem(response, 404, `there is no connector \`${id}\``, "not_found");
    }
    if (path === "/status") return json(response, 200, plant.status());
    if (path === "/assets") return json(response, 200, { at: plant.head().at, assets: plant.assetList.map((one) => plant.asset(one)) });
    if (asset && part === "rul") return json(response, 200, plant.rulReport(asset));
    if (asset && !part) return json(response, 200, plant.detail(asset));
    if (path === "/alarms") return json(response, 200, { at: plant.head().at, alarms: plant.alarms(url.searchParams.get("state")) });
    if (path === "/tags") return json(response, 200, { at: plant.head().at, tags: plant.assetList.flatMap((one) => plant.tagsOf(one)) });
    if (resource === "tags" && part === "history") {
      const [from, to] = ["from", "to"].map((name) => Date.parse(url.searchParams.get(name)));
      return json(response, 200, plant.history(id, from, to, Number(url.searchParams.get("points"))));
    }
    return problem(response, 404, `there is no \`${path}\``, "not_found");
  }

  async function write(request, response, path) {
    if (request.headers["x-bellwether"] !== "1") return problem(response, 403, "the header X-Bellwether is missing", "csrf");
    const body = await bodyOf(request);
    control.writes.push({ path, body });
    if (path === "/alarms/ack") return json(response, 200, { acknowledged: control.plant.acknowledge(body.ids, body.actor) });
    const trust = /^\/certificates\/([0-9a-f]+)\/trust$/.exec(path);
    if (trust) {
      control.plant.trusted.add(trust[1]);
      response.writeHead(204);
      return response.end();
    }
    const repair = /^\/assets\/([^/]+)\/maintenance$/.exec(path);
    if (repair) {
      control.plant.repair(decodeURIComponent(repair[1]));
      return json(response, 200, {});
    }
    return problem(response, 404, `there is no \`${path}\``, "not_found");
  }

  function stream(request, response) {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    const send = (name, data) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    send("hello", { at: control.plant.head().at, build: control.build });
    const tick = () => control.silent || send("frame", control.plant.frame());
    tick();
    const timer = setInterval(tick, 1_000);
    streams.add(response);
    request.on("close", () => {
      clearInterval(timer);
      streams.delete(response);
    });
  }

  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    control,
    url: `http://127.0.0.1:${server.address().port}`,
    /** Cuts every stream, as a restart of the gateway does. */
    cutStreams: () => streams.forEach((response) => response.destroy()),
    close: () => {
      streams.forEach((response) => response.destroy());
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await startFakeApi({ scenario: process.argv[2] ?? "busy", port: Number(process.argv[3] ?? 0) });
  console.log(url);
}
