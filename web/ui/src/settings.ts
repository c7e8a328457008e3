// What this browser remembers: colours and the user's name. Nothing else is stored here.

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that stores nothing still works; it only forgets.
  }
}

const stored = recall("bellwether.theme");
export const theme = signal<Theme>(stored === "light" || stored === "dark" ? stored : "system");
export const actor = signal(recall("bellwether.actor") ?? "");

/** Rises when the colours on the screen change, so that canvases can follow. */
export const paletteVersion = signal(0);

effect(() => {
  const root = document.documentElement;
  if (theme.value === "system") delete root.dataset.theme;
  else root.dataset.theme = theme.value;
  remember("bellwether.theme", theme.value);
  paletteVersion.value = paletteVersion.peek() + 1;
});

effect(() => remember("bellwether.actor", actor.value));

for (const media of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
  matchMedia(media).addEventListener("change", () => {
    paletteVersion.value += 1;
  });
}
