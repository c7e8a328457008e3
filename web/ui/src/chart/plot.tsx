// One uPlot inside Preact: made once, resized with its box, made anew only when the colours or the make-up change.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { axisTime } from "../lib/format.ts";
import { paletteVersion } from "../settings.ts";
import { palette, type Palette } from "./palette.ts";

/** Width of the value axis: the same everywhere, so that stacked panels share their time. */
export const VALUE_AXIS_PX = 54;

export type MakeOptions = (colours: Palette) => Omit<uPlot.Options, "width" | "height">;

interface Props {
  make: MakeOptions;
  /** Changes when `make` has to run again. */
  version: string;
  data: uPlot.AlignedData;
  /** Window of the time axis in seconds. */
  range: [number, number];
  height: number;
  onReady?: (plot: uPlot | null) => void;
}

export function Plot({ make, version, data, range, height, onReady }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ data, range, make, onReady });
  latest.current = { data, range, make, onReady };
  const colours = paletteVersion.value;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new uPlot(
      { ...latest.current.make(palette()), width: Math.max(1, element.clientWidth), height },
      latest.current.data,
      element,
    );
    plot.current = made;
    show(made, latest.current.data, latest.current.range);
    latest.current.onReady?.(made);
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== made.width) made.setSize({ width, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      latest.current.onReady?.(null);
      plot.current = null;
      made.destroy();
    };
  }, [version, colours, height]);

  useEffect(() => {
    if (plot.current) show(plot.current, data, range);
  }, [data, range[0], range[1]]);

  return <div class="plot" ref={box} />;
}

function show(plot: uPlot, data: uPlot.AlignedData, [min, max]: [number, number]): void {
  plot.batch(() => {
    plot.setData(data, false);
    plot.setScale("x", { min, max });
  });
}

/** A quiet time axis; `labels` off for all but the lowest of stacked panels. */
export function timeAxis(colours: Palette, labels = true): uPlot.Axis {
  return {
    stroke: colours.muted,
    font: colours.font,
    grid: { stroke: colours.hair, width: 1 },
    ticks: { show: false },
    size: labels ? 36 : 6,
    gap: 4,
    space: 72,
    values: labels
      ? (_plot, splits, _axis, _space, step) => splits.map((at, index) => axisTime(at * 1_000, step, index === 0))
      : (_plot, splits) => splits.map(() => ""),
  };
}

export function valueAxis(colours: Palette, text: (value: number, step: number) => string): uPlot.Axis {
  return {
    stroke: colours.muted,
    font: colours.font,
    grid: { stroke: colours.hair, width: 1 },
    ticks: { show: false },
    size: VALUE_AXIS_PX,
    gap: 6,
    space: 32,
    values: (_plot, splits, _axis, _space, step) => splits.map((value) => text(value, step)),
  };
}
