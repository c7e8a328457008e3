// Gaps of one signal in words: the list behind the bands of a chart.

import { t } from "../i18n/index.ts";
import { count, duration, moment } from "../lib/format.ts";
import { gapLength, type Gap } from "../lib/gaps.ts";
import type { Loss } from "../lib/types.ts";
import { now } from "../stream.ts";

/** The cause in the user's language; the server's words for one that only a newer gateway knows. */
export function causeText(loss: Loss): string {
  return t.gaps.causes[loss.cause] ?? loss.words;
}

function Row({ gap: { loss } }: { gap: Gap }) {
  const at = now.value;
  return (
    <li class="gap-row">
      <span class="gap-when">
        {moment(loss.from, at)} – {loss.to === null ? t.gaps.lasts : moment(loss.to, at)}
      </span>
      <span class="gap-length">{duration(gapLength(loss, at))}</span>
      <span class="gap-why">
        {causeText(loss)}
        {loss.count > 0 && <span class="gap-count"> · {t.gaps.missing(count(loss.count))}</span>}
        {loss.filled_at !== null && <span class="gap-count"> · {t.gaps.filled}</span>}
      </span>
    </li>
  );
}

export function GapList({ signal, gaps }: { signal: string; gaps: readonly Gap[] }) {
  if (gaps.length === 0) return null;
  const latest = gaps.toSorted((a, b) => b.from - a.from);
  return (
    <details class="trend-table">
      <summary>{t.gaps.count(gaps.length)}</summary>
      <ul class="gap-list" aria-label={t.gaps.of(signal)}>
        {latest.slice(0, 50).map((gap) => (
          <Row key={`${gap.loss.from}${gap.loss.cause}`} gap={gap} />
        ))}
      </ul>
    </details>
  );
}
