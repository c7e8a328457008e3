// History routing in forty lines: a signal with the address, and links that do not reload the page.

import { computed, signal } from "@preact/signals";
import { parsePath } from "./lib/view.ts";

const address = signal(location.pathname + location.search);

window.addEventListener("popstate", () => {
  address.value = location.pathname + location.search;
});

export const route = computed(() => parsePath(address.value.split("?")[0] ?? "/"));
export const query = computed(() => new URLSearchParams(address.value.split("?")[1] ?? ""));

export function navigate(to: string): void {
  if (to === address.value) return;
  history.pushState(null, "", to);
  address.value = to;
  window.scrollTo(0, 0);
}

/** Writes the view into the address without a new history entry. */
export function setQuery(change: Record<string, string | null>): void {
  const next = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(change)) {
    if (value === null) next.delete(key);
    else next.set(key, value);
  }
  const text = next.toString();
  const to = location.pathname + (text ? `?${text}` : "");
  history.replaceState(null, "", to);
  address.value = to;
}

/** Plain clicks on our own links stay in the page; everything else is left to the browser. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.origin !== location.origin || link.target || link.pathname.startsWith("/api/")) return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
}
