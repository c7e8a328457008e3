// Remaining life in one line: an interval, or the reason why there is none.

import { t } from "../i18n/index.ts";
import { rulInterval, rulMiddle } from "../lib/format.ts";
import type { Rul } from "../lib/types.ts";

/** The server's code in the user's language; an unknown code falls back on the server's own words. */
export function refusalText(rul: { code: string; reason: string }): string {
  return t.rul.reasons[rul.code] ?? rul.reason;
}

export function RulLine({ rul }: { rul: Rul }) {
  if (!rul.available) return <span class="rul rul-none">{t.rul.noneBecause(refusalText(rul))}</span>;
  const middle = rulMiddle(rul);
  return (
    <span class="rul">
      <span class="rul-label">{t.rul.short}</span> <strong>{rulInterval(rul)}</strong>
      {middle !== null && <span class="rul-middle"> · {t.rul.middle(middle)}</span>}
    </span>
  );
}
