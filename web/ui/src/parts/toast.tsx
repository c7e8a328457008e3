// One short message after an action; it leaves by itself.

import { signal } from "@preact/signals";

const SHOWN_MS = 6_000;
const message = signal<{ text: string; failed: boolean } | null>(null);
let timer: number | undefined;

export function toast(text: string, failed = false): void {
  message.value = { text, failed };
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    message.value = null;
  }, SHOWN_MS);
}

export function Toasts() {
  const shown = message.value;
  return (
    <div class="toasts" role="status" aria-live="polite">
      {shown && <p class={shown.failed ? "toast toast-failed" : "toast"}>{shown.text}</p>}
    </div>
  );
}
