//! SD, expectation: what a signal should be at the present speed and load. A ridge regression on the drivers that matter
//! to it and their powers; what is judged is the residual in units of its own spread. Signals that follow the drivers' past
//! (thermal lag) are recognised, because hours of learning do not tell what days of weather and stops will do to them.
//! Regression-adjusted (cause-selecting) control charts: Hawkins 1991, *Technometrics* 33.

use serde::{Deserialize, Serialize};

use crate::{
    detection::{
        drivers::{Coverage, DriverSet, DriverSpace, LAGS, Part},
        regression::{TRIM, dot, fit_twice},
    },
    features::statistics::robust_centre_and_scale,
};

/// A driver matters to a signal when leaving it out makes the spread of the residual larger than this multiple.
const RELEVANCE: f64 = 1.05;
/// A cube belongs to a signal when it makes the spread smaller than this share: at the ends of a range it counts.
const CUBE_GAIN: f64 = 0.98;
/// A signal lags behind its drivers when their past makes the spread smaller than this share.
const PAST_GAIN: f64 = 0.8;
const LARGEST_Z: f64 = 25.0;

/// What one signal should be, and how far it may scatter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Expectation {
    coefficients: Vec<f64>,
    /// The drivers that matter to it, and those of which nobody knows.
    depends_on: DriverSet,
    /// It follows what the drivers were rather than what they are.
    lags_behind: bool,
    centre: f64,
    scale: f64,
    /// Scatter grows with the level, as that of vibration does; else it is the same everywhere.
    proportional: bool,
    floor: f64,
    /// Fit at mean drivers in thermal equilibrium: what "reference conditions" means.
    reference_fit: f64,
}

impl Expectation {
    /// From healthy values (NaN: missing) and the regressors of the same rows. Finds out which drivers matter.
    pub(crate) fn learn(values: &[f64], regressors: &[Vec<f64>], space: &DriverSpace) -> Self {
        let (values, rows) = present_rows(values, regressors);
        let depends_on = select_drivers(&values, &rows, space);
        let lags_behind = lags_behind(&values, &rows, space, depends_on);
        Self { lags_behind, ..Self::learn_rows(&values, &rows, space, depends_on) }
    }

    /// The same as it would be learnt from other values.
    pub(crate) fn relearn(
        &self,
        values: &[f64],
        regressors: &[Vec<f64>],
        space: &DriverSpace,
    ) -> Self {
        let (values, rows) = present_rows(values, regressors);
        Self::learn_rows(&values, &rows, space, self.depends_on)
    }

    fn learn_rows(
        values: &[f64],
        rows: &[&[f64]],
        space: &DriverSpace,
        depends_on: DriverSet,
    ) -> Self {
        let coefficients = if space.explains() {
            fit_twice(values, rows, &space.chosen_regressors(depends_on)).0
        } else {
            // Without drivers the expectation is the median itself.
            vec![0.0; rows.first().map_or(1, |row| row.len())]
        };
        let fits: Vec<f64> = rows.iter().map(|row| dot(&coefficients, row)).collect();
        let residuals: Vec<f64> = values.iter().zip(&fits).map(|(y, f)| y - f).collect();
        let reference_fit = coefficients.first().copied().unwrap_or(0.0);
        let depends_on = depends_on.union(space.still());
        Self::with_spread(coefficients, depends_on, &fits, &residuals, reference_fit)
    }

    /// Whether the signal follows what the drivers were rather than what they are.
    pub(crate) const fn lags_behind(&self) -> bool {
        self.lags_behind
    }

    /// Whether it can be trusted under this coverage.
    pub(crate) fn holds(&self, coverage: Coverage) -> bool {
        !coverage.is_far && !self.depends_on.intersects(coverage.unseen)
    }

    /// Chooses between a constant and a proportional spread by likelihood.
    fn with_spread(
        coefficients: Vec<f64>,
        depends_on: DriverSet,
        fits: &[f64],
        residuals: &[f64],
        reference_fit: f64,
    ) -> Self {
        let (centre, scale) = robust_centre_and_scale(&mut residuals.to_vec());
        let constant = Self {
            coefficients,
            depends_on,
            lags_behind: false,
            centre,
            scale,
            proportional: false,
            floor: 0.0,
            reference_fit,
        };
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

fn present_rows<'a>(values: &[f64], regressors: &'a [Vec<f64>]) -> (Vec<f64>, Vec<&'a [f64]>) {
    values
        .iter()
        .zip(regressors)
        .filter(|(value, _)| !value.is_nan())
        .map(|(value, row)| (*value, row.as_slice()))
        .unzip()
}

/// Backward elimination: a driver that explains nothing would only bend the expectation where it was never seen. Then
/// cubes are taken in where they explain enough.
fn select_drivers(values: &[f64], rows: &[&[f64]], space: &DriverSpace) -> DriverSet {
    let spread = |set: DriverSet| fit_twice(values, rows, &space.chosen_regressors(set)).1;
    let all = space.moved().fold(DriverSet::default(), |set, j| set.with(j, Part::Level));
    let (mut set, limit) = (all, RELEVANCE * spread(all));
    loop {
        let smaller = space
            .moved()
            .filter(|&driver| set.has(driver, Part::Level))
            .map(|driver| set.without(driver))
            .map(|candidate| (spread(candidate), candidate))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        match smaller {
            Some((spread, candidate)) if spread <= limit => set = candidate,
            _ => break,
        }
    }
    for driver in space.moved() {
        let candidate = set.with(driver, Part::Cube);
        if set.has(driver, Part::Level) && spread(candidate) < CUBE_GAIN * spread(set) {
            set = candidate;
        }
    }
    set
}

/// Whether the past of the drivers explains much that their present does not.
fn lags_behind(values: &[f64], rows: &[&[f64]], space: &DriverSpace, set: DriverSet) -> bool {
    if !space.explains() {
        return false;
    }
    let spread = |set: DriverSet| fit_twice(values, rows, &space.chosen_regressors(set)).1;
    let with_past = (0..LAGS)
        .map(Part::Past)
        .fold(set, |set, part| space.moved().fold(set, |set, driver| set.with(driver, part)));
    spread(with_past) < PAST_GAIN * spread(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::AnalyticsConfig, noise::normal as noise};

    fn learnt(value: impl Fn(f64, u32) -> f64) -> (DriverSpace, Expectation) {
        let load = |i: u32| 40.0 + f64::from(i * 37 % 60);
        let conditions: Vec<[f64; 3]> = (0..400).map(|i| [load(i); 3]).collect();
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
        space.regressors(&[load; 3], &mut row);
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
    fn a_signal_depends_only_on_the_drivers_that_matter_to_it() {
        let load = |i: u32| 40.0 + f64::from(i * 37 % 60);
        let ambient = |i: u32| 18.0 + f64::from(i) / 100.0;
        let condition = |load: f64, ambient: f64, still: f64| {
            [load, ambient, still, load, ambient, still, load, ambient, still]
        };
        let conditions: Vec<[f64; 9]> =
            (0..400).map(|i| condition(load(i), ambient(i), 7.0)).collect();
        let config = AnalyticsConfig::default();
        let space = DriverSpace::learn(conditions.iter().map(|c| c.as_slice()), 3, &config);
        let regressors: Vec<Vec<f64>> = conditions
            .iter()
            .map(|condition| {
                let mut row = Vec::new();
                space.regressors(condition, &mut row);
                row
            })
            .collect();
        let learn = |value: &dyn Fn(u32) -> f64| {
            let values: Vec<f64> = (0..400).map(value).collect();
            Expectation::learn(&values, &regressors, &space)
        };
        let vibration = learn(&|i| load(i) / 20.0 + 0.1 * noise(i));
        let temperature = learn(&|i| ambient(i) + load(i) / 10.0 + 0.1 * noise(i));
        // The third driver stood still, so nobody knows what it does.
        let depends = |signal: &Expectation| -> Vec<bool> {
            (0..3).map(|driver| signal.depends_on.has(driver, Part::Level)).collect()
        };
        assert_eq!(depends(&vibration), [true, false, true]);
        assert_eq!(depends(&temperature), [true, true, true]);
        let warm = space.coverage(&condition(80.0, 25.0, 7.0));
        assert!(vibration.holds(warm) && !temperature.holds(warm));
        let other = space.coverage(&condition(80.0, 20.0, 9.0));
        assert!(!vibration.holds(other));
    }

    #[test]
    fn a_signal_that_follows_the_past_of_its_driver_is_recognised() {
        let load = |i: u32| if (i / 40).is_multiple_of(2) { 50.0 } else { 90.0 };
        let (mut lagging, mut heat) = ([load(0); 2], load(0));
        let (mut conditions, mut slow, mut quick) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..400 {
            lagging[0] += (load(i) - lagging[0]) / 30.0;
            lagging[1] += (load(i) - lagging[1]) / 120.0;
            heat += (load(i) - heat) / 50.0;
            conditions.push([load(i), lagging[0], lagging[1]]);
            slow.push(20.0 + heat / 2.0 + 0.3 * noise(i));
            quick.push(load(i) / 20.0 + 0.1 * noise(i));
        }
        let config = AnalyticsConfig::default();
        let space = DriverSpace::learn(conditions.iter().map(|c| c.as_slice()), 1, &config);
        let regressors: Vec<Vec<f64>> = conditions
            .iter()
            .map(|condition| {
                let mut row = Vec::new();
                space.regressors(condition, &mut row);
                row
            })
            .collect();
        assert!(Expectation::learn(&slow, &regressors, &space).lags_behind());
        assert!(!Expectation::learn(&quick, &regressors, &space).lags_behind());
    }
}
