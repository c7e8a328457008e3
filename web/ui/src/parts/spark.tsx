// A sparkline of health: always the same scale, 0 to 1, so that a flat line near the top means quiet everywhere.

const WIDTH = 120;
const HEIGHT = 28;
const PAD = 2;

function y(health: number): number {
  return PAD + (1 - Math.min(1, Math.max(0, health))) * (HEIGHT - 2 * PAD);
}

/** Path data; a null lifts the pen, so that gaps stay gaps. */
function path(values: readonly (number | null)[]): string {
  const step = WIDTH / Math.max(1, values.length - 1);
  let down = false;
  let data = "";
  values.forEach((value, index) => {
    if (value === null) {
      down = false;
      return;
    }
    data += `${down ? "L" : "M"}${(index * step).toFixed(1)} ${y(value).toFixed(1)}`;
    down = true;
  });
  return data;
}

export function Spark({ values, label }: { values: readonly (number | null)[] | undefined; label: string }) {
  const known = values ?? [];
  const some = known.some((value) => value !== null);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <line class="spark-base" x1="0" x2={WIDTH} y1={HEIGHT - 1} y2={HEIGHT - 1} />
      {some && <path class="spark-line" d={path(known)} />}
    </svg>
  );
}
