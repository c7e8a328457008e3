// The view as the URL says it. Pure: a copied link shows the same page, signals and range.

export type Route =
  | { page: "overview" }
  | { page: "asset"; id: string }
  | { page: "alarms"; tab: "active" | "history" }
  | { page: "connectors" }
  | { page: "connector"; name: string }
  | { page: "uplink" }
  | { page: "missing"; path: string };

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function parsePath(path: string): Route {
  const parts = path.split("/").filter(Boolean).map(decode);
  const [head, second] = parts;
  if (parts.length === 0) return { page: "overview" };
  if (head === "asset" && second !== undefined && parts.length === 2) return { page: "asset", id: second };
  if (head === "alarms" && parts.length === 1) return { page: "alarms", tab: "active" };
  if (head === "alarms" && second === "history" && parts.length === 2) return { page: "alarms", tab: "history" };
  if (head === "connectors" && parts.length === 1) return { page: "connectors" };
  if (head === "connectors" && second !== undefined && parts.length === 2) return { page: "connector", name: second };
  if (head === "uplink" && parts.length === 1) return { page: "uplink" };
  return { page: "missing", path };
}

export function assetPath(id: string, query = ""): string {
  return `/asset/${encodeURIComponent(id)}${query}`;
}

export function connectorPath(name: string): string {
  return `/connectors/${encodeURIComponent(name)}`;
}

/** A window on plant time: the last so many seconds, or a fixed stretch. Seconds since 1970. */
export type Window = { follow: true; spanS: number } | { follow: false; from: number; to: number };

export const PRESETS_S: readonly number[] = [3_600, 8 * 3_600, 86_400, 7 * 86_400, 30 * 86_400];
export const DEFAULT_SPAN_S = 86_400;
const MIN_SPAN_S = 10;

export function parseWindow(query: URLSearchParams): Window {
  const from = Number(query.get("from"));
  const to = Number(query.get("to"));
  if (query.has("from") && query.has("to") && to - from >= MIN_SPAN_S) return { follow: false, from, to };
  const span = Number(query.get("span"));
  return { follow: true, spanS: query.has("span") && span >= MIN_SPAN_S ? span : DEFAULT_SPAN_S };
}

export function windowQuery(view: Window): Record<string, string> {
  return view.follow ? { span: String(view.spanS) } : { from: String(Math.round(view.from)), to: String(Math.round(view.to)) };
}

/** The window's ends at this time. */
export function bounds(view: Window, nowS: number): [number, number] {
  return view.follow ? [nowS - view.spanS, nowS] : [view.from, view.to];
}

/** Shorter by this factor around the middle; a window that follows keeps its end at now. */
export function zoom(view: Window, factor: number): Window {
  if (view.follow) return { follow: true, spanS: Math.max(MIN_SPAN_S, view.spanS * factor) };
  const middle = (view.from + view.to) / 2;
  const half = Math.max(MIN_SPAN_S, (view.to - view.from) * factor) / 2;
  return { follow: false, from: middle - half, to: middle + half };
}

/** Moved by this share of its length; moving past now follows again. */
export function pan(view: Window, share: number, nowS: number): Window {
  const [from, to] = bounds(view, nowS);
  const shift = (to - from) * share;
  if (to + shift >= nowS) return { follow: true, spanS: to - from };
  return { follow: false, from: from + shift, to: to + shift };
}
