// Live values: number, unit, age and quality always together.

import { t } from "../i18n/index.ts";
import { duration, tagSpan, withUnit } from "../lib/format.ts";
import type { TagValue } from "../lib/types.ts";
import { live } from "../stream.ts";
import { Panel, Value } from "./common.tsx";
import { DeviceShape } from "./icons.tsx";

/** The tag as of the last frame; what does not change comes from the answer to `GET`. */
export function liveTag(tag: TagValue): TagValue {
  const fresh = live.value.tags.get(tag.id);
  if (!fresh) return tag;
  // A frame has no reason: the last known one stands while the quality is the same.
  const reason = fresh.quality === tag.quality ? tag.quality_reason : null;
  return { ...tag, value: fresh.value, quality: fresh.quality, quality_reason: reason, age_s: fresh.ageS };
}

export function qualityText(tag: TagValue): string | null {
  if (tag.quality === "good") return null;
  return tag.quality_reason || t.quality[tag.quality];
}

/** As the server words it. */
const STALE = "the value is too old";

export function isStale(tag: TagValue): boolean {
  return tag.quality !== "good" && tag.quality_reason === STALE;
}

/** A plausible range is wide; where there is an upper limit, the bar ends a little above it. */
function scaleOf([low, high]: [number, number], above: number | undefined): [number, number] {
  return above === undefined ? [low, high] : [low, Math.min(high, low + (above - low) * 1.3)];
}

/** A small bar: where the value lies in its plausible range, and where the limit is. */
function InRange({ tag }: { tag: TagValue }) {
  if (!tag.range || tag.value === null || tag.quality === "bad") return <span class="in-range" />;
  const [low, high] = scaleOf(tag.range, tag.failure?.above);
  const at = (value: number) => Math.min(100, Math.max(0, ((value - low) / (high - low || 1)) * 100));
  const limit = tag.failure?.above ?? tag.failure?.below;
  const beyond = limit !== undefined && (tag.failure?.above !== undefined ? tag.value > limit : tag.value < limit);
  return (
    <svg class={beyond ? "in-range in-range-beyond" : "in-range"} aria-hidden="true" height="12" width="100%">
      <rect class="in-range-track" x="0" y="5" width="100%" height="2" />
      {limit !== undefined && <line class="in-range-limit" x1={`${at(limit)}%`} x2={`${at(limit)}%`} y1="0" y2="12" />}
      <rect class="in-range-value" x={`${at(tag.value)}%`} y="1" width="3" height="10" transform="translate(-1.5 0)" />
    </svg>
  );
}

export function QualityMark({ tag }: { tag: TagValue }) {
  if (tag.quality === "good") return null;
  return <DeviceShape status={tag.quality === "bad" ? "failure" : "out-of-spec"} />;
}

/** The value as a person reads it: a state by its name, a text as it is, a number with its unit. */
export function Shown({ tag }: { tag: TagValue }) {
  const value = tag.quality === "bad" ? null : tag.value;
  if (tag.is_waveform) return <span class="quantity value-role">{t.values.waveform}</span>;
  // A frame brings the number of a state, and its name is known; a text comes with the answer to `GET`.
  const word = tag.states ? tag.states[String(value)] : value === null ? null : tag.text;
  if (word) return <span class="quantity">{word}</span>;
  return <Value value={value} unit={tag.unit} span={tagSpan(tag)} />;
}

function Row({ tag }: { tag: TagValue }) {
  const text = qualityText(tag);
  const name = isStale(tag) ? "value-row value-stale" : `value-row value-${tag.quality}`;
  return (
    <li class={name}>
      <span class="value-signal" title={tag.id}>
        {tag.signal}
        {tag.role !== "condition" && <span class="value-role">{t.roles[tag.role]}</span>}
      </span>
      <InRange tag={tag} />
      <Shown tag={tag} />
      <span class="value-age" title={tag.range ? t.values.rangeText(withUnit(tag.range[0], tag.unit), withUnit(tag.range[1], tag.unit)) : ""}>
        {tag.age_s === null ? t.values.never : duration(tag.age_s)}
      </span>
      {text !== null && (
        <span class="value-why">
          <QualityMark tag={tag} />
          {tag.quality === "bad" ? t.values.because(text) : t.values.doubt(text)}
        </span>
      )}
    </li>
  );
}

export function LiveValues({ tags }: { tags: readonly TagValue[] }) {
  const shown = tags.map(liveTag);
  return (
    <Panel title={t.values.title} id="values-title" class="values" aside={<span class="head-note">{t.values.age}</span>}>
      {shown.length === 0 ? (
        <p>{t.values.none}</p>
      ) : (
        <ul class="value-list">
          {shown.map((tag) => (
            <Row key={tag.id} tag={tag} />
          ))}
        </ul>
      )}
    </Panel>
  );
}
