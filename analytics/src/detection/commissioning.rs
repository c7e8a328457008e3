//! SD, commissioning: collects the healthy rows of one asset and makes its baseline of them (ISO 17359, 9.2).

use serde::{Deserialize, Serialize};

use crate::{
    config::AnalyticsConfig,
    detection::{
        baseline::Baseline,
        drivers::{DriverSpace, LAGS},
        expectation::{Expectation, standardise},
        mewma::{MAX_CHANNELS, Mewma},
    },
    features::statistics::mean_and_std_dev,
};

/// Blocks the drift screen compares.
const BLOCKS: usize = 8;
/// The most, in standard deviations, that an expectation is taken to err between the conditions it was fitted at.
const LARGEST_SHIFT: f64 = 1.0;
/// A channel that is missing more often than this is not judged.
const MOST_MISSING: f64 = 0.1;
/// A channel with fewer readings of its own for each coefficient of its expectation is not judged: carried from frame to
/// frame a handful of readings looks like many, and a curve through it fits perfectly and predicts nothing.
const LEAST_READINGS: usize = 5;

/// Rows of condition signals followed by the operating condition; NaN where a signal is missing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Commissioning {
    signals: usize,
    drivers: usize,
    /// By signal: heat that follows loads and weather over hours, so not to be judged together with the others.
    thermal: Vec<bool>,
    rows: Vec<f64>,
    /// By signal: in how many rows the value was not that of the row before carried on.
    readings: Vec<usize>,
    /// The newest row, kept back until the next frame is steady too: the last frame before a stop is part of the stop.
    pending: Vec<f64>,
}

impl Commissioning {
    /// For one flag a signal, whether it is known to be thermal.
    pub(crate) const fn new(thermal: Vec<bool>, drivers: usize) -> Self {
        let signals = thermal.len();
        Self {
            signals,
            drivers,
            thermal,
            rows: Vec::new(),
            readings: Vec::new(),
            pending: Vec::new(),
        }
    }

    const fn width(&self) -> usize {
        self.signals + (1 + LAGS) * self.drivers
    }

    /// Complete rows so far.
    pub(crate) fn count(&self) -> usize {
        (self.rows.len() + self.pending.len()).checked_div(self.width()).unwrap_or(0)
    }

    /// A steady row. The condition is complete, signals may be NaN; `news` says which of them are readings of this row.
    pub(crate) fn add(
        &mut self,
        signals: &[f64],
        condition: &[f64],
        news: impl Iterator<Item = bool>,
        config: &AnalyticsConfig,
    ) {
        self.readings.resize(self.signals, 0);
        for (readings, is_news) in self.readings.iter_mut().zip(news) {
            *readings += usize::from(is_news);
        }
        let rows = config.learning_frames as usize;
        self.rows.reserve_exact((rows * self.width()).saturating_sub(self.rows.len()));
        self.rows.append(&mut self.pending);
        self.pending.extend_from_slice(signals);
        self.pending.extend_from_slice(condition);
    }

    /// The frame after the newest row was not steady: forgets that row.
    pub(crate) fn interrupt(&mut self) {
        self.pending.clear();
    }

    /// The baseline of all rows.
    pub(crate) fn finish(&mut self, config: &AnalyticsConfig) -> Baseline {
        self.rows.append(&mut self.pending);
        let rows = || self.rows.chunks_exact(self.width().max(1));
        let space =
            DriverSpace::learn(rows().map(|row| &row[self.signals..]), self.drivers, config);
        let regressors: Vec<Vec<f64>> = rows()
            .map(|row| {
                let mut regressors = Vec::new();
                space.regressors(&row[self.signals..], &mut regressors);
                regressors
            })
            .collect();
        let column = |j: usize| rows().map(|row| row[j]).collect::<Vec<f64>>();
        let expectations: Vec<Option<Expectation>> = (0..self.signals)
            .map(|j| {
                let values = column(j);
                let missing = values.iter().filter(|value| value.is_nan()).count() as f64;
                let coefficients = regressors.first().map_or(1, Vec::len);
                let has_enough = self.readings[j] >= LEAST_READINGS * coefficients;
                (has_enough && missing <= MOST_MISSING * values.len() as f64)
                    .then(|| Expectation::learn(&values, &regressors, &space))
            })
            .collect();
        let standardised: Vec<Vec<f64>> = expectations
            .iter()
            .enumerate()
            .map(|(j, expectation)| {
                standardised_column(&column(j), expectation.as_ref(), &regressors)
            })
            .collect();
        let mut joint = choose_joint(&standardised, config.drift_share);
        joint.retain(|&j| {
            !self.thermal.get(j).is_some_and(|&thermal| thermal)
                && !expectations[j].as_ref().is_some_and(Expectation::lags_behind)
        });
        joint.truncate(MAX_CHANNELS);
        let unseen: Vec<Vec<f64>> = joint
            .iter()
            .map(|&j| {
                let known = expectations[j].as_ref();
                as_if_unseen(&column(j), &standardised[j], known, &regressors, &space)
            })
            .collect();
        let z: Vec<f64> = (0..regressors.len())
            .flat_map(|row| unseen.iter().map(move |column| column[row]))
            .collect();
        let fast = Mewma::learn(&z, joint.len(), 1.0, config.fast_margin);
        let slow = Mewma::learn(&z, joint.len(), config.slow_weight, config.slow_margin);
        Baseline::new(space, expectations, joint, fast, slow)
    }
}

/// A column in units of its spread; gaps are filled with the value before.
fn standardised_column(
    values: &[f64],
    expectation: Option<&Expectation>,
    regressors: &[Vec<f64>],
) -> Vec<f64> {
    let Some(expectation) = expectation else { return Vec::new() };
    let mut last = 0.0;
    values
        .iter()
        .zip(regressors)
        .map(|(&value, row)| {
            if !value.is_nan() {
                let (expected, std_dev) = expectation.at(row);
                last = standardise(value, expected, std_dev);
            }
            last
        })
        .collect()
}

/// A standardised column as it would have been had each block of rows been new: the expectation of a block comes from
/// the other blocks. At loads between those it was fitted at a regression errs for as long as the load lasts, and the
/// limit must know. Without drivers there is nothing to err about.
fn as_if_unseen(
    values: &[f64],
    standardised: &[f64],
    expectation: Option<&Expectation>,
    regressors: &[Vec<f64>],
    space: &DriverSpace,
) -> Vec<f64> {
    let mut out = standardised.to_vec();
    let Some(expectation) = expectation.filter(|_| space.explains()) else { return out };
    let block = values.len().div_ceil(BLOCKS).max(1);
    for first in (0..values.len()).step_by(block) {
        let rows = first..(first + block).min(values.len());
        let mut others = values.to_vec();
        others[rows.clone()].fill(f64::NAN);
        let without = expectation.relearn(&others, regressors, space);
        for row in rows {
            let (expected, std_dev) = expectation.at(&regressors[row]);
            let shift = (expected - without.at(&regressors[row]).0) / std_dev;
            // A block at the edge of all conditions would be extrapolated to absurdity.
            out[row] += shift.clamp(-LARGEST_SHIFT, LARGEST_SHIFT);
        }
    }
    out
}

/// The columns to be judged together: known, moving, and not wandering slowly.
fn choose_joint(columns: &[Vec<f64>], drift_share: f64) -> Vec<usize> {
    (0..columns.len())
        .filter(|&j| {
            let (_, std_dev) = mean_and_std_dev(columns[j].iter().copied());
            std_dev > 1e-6 && share_between_blocks(&columns[j]) <= drift_share
        })
        .collect()
}

/// Share of the variance that lies between the means of eight blocks: near 0 for noise, near 1 for slow wander.
fn share_between_blocks(column: &[f64]) -> f64 {
    let block = column.len() / BLOCKS;
    if block == 0 {
        return 0.0;
    }
    let means = column
        .chunks_exact(block)
        .take(BLOCKS)
        .map(|block| mean_and_std_dev(block.iter().copied()).0);
    let (_, between) = mean_and_std_dev(means);
    let (_, all) = mean_and_std_dev(column.iter().copied());
    if all > 0.0 { (between / all).powi(2) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::uniform;

    fn noise(i: u32) -> f64 {
        uniform(i) - 0.5
    }

    fn finished(signals: usize, row: impl Fn(u32) -> Vec<f64>) -> Baseline {
        let config = AnalyticsConfig::default();
        let mut commissioning = Commissioning::new(vec![false; signals], 0);
        for i in 0..400 {
            commissioning.add(&row(i), &[], std::iter::repeat(true), &config);
        }
        commissioning.finish(&config)
    }

    #[test]
    fn drifting_constant_and_absent_signals_are_left_out() {
        let baseline = finished(4, |i| {
            let drift = f64::from(i) / 100.0;
            vec![noise(i), drift + 0.3 * noise(i), 5.0, if i < 300 { f64::NAN } else { 1.0 }]
        });
        assert_eq!(baseline.joint(), [0]);
        assert_eq!(baseline.left_out().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_handful_of_readings_carried_from_row_to_row_is_not_judged() {
        let config = AnalyticsConfig::default();
        let mut commissioning = Commissioning::new(vec![false; 2], 0);
        for i in 0..400 {
            let news = [true, i % 100 == 0];
            let row = [noise(i), noise(i / 100)];
            commissioning.add(&row, &[], news.into_iter(), &config);
        }
        let baseline = commissioning.finish(&config);
        assert_eq!((baseline.joint(), baseline.left_out().collect()), (&[0][..], vec![1]));
    }

    #[test]
    fn the_last_row_before_a_stop_is_not_learnt() {
        let config = AnalyticsConfig::default();
        let mut commissioning = Commissioning::new(vec![false], 0);
        commissioning.add(&[1.0], &[], std::iter::once(true), &config);
        commissioning.add(&[99.0], &[], std::iter::once(true), &config);
        commissioning.interrupt();
        commissioning.add(&[1.0], &[], std::iter::once(true), &config);
        assert_eq!(commissioning.count(), 2);
        commissioning.finish(&config);
        assert_eq!(commissioning.rows, [1.0, 1.0]);
    }

    #[test]
    fn an_asset_without_signals_to_judge_gets_a_baseline_that_says_nothing() {
        let mut baseline = finished(0, |_| vec![]);
        assert!(baseline.judge(&[], &[]).is_some_and(|ratio| ratio.abs() < 1e-12));
    }
}
