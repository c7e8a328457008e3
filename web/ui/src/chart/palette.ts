// The colours of the page, for the canvas.

export interface Palette {
  text: string;
  muted: string;
  line: string;
  hair: string;
  trend: string;
  band: string;
  fan: string;
  red: string;
  orange: string;
  blue: string;
  card: string;
  veil: string;
  font: string;
}

function withAlpha(hex: string, alpha: number): string {
  const value = Number.parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: token("text"),
    muted: token("muted"),
    line: token("line"),
    hair: withAlpha(token("line"), 0.22),
    trend: token("trend"),
    band: withAlpha(token("trend"), 0.2),
    fan: withAlpha(token("trend"), 0.26),
    red: token("red"),
    orange: token("orange"),
    blue: token("blue"),
    card: token("card"),
    veil: withAlpha(token("card"), 0.45),
    font: `12px ${style.getPropertyValue("--sans").trim() || "sans-serif"}`,
  };
}
