//! SD, expectation: what a signal should be at the present speed and load. A ridge regression on the drivers and their
//! squares, and on how far the drivers' past differs from their present (thermal lag); what is judged is the residual in
//! units of its own spread. Regression-adjusted (cause-selecting) control charts: Hawkins 1991, *Technometrics* 33.

use serde::{Deserialize, Serialize};

use crate::{
    config::AnalyticsConfig,
    detection::cholesky::Packed,
    features::statistics::{mean_and_std_dev, robust_centre_and_scale},
};

/// The most drivers one asset's model takes; further ones are shown but explain nothing.
pub(crate) const MAX_DRIVERS: usize = 6;
const RIDGE: f64 = 1e-3;
/// Residuals further out than this many spreads do not take part in the second fit.
const TRIM: f64 = 4.0;
/// A driver that moved less than this share of its size has explained nothing.
const LEAST_SPREAD: f64 = 2e-3;
/// A box is at least this share of a driver's size wider than what was seen.
const LEAST_MARGIN: f64 = 0.02;
/// A signal lags behind its drivers when their past makes the spread of its residual smaller than this share.
const LAG_GAIN: f64 = 0.8;
const LARGEST_Z: f64 = 25.0;

/// One driver as seen while learning.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Axis {
    centre: f64,
    scale: f64,
    low: f64,
    high: f64,
    /// Range of the lagging mean minus the driver itself.
    behind_low: f64,
    behind_high: f64,
    explains: bool,
}

/// Whether an operating condition was seen while learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// It was.
    Seen,
    /// The drivers were, but not so soon after so different ones: the machine warms up or cools down.
    Settling,
    /// The drivers were not.
    Unseen,
}

/// The operating conditions seen while learning. A condition is the drivers, then their lagging means, in one slice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DriverSpace {
    axes: Vec<Axis>,
    margin: f64,
}

impl DriverSpace {
    /// From the conditions of healthy rows.
    pub(crate) fn learn<'a>(
        conditions: impl Iterator<Item = &'a [f64]> + Clone,
        drivers: usize,
        config: &AnalyticsConfig,
    ) -> Self {
        let axis = |j: usize| {
            let present = conditions.clone().map(move |condition| condition[j]);
            let behind = conditions.clone().map(move |c| c[drivers + j] - c[j]);
            let (centre, scale) = mean_and_std_dev(present.clone());
            let ((low, high), (behind_low, behind_high)) = (range(present), range(behind));
            let explains = scale > (LEAST_SPREAD * centre.abs()).max(1e-9);
            Axis { centre, scale, low, high, behind_low, behind_high, explains }
        };
        Self { axes: (0..drivers).map(axis).collect(), margin: config.driver_margin }
    }

    /// Whether conditions like this one were seen: for each driver, and for how far its past differs from its present,
    /// the range with a margin.
    pub(crate) fn coverage(&self, condition: &[f64]) -> Coverage {
        let mut coverage = Coverage::Seen;
        for (j, axis) in self.axes.iter().enumerate() {
            let size = axis.low.abs().max(axis.high.abs());
            let margin = (self.margin * (axis.high - axis.low)).max(LEAST_MARGIN * size).max(1e-9);
            let within =
                |value: f64, low: f64, high: f64| (low - margin..=high + margin).contains(&value);
            if !within(condition[j], axis.low, axis.high) {
                return Coverage::Unseen;
            }
            let behind = condition[self.axes.len() + j] - condition[j];
            if !within(behind, axis.behind_low.min(0.0), axis.behind_high.max(0.0)) {
                coverage = Coverage::Settling;
            }
        }
        coverage
    }

    /// The regressors of a condition: 1, then for each driver that moved: d, d², lagging mean − d, standardised. What
    /// lies beyond the range learnt and its margin is taken as its end: a parabola is no guide out there.
    pub(crate) fn regressors(&self, condition: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.push(1.0);
        for (j, axis) in self.axes.iter().enumerate().filter(|(_, axis)| axis.explains) {
            let d = self.reined(condition[j], axis.low, axis.high) - axis.centre;
            let d = d / axis.scale;
            let behind = condition[self.axes.len() + j] - condition[j];
            let behind = self.reined(behind, axis.behind_low, axis.behind_high);
            out.extend([d, d * d, behind / axis.scale]);
        }
    }

    /// A value kept within the margin of a range.
    fn reined(&self, value: f64, low: f64, high: f64) -> f64 {
        let margin = self.margin * (high - low);
        value.clamp(low - margin, high + margin)
    }

    /// Whether any driver explains anything.
    pub(crate) fn explains(&self) -> bool {
        self.axes.iter().any(|axis| axis.explains)
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    // Starting from a finite pair keeps `clamp` from panicking on an empty range.
    values
        .fold(None, |range: Option<(f64, f64)>, value| {
            Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        })
        .unwrap_or((0.0, 0.0))
}

/// What one signal should be, and how far it may scatter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Expectation {
    coefficients: Vec<f64>,
    centre: f64,
    scale: f64,
    /// Scatter grows with the level, as that of vibration does; else it is the same everywhere.
    proportional: bool,
    floor: f64,
    /// Fit at mean drivers in thermal equilibrium: what "reference conditions" means.
    reference_fit: f64,
}

impl Expectation {
    /// From healthy values (NaN: missing) and the regressors of the same rows.
    pub(crate) fn learn(values: &[f64], regressors: &[Vec<f64>], space: &DriverSpace) -> Self {
        let (values, regressors): (Vec<f64>, Vec<&[f64]>) = values
            .iter()
            .zip(regressors)
            .filter(|(value, _)| !value.is_nan())
            .map(|(value, row)| (*value, row.as_slice()))
            .unzip();
        let coefficients = if space.explains() {
            fit_drivers(&values, &regressors)
        } else {
            // Without drivers the expectation is the median itself.
            vec![0.0; regressors.first().map_or(1, |row| row.len())]
        };
        let fits: Vec<f64> = regressors.iter().map(|row| dot(&coefficients, row)).collect();
        let residuals: Vec<f64> = values.iter().zip(&fits).map(|(y, f)| y - f).collect();
        let reference_fit = coefficients.first().copied().unwrap_or(0.0);
        Self::with_spread(coefficients, &fits, &residuals, reference_fit)
    }

    /// Chooses between a constant and a proportional spread by likelihood.
    fn with_spread(
        coefficients: Vec<f64>,
        fits: &[f64],
        residuals: &[f64],
        reference_fit: f64,
    ) -> Self {
        let (centre, scale) = robust_centre_and_scale(&mut residuals.to_vec());
        let constant =
            Self { coefficients, centre, scale, proportional: false, floor: 0.0, reference_fit };
        let smallest = fits.iter().copied().fold(f64::INFINITY, f64::min);
        if !(reference_fit > 0.0 && smallest > 0.1 * reference_fit) {
            return constant;
        }
        let mut relative: Vec<f64> =
            residuals.iter().zip(fits).map(|(r, f)| r * reference_fit / f).collect();
        let (centre, scale) = robust_centre_and_scale(&mut relative);
        let proportional = Self {
            centre,
            scale,
            proportional: true,
            floor: 0.1 * reference_fit,
            ..constant.clone()
        };
        let advantage =
            proportional.log_likelihood(fits, residuals) - constant.log_likelihood(fits, residuals);
        if advantage > 5.0 { proportional } else { constant }
    }

    fn log_likelihood(&self, fits: &[f64], residuals: &[f64]) -> f64 {
        let terms = fits.iter().zip(residuals).map(|(f, r)| {
            let factor = self.factor(*f);
            let spread = self.scale * factor;
            let z = (r - self.centre * factor) / spread;
            -spread.ln() - 0.5 * (z * z).min(TRIM * TRIM)
        });
        terms.sum()
    }

    fn factor(&self, fit: f64) -> f64 {
        if self.proportional { fit.max(self.floor) / self.reference_fit } else { 1.0 }
    }

    /// Expected value and standard deviation under these regressors.
    pub(crate) fn at(&self, regressors: &[f64]) -> (f64, f64) {
        let fit = dot(&self.coefficients, regressors);
        let factor = self.factor(fit);
        (fit + self.centre * factor, self.scale * factor)
    }

    /// Expected value and standard deviation at reference conditions.
    pub(crate) fn at_reference(&self) -> (f64, f64) {
        (self.reference_fit + self.centre, self.scale)
    }
}

/// Standardised residual, clipped; NaN stays NaN.
pub(crate) fn standardise(value: f64, expected: f64, std_dev: f64) -> f64 {
    ((value - expected) / std_dev).clamp(-LARGEST_Z, LARGEST_Z)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Ridge regression, with the drivers' past only where it explains much: what does not lag behind would only be bent by
/// it under conditions never seen.
fn fit_drivers(values: &[f64], rows: &[&[f64]]) -> Vec<f64> {
    let present: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            let is_behind = |i: usize| i > 0 && i.is_multiple_of(3);
            row.iter().enumerate().map(|(i, x)| if is_behind(i) { 0.0 } else { *x }).collect()
        })
        .collect();
    let present: Vec<&[f64]> = present.iter().map(Vec::as_slice).collect();
    let (without, without_scale) = fit_twice(values, &present);
    let (with, with_scale) = fit_twice(values, rows);
    if with_scale < LAG_GAIN * without_scale { with } else { without }
}

/// Ridge regression, and again without the values the first one finds far out; coefficients and spread of residuals.
fn fit_twice(values: &[f64], rows: &[&[f64]]) -> (Vec<f64>, f64) {
    let residuals = |coefficients: &[f64]| -> Vec<f64> {
        values.iter().zip(rows).map(|(value, row)| value - dot(coefficients, row)).collect()
    };
    let first = residuals(&fit(values, rows, |_| true));
    let (centre, scale) = robust_centre_and_scale(&mut first.clone());
    let second = fit(values, rows, |i| (first[i] - centre).abs() <= TRIM * scale);
    let (_, scale) = robust_centre_and_scale(&mut residuals(&second));
    (second, scale)
}

fn fit(values: &[f64], rows: &[&[f64]], takes_part: impl Fn(usize) -> bool) -> Vec<f64> {
    let order = rows.first().map_or(1, |row| row.len());
    let mut matrix = Packed::zero(order);
    let mut solution = vec![0.0; order];
    let weight = 1.0 / rows.len().max(1) as f64;
    for (_, (value, row)) in values.iter().zip(rows).enumerate().filter(|(i, _)| takes_part(*i)) {
        matrix.add_outer(row, weight);
        for (sum, x) in solution.iter_mut().zip(*row) {
            *sum += weight * x * value;
        }
    }
    // The intercept is not shrunk, only kept from vanishing when there is no row at all.
    for i in 0..order {
        *matrix.at(i, i) += if i == 0 { 1e-12 } else { RIDGE };
    }
    let chosen: Vec<u8> = (0_u8..).take(order).collect();
    let mut factor = Packed::zero(order);
    if !factor.factorise(&matrix, &chosen) {
        return vec![0.0; order];
    }
    factor.solve_lower(&mut solution);
    factor.solve_upper(&mut solution);
    solution
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal as noise;

    fn learnt(value: impl Fn(f64, u32) -> f64) -> (DriverSpace, Expectation) {
        let load = |i: u32| 40.0 + f64::from(i * 37 % 60);
        let conditions: Vec<[f64; 2]> = (0..400).map(|i| [load(i), load(i)]).collect();
        let space = DriverSpace::learn(
            conditions.iter().map(|c| c.as_slice()),
            1,
            &AnalyticsConfig::default(),
        );
        let regressors: Vec<Vec<f64>> = conditions
            .iter()
            .map(|condition| {
                let mut row = Vec::new();
                space.regressors(condition, &mut row);
                row
            })
            .collect();
        let values: Vec<f64> = (0..400).map(|i| value(load(i), i)).collect();
        let expectation = Expectation::learn(&values, &regressors, &space);
        (space, expectation)
    }

    fn expected((space, expectation): &(DriverSpace, Expectation), load: f64) -> (f64, f64) {
        let mut row = Vec::new();
        space.regressors(&[load, load], &mut row);
        expectation.at(&row)
    }

    #[track_caller]
    fn check(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    #[test]
    fn expectation_follows_the_square_of_the_load() {
        let model = learnt(|load, i| 1.0 + load * load / 1_000.0 + 0.1 * noise(i));
        for load in [45.0, 70.0, 95.0] {
            let (value, std_dev) = expected(&model, load);
            check(value, 1.0 + load * load / 1_000.0, 0.05);
            check(std_dev, 0.1, 0.03);
        }
    }

    #[test]
    fn scatter_that_grows_with_the_level_is_learnt_as_such() {
        let model = learnt(|load, i| load / 20.0 * (1.0 + 0.05 * noise(i)));
        check(expected(&model, 40.0).1, 0.1, 0.03);
        check(expected(&model, 98.0).1, 0.245, 0.06);
    }

    #[test]
    fn a_few_wild_values_do_not_bend_the_fit() {
        let wild = |i: u32| if i.is_multiple_of(40) { 50.0 } else { 0.0 };
        let model = learnt(|load, i| load / 20.0 + 0.1 * noise(i) + wild(i));
        check(expected(&model, 70.0).0, 3.5, 0.1);
    }

    #[test]
    fn without_drivers_it_is_median_and_mad() {
        let values: Vec<f64> = (0..401).map(noise).collect();
        let space = DriverSpace::default();
        let model = Expectation::learn(&values, &vec![vec![1.0]; 401], &space);
        let (centre, scale) = robust_centre_and_scale(&mut values.clone());
        check(model.at(&[1.0]).0, centre, 1e-12);
        check(model.at(&[1.0]).1, scale, 1e-12);
    }

    #[test]
    fn a_condition_outside_what_was_seen_is_not_covered() {
        let (space, _) = learnt(|load, _| load);
        for (load, lagging, expected) in [
            (50.0, 50.0, Coverage::Seen),
            (104.0, 100.0, Coverage::Seen),
            (120.0, 100.0, Coverage::Unseen),
            // A cold start.
            (80.0, 5.0, Coverage::Settling),
        ] {
            assert_eq!(space.coverage(&[load, lagging]), expected, "{load} {lagging}");
        }
    }
}
