// Which signals make the asset unusual: ranked, actual against expected.

import { t } from "../i18n/index.ts";
import { fixed, percent, withSpread, withUnit } from "../lib/format.ts";
import type { AssetDetail, Contribution } from "../lib/types.ts";
import { Empty, Panel } from "./common.tsx";

const SHOWN = 6;
/** Half the width of the box of what is ordinary, in standard deviations. */
const ORDINARY_SIGMAS = 2;
const THRESHOLD = 0.5;

/** Where things lie on a bar, in per cent of its width. */
function places({ actual, expected, expected_std_dev: std }: Contribution) {
  const reach = Math.max(Math.abs(actual - expected) * 1.12, 5 * std, 1e-12);
  const at = (value: number) => 50 + ((value - expected) / reach) * 50;
  return { actual: at(actual), low: at(expected - ORDINARY_SIGMAS * std), high: at(expected + ORDINARY_SIGMAS * std) };
}

function Bullet({ of, label, strong }: { of: Contribution; label: string; strong: boolean }) {
  const { actual, low, high } = places(of);
  const from = Math.min(actual, 50);
  return (
    <svg class={strong ? "bullet bullet-strong" : "bullet"} role="img" aria-label={label} width="100%" height="18">
      <rect class="bullet-track" x="0" y="8" width="100%" height="2" />
      <rect class="bullet-box" x={`${low}%`} y="3" width={`${Math.max(0.5, high - low)}%`} height="12" />
      <rect class="bullet-line" x={`${from}%`} y="7" width={`${Math.abs(actual - 50)}%`} height="4" />
      <line class="bullet-expected" x1="50%" x2="50%" y1="1" y2="17" />
      <circle class="bullet-actual" cx={`${actual}%`} cy="9" r="5" />
    </svg>
  );
}

function Row({ of, unusual }: { of: Contribution; unusual: boolean }) {
  const { actual, expected } = withSpread(of.actual, of.expected, of.expected_std_dev, of.unit);
  const sigmas = of.expected_std_dev > 0 ? (of.actual - of.expected) / of.expected_std_dev : null;
  return (
    <li class="why-row">
      <span class="why-signal">{of.signal}</span>
      <span class="why-share">{percent(of.share)}</span>
      <Bullet of={of} label={t.why.bar(actual, expected)} strong={unusual && of.share >= 0.2} />
      <span class="why-text">
        <strong>{actual}</strong>, {t.why.expectedText(expected)}
      </span>
      <span class="why-sigma">{sigmas === null ? "" : t.why.sigma(`${sigmas > 0 ? "+" : ""}${fixed(sigmas, 1)}`)}</span>
    </li>
  );
}

function Score({ score }: { score: number }) {
  return (
    <span class="score">
      <span class="score-label">
        {t.why.score} <strong>{percent(score)}</strong>
      </span>
      <span class="score-note">{t.why.threshold}</span>
    </span>
  );
}

export function Contributions({ asset }: { asset: AssetDetail }) {
  const ranked = [...asset.contributions].sort((a, b) => b.share - a.share).slice(0, SHOWN);
  const unusual = asset.score >= THRESHOLD;
  const byId = new Map(asset.tags.map((tag) => [tag.id, tag]));
  return (
    <Panel title={t.why.title} id="why-title" class="why" aside={ranked.length > 0 && <Score score={asset.score} />}>
      {ranked.length === 0 ? (
        <Empty title={t.why.none} hint={t.why.noneHint} />
      ) : (
        <>
          <p class="why-intro">{unusual ? t.why.unusual : t.why.ordinary}</p>
          <ol class="why-list">
            {ranked.map((item) => (
              <Row key={item.tag} of={item} unusual={unusual} />
            ))}
          </ol>
          <dl class="why-notes">
            {asset.condition.length > 0 && (
              <div>
                <dt>{t.why.condition}</dt>
                <dd>{asset.condition.map(({ signal, value, unit }) => `${signal} ${withUnit(value, unit)}`).join(", ")}</dd>
              </div>
            )}
            {asset.left_out.length > 0 && (
              <div>
                <dt>{t.why.leftOut}</dt>
                <dd>{asset.left_out.map((id) => byId.get(id)?.signal ?? id).join(", ")}</dd>
              </div>
            )}
          </dl>
        </>
      )}
    </Panel>
  );
}
