//! SD, multivariate: Hotelling's T² of exponentially weighted means (MEWMA: Lowry et al. 1992), with a limit taken from
//! the data itself because theoretical limits are far too tight on autocorrelated signals.
//!
//! ```text
//! E(t) = E(t-1) + a (z(t) - E(t-1))        C = 0.9 cov(E) + 0.1 diag(cov(E))
//! T²   = (E-m)' C⁻¹ (E-m)                  limit = margin × max T² while learning
//! ```
//! Missing channels are left out: the T² of the others is their marginal one, its limit is scaled by the quotient of
//! the χ² quantiles.

use serde::{Deserialize, Serialize};

use crate::detection::cholesky::Packed;

/// Rows whose mean starts the filter.
const START_ROWS: usize = 10;
/// Rows left out of mean, covariance and limit, while the filter runs in.
const RUN_IN_ROWS: usize = 20;
/// Share of the diagonal in the covariance.
const SHRINKAGE: f64 = 0.1;
/// The most channels one model takes.
pub(crate) const MAX_CHANNELS: usize = 64;

/// A frozen model at one rate, and the filter that runs on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Mewma {
    weight: f64,
    filtered: Vec<f64>,
    mean: Vec<f64>,
    covariance: Packed,
    /// T² at which the score is 0.5, all channels present.
    limit: f64,
    /// Channels present in the newest row, one bit each.
    present: u64,
    chosen: Vec<u8>,
    factor: Packed,
    /// The same for the channels present.
    present_limit: f64,
    /// C⁻¹ (E-m) of the channels present.
    weights: Vec<f64>,
    /// T² over its limit.
    pub(crate) ratio: f64,
}

impl Mewma {
    /// Learns from healthy rows (`channels` values each, row by row, none missing), and leaves the filter where the
    /// last row left it.
    pub(crate) fn learn(rows: &[f64], channels: usize, weight: f64, margin: f64) -> Self {
        let mut model = Self::new(channels, weight);
        let row_count = rows.len().checked_div(channels).unwrap_or(0);
        for (j, value) in model.filtered.iter_mut().enumerate() {
            let start = rows.chunks_exact(channels.max(1)).take(START_ROWS).map(|row| row[j]);
            *value = start.sum::<f64>() / START_ROWS.min(row_count.max(1)) as f64;
        }
        let mut filtered = Vec::with_capacity(rows.len());
        for row in rows.chunks_exact(channels.max(1)) {
            model.filter(row);
            filtered.extend_from_slice(&model.filtered);
        }
        let settled = filtered.get(RUN_IN_ROWS * channels..).unwrap_or(&[]);
        model.learn_moments(settled);
        model.choose(model.present);
        let mut largest = 0.0_f64;
        for row in settled.chunks_exact(channels.max(1)) {
            largest = largest.max(model.statistic(row));
        }
        model.limit = if largest > 0.0 { margin * largest } else { f64::INFINITY };
        model.choose(model.present);
        model
    }

    fn new(channels: usize, weight: f64) -> Self {
        let present = if channels == 0 { 0 } else { u64::MAX >> (64 - channels.min(64)) };
        Self {
            weight,
            filtered: vec![0.0; channels],
            mean: vec![0.0; channels],
            covariance: Packed::zero(channels),
            limit: f64::INFINITY,
            present,
            chosen: Vec::with_capacity(channels),
            factor: Packed::zero(channels),
            present_limit: f64::INFINITY,
            weights: vec![0.0; channels],
            ratio: 0.0,
        }
    }

    fn learn_moments(&mut self, filtered: &[f64]) {
        let channels = self.mean.len();
        let rows = (filtered.len().checked_div(channels).unwrap_or(0)).max(1) as f64;
        for row in filtered.chunks_exact(channels.max(1)) {
            for (mean, value) in self.mean.iter_mut().zip(row) {
                *mean += value / rows;
            }
        }
        let mut centred = vec![0.0; channels];
        for row in filtered.chunks_exact(channels.max(1)) {
            for ((out, value), mean) in centred.iter_mut().zip(row).zip(&self.mean) {
                *out = value - mean;
            }
            self.covariance.add_outer(&centred, 1.0 / rows);
        }
        for row in 0..channels {
            for column in 0..row {
                *self.covariance.at(row, column) *= 1.0 - SHRINKAGE;
            }
            // A channel that never moved is not in the model; this only keeps the arithmetic alive.
            let variance = self.covariance.at(row, row);
            *variance = variance.max(1e-12);
        }
    }

    /// One row in the order of the channels; NaN where there is no value.
    pub(crate) fn update(&mut self, row: &[f64]) {
        let mut present = 0;
        for (bit, value) in row.iter().enumerate().take(MAX_CHANNELS) {
            present |= u64::from(!value.is_nan()) << bit;
        }
        if present != self.present {
            // What comes back starts from the mean: what the filter held is of another time.
            for (bit, (value, mean)) in self.filtered.iter_mut().zip(&self.mean).enumerate() {
                if present & !self.present & (1 << bit) != 0 {
                    *value = *mean;
                }
            }
            self.choose(present);
        }
        self.filter(row);
        for (weight, &j) in self.weights.iter_mut().zip(&self.chosen) {
            *weight = self.filtered[usize::from(j)] - self.mean[usize::from(j)];
        }
        self.factor.solve_lower(&mut self.weights);
        let chosen = &self.weights[..self.chosen.len()];
        self.ratio = chosen.iter().map(|y| y * y).sum::<f64>() / self.present_limit;
        self.factor.solve_upper(&mut self.weights);
    }

    /// Forgets what the filter holds.
    pub(crate) fn restart(&mut self) {
        self.filtered.copy_from_slice(&self.mean);
    }

    /// Contribution of each channel to T², `(C⁻¹(E-m))_j (E-m)_j`, added up over the channels; may be negative.
    pub(crate) fn contributions(&self, out: &mut [f64]) {
        out.fill(0.0);
        for (weight, &j) in self.weights.iter().zip(&self.chosen) {
            let j = usize::from(j);
            out[j] = weight * (self.filtered[j] - self.mean[j]);
        }
    }

    fn filter(&mut self, row: &[f64]) {
        for (value, z) in self.filtered.iter_mut().zip(row) {
            if !z.is_nan() {
                *value += self.weight * (z - *value);
            }
        }
    }

    fn choose(&mut self, present: u64) {
        self.present = present;
        self.chosen.clear();
        self.chosen.extend(
            (0_u8..).take(self.mean.len().min(MAX_CHANNELS)).filter(|&j| present & (1 << j) != 0),
        );
        let share = typical_t2(self.chosen.len()) / typical_t2(self.mean.len());
        self.present_limit = if self.factor.factorise(&self.covariance, &self.chosen) {
            self.limit * share
        } else {
            f64::INFINITY
        };
        self.weights.fill(0.0);
    }

    fn statistic(&self, filtered: &[f64]) -> f64 {
        let mut deviation: Vec<f64> =
            filtered.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        self.factor.solve_lower(&mut deviation);
        deviation.iter().map(|y| y * y).sum()
    }
}

/// The 99.99 % quantile of χ² with this many degrees of freedom (Wilson and Hilferty 1931).
fn typical_t2(channels: usize) -> f64 {
    if channels == 0 {
        return 1.0;
    }
    let k = channels as f64;
    let spread = 2.0 / (9.0 * k);
    k * (1.0 - spread + 3.719 * spread.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal as noise;

    fn healthy(i: u32) -> [f64; 3] {
        let common = noise(3 * i);
        [common, common + 0.3 * noise(3 * i + 1), noise(3 * i + 2)]
    }

    fn learnt(weight: f64, margin: f64) -> Mewma {
        let rows: Vec<f64> = (0..400).flat_map(healthy).collect();
        Mewma::learn(&rows, 3, weight, margin)
    }

    #[test]
    fn ordinary_rows_stay_below_the_limit_and_a_shift_does_not() {
        for (weight, margin) in [(1.0, 1.5), (0.2, 2.0)] {
            let mut model = learnt(weight, margin);
            for i in 400..2_000 {
                model.update(&healthy(i));
                assert!(model.ratio < 1.0, "row {i}: {}", model.ratio);
            }
            for i in 2_000..2_030 {
                let [a, b, c] = healthy(i);
                model.update(&[a, b, c + 6.0]);
            }
            assert!(model.ratio > 1.0);
            let mut shares = [0.0; 3];
            model.contributions(&mut shares);
            assert!(shares[2] > 5.0 * shares[0].abs().max(shares[1].abs()), "{shares:?}");
        }
    }

    #[test]
    fn a_broken_correlation_is_seen_although_each_channel_is_ordinary() {
        let mut model = learnt(0.2, 2.0);
        for _ in 0..30 {
            model.update(&[1.0, -1.0, 0.0]);
        }
        assert!(model.ratio > 1.0, "{}", model.ratio);
    }

    #[test]
    fn a_missing_channel_is_left_out_and_comes_back_gently() {
        let mut model = learnt(0.2, 2.0);
        for i in 0..200 {
            let [a, b, _] = healthy(i);
            model.update(&[a, b, f64::NAN]);
            assert!(model.ratio < 1.0, "{}", model.ratio);
        }
        for i in 200..400 {
            model.update(&healthy(i));
            assert!(model.ratio < 1.0, "{}", model.ratio);
        }
        model.update(&[f64::NAN; 3]);
        assert!(model.ratio.abs() < 1e-12);
    }

    #[test]
    fn no_channel_at_all_is_a_model_that_says_nothing() {
        let mut model = Mewma::learn(&[], 0, 0.2, 2.0);
        model.update(&[]);
        assert!(model.ratio.abs() < 1e-12);
    }
}
