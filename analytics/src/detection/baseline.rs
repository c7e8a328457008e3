//! SD, baseline: the frozen model of one asset's healthy state. Expectation per signal, T² at two rates over the signals
//! that are judged together: unsmoothed for what is large, smoothed for what is small and lasting.

use serde::{Deserialize, Serialize};

use crate::detection::{
    drivers::DriverSpace,
    expectation::{Expectation, standardise},
    mewma::Mewma,
};

/// The model, and the newest row as it sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Baseline {
    space: DriverSpace,
    expectations: Vec<Option<Expectation>>,
    joint: Vec<usize>,
    fast: Mewma,
    slow: Mewma,
    regressors: Vec<f64>,
    /// By signal: expected value and standard deviation at present.
    expected: Vec<(f64, f64)>,
    /// By signal; NaN where there is none.
    pub(crate) z: Vec<f64>,
    joint_z: Vec<f64>,
}

impl Baseline {
    pub(crate) fn new(
        space: DriverSpace,
        expectations: Vec<Option<Expectation>>,
        joint: Vec<usize>,
        fast: Mewma,
        slow: Mewma,
    ) -> Self {
        let expected = expectations
            .iter()
            .map(|known| known.as_ref().map_or((0.0, 0.0), Expectation::at_reference))
            .collect();
        Self {
            space,
            regressors: Vec::new(),
            expected,
            z: vec![f64::NAN; expectations.len()],
            joint_z: vec![f64::NAN; joint.len()],
            expectations,
            joint,
            fast,
            slow,
        }
    }

    /// Takes one row (NaN: missing); T² over its limit, the larger of both rates. Signals that depend on something about
    /// the condition that was not seen are left out. `None` when that leaves nothing.
    pub(crate) fn judge(&mut self, signals: &[f64], condition: &[f64]) -> Option<f64> {
        self.space.regressors(condition, &mut self.regressors);
        let coverage = self.space.coverage(condition);
        for (j, expectation) in self.expectations.iter().enumerate() {
            if let Some(expectation) = expectation {
                let (expected, std_dev) = expectation.at(&self.regressors);
                self.expected[j] = (expected, std_dev);
                let value = if expectation.holds(coverage) { signals[j] } else { f64::NAN };
                self.z[j] = standardise(value, expected, std_dev);
            }
        }
        for (out, &j) in self.joint_z.iter_mut().zip(&self.joint) {
            *out = self.z[j];
        }
        // A model of nothing has nothing to be kept from judging.
        if !coverage.unseen.is_empty() && self.joint_z.iter().all(|z| z.is_nan()) {
            return None;
        }
        self.fast.update(&self.joint_z);
        self.slow.update(&self.joint_z);
        Some(self.ratio())
    }

    /// T² over its limit, the larger of both rates.
    pub(crate) fn ratio(&self) -> f64 {
        self.fast.ratio.max(self.slow.ratio)
    }

    /// After a stop or a step: forgets what the filters hold, so that no residue of it raises anything.
    pub(crate) fn restart(&mut self) {
        self.fast.restart();
        self.slow.restart();
    }

    /// Share of each judged signal in the larger T², as `(signal, share)`; shares are 0 or more and add up to 1 unless
    /// nothing deviates.
    pub(crate) fn shares(&self) -> Vec<(usize, f64)> {
        let rate = if self.fast.ratio > self.slow.ratio { &self.fast } else { &self.slow };
        let mut parts = vec![0.0; self.joint.len()];
        rate.contributions(&mut parts);
        let total: f64 = parts.iter().map(|part| part.max(0.0)).sum();
        let share = |part: f64| if total > 0.0 { part.max(0.0) / total } else { 0.0 };
        let mut shares: Vec<(usize, f64)> =
            self.joint.iter().copied().zip(parts.into_iter().map(share)).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }

    /// Expected value and standard deviation of a signal in the newest condition.
    pub(crate) fn expected(&self, signal: usize) -> (f64, f64) {
        self.expected[signal]
    }

    /// Expected value and standard deviation of a signal at reference conditions, if it is judged with the others.
    pub(crate) fn reference(&self, signal: usize) -> Option<(f64, f64)> {
        if !self.joint.contains(&signal) {
            return None;
        }
        self.expectations[signal].as_ref().map(Expectation::at_reference)
    }

    /// The newest value of a signal brought to reference conditions; NaN if it was not judged.
    pub(crate) fn at_reference(&self, signal: usize, value: f64) -> f64 {
        let Some(expectation) = &self.expectations[signal] else { return f64::NAN };
        if self.z[signal].is_nan() {
            return f64::NAN;
        }
        let (expected, std_dev) = self.expected[signal];
        let (reference, reference_std_dev) = expectation.at_reference();
        reference + (value - expected) / std_dev * reference_std_dev
    }

    /// The signals judged together.
    pub(crate) fn joint(&self) -> &[usize] {
        &self.joint
    }

    /// The signals left out of it.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = usize> {
        (0..self.expectations.len()).filter(|signal| !self.joint.contains(signal))
    }
}
