// Tags as a table: live value, quality with its reason, what is suspicious, and where they lie.

import { t } from "../i18n/index.ts";
import { duration, tagSpan } from "../lib/format.ts";
import type { TagValue } from "../lib/types.ts";
import { assetPath, connectorPath } from "../lib/view.ts";
import { query, setQuery } from "../router.ts";
import { Empty, Panel, Value } from "./common.tsx";
import { FlagMarks } from "./connector.tsx";
import { Icon } from "./icons.tsx";
import { isStale, liveTag, QualityMark, qualityText } from "./values.tsx";

function Row({ tag, withSource }: { tag: TagValue; withSource: boolean }) {
  const text = qualityText(tag);
  return (
    <tr class={isStale(tag) ? "tag-stale" : `tag-${tag.quality}`}>
      <th scope="row">
        <span class="tag-id">{tag.id}</span>
      </th>
      <td>
        <a href={assetPath(tag.asset)}>{tag.asset.split(".").at(-1)}</a>
      </td>
      <td class="cell-number">
        {tag.is_waveform ? <span class="value-role">{t.values.waveform}</span> : <Value value={tag.quality === "bad" ? null : tag.value} unit={tag.unit} span={tagSpan(tag)} />}
      </td>
      <td class="cell-age">{tag.age_s === null ? "" : duration(tag.age_s)}</td>
      <td>
        <span class="cell-quality">
          <QualityMark tag={tag} />
          <span class="cell-words">{text ?? t.quality.good}</span>
        </span>
        <FlagMarks flags={tag.flags} />
      </td>
      <td>
        {withSource && <a href={connectorPath(tag.source)}>{tag.source}</a>}
        <span class="tag-address">{tag.address}</span>
      </td>
    </tr>
  );
}

/** Every tag with its live value; a filter by connector where there are several. */
export function TagTable({ tags, sources }: { tags: readonly TagValue[]; sources: readonly string[] }) {
  const source = query.value.get("source") ?? "";
  const text = query.value.get("q") ?? "";
  const shown = tags
    .filter((tag) => (source === "" || tag.source === source) && tag.id.toLowerCase().includes(text.toLowerCase()))
    .map(liveTag);
  return (
    <Panel title={t.connectors.tagTable} id="tags-title" class="tag-panel" aside={<span class="head-note">{t.connectors.shown(shown.length, tags.length)}</span>}>
      <div class="toolbar toolbar-plain">
        <label class="inline-field">
          <span>{t.connectors.search}</span>
          <span class="search">
            <Icon name="search" />
            <input type="search" value={text} onInput={(event) => setQuery({ q: event.currentTarget.value || null })} />
          </span>
        </label>
        {sources.length > 1 && (
          <label class="inline-field">
            <span>{t.connectors.source}</span>
            <select value={source} onChange={(event) => setQuery({ source: event.currentTarget.value || null })}>
              <option value="">{t.connectors.allSources}</option>
              {sources.map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      {shown.length === 0 ? (
        <Empty title={t.connectors.noMatch} />
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t.connectors.tableLabel}>
          <table class="tag-table">
            <thead>
              <tr>
                <th scope="col">{t.connectors.tag}</th>
                <th scope="col">{t.connectors.asset}</th>
                <th scope="col" class="cell-number">
                  {t.values.value}
                </th>
                <th scope="col" class="cell-age">
                  {t.values.age}
                </th>
                <th scope="col">{t.connectors.quality}</th>
                <th scope="col">{sources.length > 0 ? t.connectors.source : t.connectors.address}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((tag) => (
                <Row key={tag.id} tag={tag} withSource={sources.length > 0} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
