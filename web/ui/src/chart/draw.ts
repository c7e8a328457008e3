// What charts draw besides lines: marks of events, limits, the present, and stretches that are not to be believed.

import type uPlot from "uplot";
import type { Mark } from "../lib/types.ts";
import type { Palette } from "./palette.ts";

function inside(plot: uPlot, paint: (context: CanvasRenderingContext2D, ratio: number) => void): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  paint(ctx, devicePixelRatio);
  ctx.restore();
}

function vertical(plot: uPlot, context: CanvasRenderingContext2D, x: number): number {
  const at = Math.round(plot.valToPos(x, "x", true)) + 0.5;
  context.beginPath();
  context.moveTo(at, plot.bbox.top);
  context.lineTo(at, plot.bbox.top + plot.bbox.height);
  context.stroke();
  return at;
}

/** Vertical lines with a shape on top: triangle for alarms, hollow when it returned, square for repairs. */
export function drawMarks(plot: uPlot, marks: readonly { x: number; mark: Mark }[], colours: Palette): void {
  inside(plot, (context, ratio) => {
    context.lineWidth = ratio;
    for (const { x, mark } of marks) {
      const colour = mark.kind === "repair" ? colours.blue : mark.kind === "alarm" ? colours.red : colours.muted;
      context.strokeStyle = colour;
      context.fillStyle = mark.kind === "returned" ? colours.card : colour;
      context.setLineDash(mark.kind === "repair" ? [] : [3 * ratio, 3 * ratio]);
      const at = vertical(plot, context, x);
      context.setLineDash([]);
      const top = plot.bbox.top + ratio;
      const size = 5 * ratio;
      context.beginPath();
      if (mark.kind === "repair") context.rect(at - size, top, 2 * size, 2 * size);
      else {
        context.moveTo(at - size, top);
        context.lineTo(at + size, top);
        context.lineTo(at, top + 1.7 * size);
        context.closePath();
      }
      context.fill();
      context.stroke();
    }
  });
}

/** A dashed horizontal line with its name. */
export function drawLimit(plot: uPlot, value: number, label: string, colours: Palette): void {
  inside(plot, (context, ratio) => {
    const y = Math.round(plot.valToPos(value, "y", true)) + 0.5;
    if (y < plot.bbox.top || y > plot.bbox.top + plot.bbox.height) return;
    context.strokeStyle = colours.red;
    context.lineWidth = 1.25 * ratio;
    context.setLineDash([7 * ratio, 4 * ratio]);
    context.beginPath();
    context.moveTo(plot.bbox.left, y);
    context.lineTo(plot.bbox.left + plot.bbox.width, y);
    context.stroke();
    context.fillStyle = colours.red;
    context.font = scaled(colours.font, ratio);
    context.textAlign = "left";
    context.textBaseline = y - plot.bbox.top > 18 * ratio ? "bottom" : "top";
    const [left, top] = [plot.bbox.left + 6 * ratio, y + (context.textBaseline === "bottom" ? -2 : 3) * ratio];
    // A halo, so that a mark behind the words does not cross them out.
    context.setLineDash([]);
    context.strokeStyle = colours.card;
    context.lineWidth = 4 * ratio;
    context.lineJoin = "round";
    context.strokeText(label, left, top);
    context.fillText(label, left, top);
  });
}

/** Hatched along the foot: the value was there, but is not to be believed. */
export function drawDoubt(plot: uPlot, stretches: readonly [number, number][], colours: Palette): void {
  inside(plot, (context, ratio) => {
    const foot = plot.bbox.top + plot.bbox.height;
    for (const [from, to] of stretches) {
      const left = plot.valToPos(from, "x", true);
      const right = Math.max(left + 3 * ratio, plot.valToPos(to, "x", true));
      context.save();
      context.beginPath();
      context.rect(left, plot.bbox.top, right - left, plot.bbox.height);
      context.clip();
      context.strokeStyle = colours.hair;
      context.lineWidth = 1.5 * ratio;
      const step = 7 * ratio;
      for (let x = left - plot.bbox.height; x < right; x += step) {
        context.beginPath();
        context.moveTo(x, foot);
        context.lineTo(x + plot.bbox.height, plot.bbox.top);
        context.stroke();
      }
      context.fillStyle = colours.muted;
      context.fillRect(left, foot - 3 * ratio, right - left, 3 * ratio);
      context.restore();
    }
  });
}

/** Nothing is known between these times: a grey band from top to foot, with edges, and a bar at the head. */
export function drawGaps(plot: uPlot, gaps: readonly { from: number; to: number }[], colours: Palette): void {
  inside(plot, (context, ratio) => {
    const { top, height } = plot.bbox;
    for (const { from, to } of gaps) {
      const left = plot.valToPos(from, "x", true);
      const right = Math.max(left + 2 * ratio, plot.valToPos(to, "x", true));
      context.fillStyle = colours.hair;
      context.fillRect(left, top, right - left, height);
      context.fillStyle = colours.line;
      context.fillRect(left, top, right - left, 3 * ratio);
      context.fillRect(left, top, ratio, height);
      context.fillRect(right - ratio, top, ratio, height);
    }
  });
}

/** Pales what lies after this time: it is forecast, not fact. */
export function drawVeil(plot: uPlot, x: number, colours: Palette): void {
  inside(plot, (context) => {
    const left = plot.valToPos(x, "x", true);
    context.fillStyle = colours.veil;
    context.fillRect(left, plot.bbox.top, plot.bbox.left + plot.bbox.width - left, plot.bbox.height);
  });
}

/** Where the past ends. */
export function drawNow(plot: uPlot, x: number, label: string, colours: Palette): void {
  inside(plot, (context, ratio) => {
    context.strokeStyle = colours.text;
    context.lineWidth = ratio;
    const at = vertical(plot, context, x);
    context.fillStyle = colours.text;
    context.font = scaled(colours.font, ratio);
    context.textAlign = "left";
    context.textBaseline = "top";
    context.fillText(label, at + 5 * ratio, plot.bbox.top + 2 * ratio);
  });
}

/** The interval of the failure's date on the foot of the fan. */
export function drawInterval(plot: uPlot, from: number, middle: number | null, to: number, colours: Palette): void {
  inside(plot, (context, ratio) => {
    const foot = plot.bbox.top + plot.bbox.height;
    const [left, right] = [from, to].map((x) => plot.valToPos(x, "x", true)) as [number, number];
    context.fillStyle = colours.trend;
    context.fillRect(left, foot - 5 * ratio, right - left, 5 * ratio);
    if (middle === null) return;
    const at = plot.valToPos(middle, "x", true);
    context.fillStyle = colours.text;
    context.fillRect(at - 1.5 * ratio, foot - 12 * ratio, 3 * ratio, 12 * ratio);
  });
}

function scaled(font: string, ratio: number): string {
  return font.replace(/^(\d+)px/, (_text, size: string) => `${Number(size) * ratio}px`);
}
