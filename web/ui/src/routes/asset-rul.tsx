// Remaining life: an interval with its history and its future as a fan, or the reason why there is none.

import type uPlot from "uplot";
import { useMemo, useRef } from "preact/hooks";
import { segment } from "../api.ts";
import { drawInterval, drawMarks, drawNow, drawVeil } from "../chart/draw.ts";
import type { Palette } from "../chart/palette.ts";
import { Plot, timeAxis, valueAxis } from "../chart/plot.tsx";
import { t } from "../i18n/index.ts";
import { about, fixed, hoursIn, millis, percent, plain, rulInterval, rulMiddle, withUnit } from "../lib/format.ts";
import { fan, type Fan } from "../lib/fan.ts";
import { marksWithin } from "../lib/series.ts";
import type { AssetDetail, HealthHistoryPoint, Mark, Rul, RulInterval, RulReport } from "../lib/types.ts";
import { Fact, Loaded, Panel, Time } from "../parts/common.tsx";
import { refusalText } from "../parts/rul.tsx";
import { useResource } from "../resource.ts";
import { live, now } from "../stream.ts";

const EVERY_MS = 4_000;
const FAN_PX = 220;
const HEALTH_PX = 120;
/** What lies between p05 and p95. */
const INTERVAL_SHARE = 0.9;

function signalOf(asset: AssetDetail, tag: string): string {
  return asset.tags.find(({ id }) => id === tag)?.signal ?? tag;
}

function dateAfter(rul: RulInterval, hours: number): string {
  return about((millis(rul.at) ?? 0) + hours * 3_600_000, live.value.at);
}

function Sentence({ asset, rul }: { asset: AssetDetail; rul: RulInterval }) {
  const signal = signalOf(asset, rul.tag);
  const limit = plain(rul.limit, rul.unit);
  if (rul.p05_h === null) return <p class="rul-sentence">{t.rul.openEnd}</p>;
  const from = dateAfter(rul, rul.p05_h);
  const text =
    rul.p95_h === null
      ? `${t.rul.notBefore(signal, limit, from)} ${t.rul.openEnd}`
      : `${t.rul.between(signal, limit, from, dateAfter(rul, rul.p95_h))} ${t.rul.explain(percent(INTERVAL_SHARE))}`;
  return <p class="rul-sentence">{text.charAt(0).toUpperCase() + text.slice(1)}</p>;
}

function Estimate({ asset, rul }: { asset: AssetDetail; rul: RulInterval }) {
  const middle = rulMiddle(rul);
  return (
    <div class="rul-head">
      <p class="rul-big">{rulInterval(rul)}</p>
      {middle !== null && <p class="rul-note">{t.rul.middle(middle)}</p>}
      <Sentence asset={asset} rul={rul} />
      <dl class="facts">
        <Fact label={t.rul.indicator}>{withUnit(rul.indicator, rul.unit)}</Fact>
        <Fact label={t.rul.limit}>{plain(rul.limit, rul.unit)}</Fact>
        <Fact label={t.rul.onset}>
          <Time at={rul.onset}>{about(rul.onset, now.value)}</Time>
        </Fact>
        <Fact label={t.rul.never}>{percent(rul.no_failure_probability)}</Fact>
      </dl>
    </div>
  );
}

function NoEstimate({ rul }: { rul: Extract<Rul, { available: false }> }) {
  const hint = t.rul.hints[rul.code];
  return (
    <div class="rul-head">
      <p class="rul-refusal">{t.rul.noneBecause(refusalText(rul))}</p>
      {hint && <p class="rul-note">{hint}</p>}
    </div>
  );
}

interface Scene {
  fan: Fan;
  marks: readonly Mark[];
  nowS: number;
}

function fanOptions(scene: { current: Scene }) {
  return (colours: Palette): Omit<uPlot.Options, "width" | "height"> => ({
    legend: { show: false },
    padding: [8, 22, 0, 0],
    cursor: { show: false },
    scales: { x: { time: true }, y: { range: () => [0, scene.current.fan.top] } },
    axes: [timeAxis(colours), valueAxis(colours, (hours) => axisHours(hours, scene.current.fan.top))],
    series: [
      {},
      { stroke: colours.trend, width: 1, points: { show: false } },
      { stroke: colours.trend, width: 1, points: { show: false } },
      { stroke: colours.trend, width: 2, points: { show: false } },
    ],
    bands: [{ series: [2, 1], fill: colours.fan }],
    hooks: {
      draw: [
        (plot) => {
          const { fan: shape, marks, nowS } = scene.current;
          drawVeil(plot, nowS, colours);
          drawMarks(plot, marksWithin(marks, ...shape.range), colours);
          drawNow(plot, nowS, t.rul.now, colours);
          const { failure } = shape;
          if (failure) drawInterval(plot, failure.from, failure.middle, failure.to ?? shape.range[1], colours);
        },
      ],
    },
  });
}

function axisHours(hours: number, top: number): string {
  const { number, unit } = hoursIn(hours, top);
  return hours === 0 ? "0" : `${number} ${unit}`;
}

function FanChart({ shape, marks, nowS }: Scene & { shape: Fan }) {
  const scene = useRef<Scene>({ fan: shape, marks, nowS });
  scene.current = { fan: shape, marks, nowS };
  const data = useMemo(() => [shape.x, shape.low, shape.high, shape.middle] as uPlot.AlignedData, [shape]);
  return <Plot make={fanOptions(scene)} version="fan" data={data} range={shape.range} height={FAN_PX} />;
}

function fanText(report: RulReport): string {
  const made = report.history.filter((point) => point.p05_h !== null);
  const say = (point: (typeof made)[number] | undefined) =>
    point ? rulInterval(point) : "";
  return made.length === 0 ? t.rul.noHistory : t.rul.historyText(made.length, say(made[0]), say(made.at(-1)));
}

function healthOptions(scene: { current: { marks: readonly Mark[]; range: [number, number] } }) {
  return (colours: Palette): Omit<uPlot.Options, "width" | "height"> => ({
    legend: { show: false },
    padding: [8, 22, 0, 0],
    cursor: { show: false },
    scales: { x: { time: true }, y: { range: () => [0, 1.04] } },
    axes: [timeAxis(colours), valueAxis(colours, (value) => fixed(value * 100, 0))],
    series: [{}, { stroke: colours.trend, width: 1.75, points: { show: false } }],
    hooks: { draw: [(plot) => drawMarks(plot, marksWithin(scene.current.marks, ...scene.current.range), colours)] },
  });
}

function HealthChart({ points, marks }: { points: readonly HealthHistoryPoint[]; marks: readonly Mark[] }) {
  const data = useMemo(
    () =>
      [points.map(({ at }) => (millis(at) ?? 0) / 1_000), points.map(({ health }) => health)] as uPlot.AlignedData,
    [points],
  );
  const range: [number, number] = [data[0][0] ?? 0, data[0].at(-1) ?? 1];
  const scene = useRef({ marks, range });
  scene.current = { marks, range };
  const lowest = Math.min(...points.map(({ health }) => health));
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{t.rul.healthHistory} (%)</span>
        <span class="chart-text">{t.rul.healthText(percent(points.at(-1)?.health), percent(lowest))}</span>
      </figcaption>
      <Plot make={healthOptions(scene)} version="health" data={data} range={range} height={HEALTH_PX} />
    </figure>
  );
}

function Body({ asset, report }: { asset: AssetDetail; report: RulReport }) {
  // Between two answers the present moves on; the fan moves with the answers, not with the clock.
  const shape = useMemo(() => {
    const at = report.available ? report.at : (report.history.at(-1)?.at ?? now.peek());
    const nowS = (millis(at) ?? 0) / 1_000;
    return { shape: fan(report, report.history, nowS), nowS };
  }, [report]);
  return (
    <>
      {/* The header's figure and this one are of the same frame. */}
      {asset.rul.available ? <Estimate asset={asset} rul={asset.rul} /> : <NoEstimate rul={asset.rul} />}
      {report.history_error !== undefined && <p class="rul-note">{report.history_error}</p>}
      {report.available && shape.shape && (
        <figure class="chart">
          <figcaption>
            <span class="chart-title">{t.rul.hours}</span>
            <span class="chart-text">{fanText(report)}</span>
          </figcaption>
          <FanChart fan={shape.shape} shape={shape.shape} marks={asset.marks} nowS={shape.nowS} />
        </figure>
      )}
      {report.health.length > 1 && <HealthChart points={report.health} marks={asset.marks} />}
    </>
  );
}

export function RemainingLife({ asset }: { asset: AssetDetail }) {
  const report = useResource<RulReport>(`/assets/${segment(asset.id)}/rul`, { everyMs: EVERY_MS });
  return (
    <Panel title={t.rul.title} id="rul-title" class="rul-panel">
      <Loaded of={report}>{(data) => <Body asset={asset} report={data} />}</Loaded>
    </Panel>
  );
}
