// One signal over time: line, min/max band, limit, marks; readable with arrow keys, in words, and as a table.

import type uPlot from "uplot";
import { useMemo, useRef } from "preact/hooks";
import { signal, type Signal } from "@preact/signals";
import { drawDoubt, drawGaps, drawLimit, drawMarks } from "../chart/draw.ts";
import type { Palette } from "../chart/palette.ts";
import { Plot, timeAxis, valueAxis } from "../chart/plot.tsx";
import { t } from "../i18n/index.ts";
import { duration, fixed, moment, number, perHour, plain, withUnit } from "../lib/format.ts";
import { gapAt, gapLength, type Gap } from "../lib/gaps.ts";
import { doubtful, hasBand, marksWithin, nearest, slopePerHour, toSeries, type Series } from "../lib/series.ts";
import type { Mark, TagHistory, TagValue } from "../lib/types.ts";
import { now } from "../stream.ts";
import { causeText, GapList } from "./gaps.tsx";
import { liveTag } from "./values.tsx";

/** Where the cursor stands, in seconds; shared by all panels of a page. */
export const cursorAt: Signal<number | null> = signal(null);

interface Props {
  tag: TagValue;
  history: TagHistory | null;
  marks: readonly Mark[];
  gaps: readonly Gap[];
  range: [number, number];
  /** The lowest of the stack carries the time axis. */
  last: boolean;
  onZoom: (from: number, to: number) => void;
}

const HEIGHT = 132;
const AXIS_PX = 30;

function limitOf(tag: TagValue): number | null {
  return tag.failure?.above ?? tag.failure?.below ?? null;
}

/** The scale holds the data, and the limit when it is near enough to be read against. */
function scaleY(series: Series, limit: number | null): [number, number] {
  const values = [...series.min, ...series.max].filter((value) => value !== null);
  if (values.length === 0) return [0, 1];
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (limit !== null && Math.abs(limit) <= 3 * Math.max(Math.abs(low), Math.abs(high))) {
    low = Math.min(low, limit);
    high = Math.max(high, limit);
  }
  const pad = (high - low || Math.abs(high) || 1) * 0.08;
  return [low >= 0 && low - pad < 0 ? 0 : low - pad, high + pad];
}

function slopeText(series: Series, unit: string): string {
  const slope = slopePerHour(series);
  const values = series.mean.filter((value) => value !== null);
  if (slope === null || values.length === 0) return "";
  const spread = Math.max(...values) - Math.min(...values);
  const seen = ((series.x.at(-1) ?? 0) - (series.x[0] ?? 0)) / 3_600 / 3;
  if (Math.abs(slope * seen) < 0.12 * spread) return t.trends.steady;
  return slope > 0 ? t.trends.rising(perHour(slope, unit)) : t.trends.falling(perHour(-slope, unit));
}

function summary(tag: TagValue, series: Series): string {
  const limit = limitOf(tag);
  return [
    t.trends.now(withUnit(tag.quality === "bad" ? null : tag.value, tag.unit)),
    limit === null ? "" : t.trends.limit(plain(limit, tag.unit)),
    slopeText(series, tag.unit),
  ]
    .filter(Boolean)
    .join(", ");
}

function Readout({ tag, series, gaps }: { tag: TagValue; series: Series; gaps: readonly Gap[] }) {
  const x = cursorAt.value;
  const gap = x === null ? null : gapAt(gaps, x);
  if (gap !== null) {
    const length = duration(gapLength(gap.loss, now.peek()));
    return (
      <span class="trend-summary trend-cursor" aria-live="polite">
        {t.gaps.noValue(causeText(gap.loss), length)}
      </span>
    );
  }
  const index = x === null ? null : nearest(series.x, x);
  if (index === null) return <span class="trend-summary">{summary(liveTag(tag), series)}</span>;
  const value = series.mean[index] ?? null;
  const at = (series.x[index] ?? 0) * 1_000;
  return (
    <span class="trend-summary trend-cursor" aria-live="polite">
      {value === null ? t.trends.noValue : withUnit(value, tag.unit)} {t.trends.at(moment(at, now.peek()))}
    </span>
  );
}

function Table({ tag, series }: { tag: TagValue; series: Series }) {
  const rows = series.x.map((x, index) => ({ x, index })).slice(-24).reverse();
  return (
    <details class="trend-table">
      <summary>{t.trends.table}</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={t.trends.tableOf(tag.signal)}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t.trends.time}</th>
              <th scope="col">{t.trends.min}</th>
              <th scope="col">{t.trends.mean}</th>
              <th scope="col">{t.trends.max}</th>
              <th scope="col">{t.trends.quality}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ x, index }) => (
              <tr key={x}>
                <td>{moment(x * 1_000, now.peek())}</td>
                <td>{number(series.min[index])}</td>
                <td>{number(series.mean[index])}</td>
                <td>{number(series.max[index])}</td>
                <td>{t.quality[series.quality[index] ?? "good"]}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

interface Scene {
  tag: TagValue;
  series: Series;
  marks: readonly Mark[];
  gaps: readonly Gap[];
  range: [number, number];
  onZoom: (from: number, to: number) => void;
}

function options(scene: { current: Scene }, last: boolean, band: boolean) {
  return (colours: Palette): Omit<uPlot.Options, "width" | "height"> => ({
    legend: { show: false },
    padding: [8, 22, 0, 0],
    cursor: {
      sync: { key: "trends" },
      y: false,
      points: { size: 7 },
      drag: { x: true, y: false, setScale: false },
    },
    scales: {
      x: { time: true },
      y: { range: () => scaleY(scene.current.series, limitOf(scene.current.tag)) },
    },
    axes: [timeAxis(colours, last), valueAxis(colours, (value, step) => fixed(value, decimalsOfStep(step)))],
    series: [
      {},
      { stroke: colours.trend, width: 0, points: { show: false }, show: band },
      { stroke: colours.trend, width: 0, points: { show: false }, show: band },
      { stroke: colours.trend, width: 1.35, points: { show: false } },
    ],
    bands: band ? [{ series: [2, 1], fill: colours.band }] : [],
    hooks: {
      draw: [(plot) => paint(plot, scene.current, colours)],
      setCursor: [
        (plot) => {
          const { left } = plot.cursor;
          cursorAt.value = left === undefined || left === null || left < 0 ? null : plot.posToVal(left, "x");
        },
      ],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 4) return;
          scene.current.onZoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  });
}

function decimalsOfStep(step: number): number {
  return Math.min(4, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
}

function paint(plot: uPlot, scene: Scene, colours: Palette): void {
  drawGaps(plot, scene.gaps, colours);
  drawDoubt(plot, doubtful(scene.series), colours);
  const limit = limitOf(scene.tag);
  if (limit !== null) drawLimit(plot, limit, t.trends.limit(plain(limit, scene.tag.unit)), colours);
  drawMarks(plot, marksWithin(scene.marks, ...scene.range), colours);
}

export function TrendPanel({ tag, history, marks, gaps, range, last, onZoom }: Props) {
  const series = useMemo(() => (history ? toSeries(history) : null), [history]);
  const data = useMemo(
    () => (series ? ([series.x, series.min, series.max, series.mean] as uPlot.AlignedData) : null),
    [series],
  );
  const plot = useRef<uPlot | null>(null);
  const scene = useRef<Scene | null>(null);
  if (series) scene.current = { tag, series, marks, gaps, range, onZoom };
  const band = series !== null && hasBand(series);
  const level = history ? (t.trends.level[history.level] ?? t.trends.bucket(history.level)) : "";

  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !plot.current || !series || series.x.length === 0) return;
    event.preventDefault();
    const at = nearest(series.x, cursorAt.peek() ?? series.x.at(-1) ?? 0) ?? 0;
    const next = Math.min(series.x.length - 1, Math.max(0, at + step * (event.shiftKey ? 20 : 1)));
    const x = series.x[next] ?? 0;
    plot.current.setCursor({ left: plot.current.valToPos(x, "x"), top: 10 });
    cursorAt.value = x;
  };

  return (
    <div class="trend">
      <div class="trend-head">
        <h3>{tag.signal}</h3>
        {series && <Readout tag={tag} series={series} gaps={gaps} />}
        <span class="trend-level">{level}</span>
      </div>
      {data && series && series.x.length > 0 ? (
        <div class="trend-box" tabIndex={0} role="group" aria-label={t.trends.chart(tag.signal)} onKeyDown={onKey}>
          <Plot
            make={options(scene as { current: Scene }, last, band)}
            version={`${tag.id}/${last}/${band}`}
            data={data}
            range={range}
            height={last ? HEIGHT + AXIS_PX : HEIGHT}
            onReady={(made) => {
              plot.current = made;
            }}
          />
        </div>
      ) : (
        <p class="trend-empty">{history ? t.trends.empty : t.app.loading}</p>
      )}
      <div class="trend-more">
        {series && series.x.length > 0 && <Table tag={tag} series={series} />}
        <GapList signal={tag.signal} gaps={gaps} />
      </div>
    </div>
  );
}

