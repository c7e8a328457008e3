//! PA, the law of growth: Bayesian exponential degradation (Gebraeel et al. 2005, *IIE Transactions* 37). With S the
//! indicator, φ its healthy level and D its limit:
//!
//! ```text
//! L = ln |S - φ| = a + b t + e,   e ~ N(0, s²/w)         weighted least squares under a vague prior, with forgetting
//! P(T ≤ h) = Φ((L(now) + b h - ln |D - φ|) / sqrt(var(L(now) + b h) + s²)),   truncated to h > 0
//! ```
//! The mass that never arrives is "no failure in sight". To the variance of b comes a share of b itself: that the law is
//! exponential is an assumption, and the further ahead one looks the less it can be trusted. Residuals are not white: what
//! the expectation errs at one load it errs as long as the load lasts, so n observations tell as much as a third of them.

use serde::{Deserialize, Serialize};

use crate::prognosis::normal;

/// Scatter of L that is assumed before there is evidence, and how many observations it is worth.
const PRIOR_SCATTER: f64 = 0.1;
const PRIOR_WEIGHT: f64 = 3.0;
/// So many observations in a row err alike and are worth one: a load lasts for some blocks of frames.
const ERRING_ALIKE: f64 = 3.0;
/// Beyond this nobody plans: twenty years.
const HORIZON_H: f64 = 175_200.0;

/// Evidence so far: weighted sums, with t in hours since onset.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Growth {
    pub(crate) count: u32,
    effective: f64,
    w: f64,
    t: f64,
    tt: f64,
    l: f64,
    tl: f64,
    ll: f64,
}

/// L as a function of the hours from now, with its uncertainty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forecast {
    now: f64,
    rate: f64,
    var_now: f64,
    covariance: f64,
    var_rate: f64,
    scatter: f64,
    target: f64,
}

/// Hours until the limit is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    pub(crate) p05_h: f64,
    pub(crate) p50_h: f64,
    pub(crate) p95_h: f64,
    pub(crate) never: f64,
}

impl Growth {
    /// One observation: L at `t` hours since onset. `std_dev`: how far noise alone may have moved it; what is uncertain
    /// counts less.
    pub(crate) fn add(&mut self, t: f64, l: f64, std_dev: f64, forgetting: f64) {
        let weight = 1.0 / (1.0 + (std_dev / PRIOR_SCATTER).powi(2));
        for (sum, term) in [
            (&mut self.effective, 1.0),
            (&mut self.w, weight),
            (&mut self.t, weight * t),
            (&mut self.tt, weight * t * t),
            (&mut self.l, weight * l),
            (&mut self.tl, weight * t * l),
            (&mut self.ll, weight * l * l),
        ] {
            *sum = forgetting * *sum + term;
        }
        self.count = self.count.saturating_add(1);
    }

    /// The law at `t` hours since onset, aimed at L = `target`. `None` while two different times are missing.
    pub(crate) fn forecast(&self, t: f64, target: f64, law_uncertainty: f64) -> Option<Forecast> {
        let (mean_t, mean_l) = (self.t / self.w, self.l / self.w);
        let spread_t = self.tt - self.t * mean_t;
        if spread_t.is_nan() || spread_t <= 1e-12 * self.tt.max(1e-12) {
            return None;
        }
        let rate = (self.tl - self.t * mean_l) / spread_t;
        let residual = (self.ll - self.l * mean_l - rate * (self.tl - self.t * mean_l)).max(0.0);
        // Two degrees of freedom are spent on a and b.
        let evidence = (self.effective - 2.0).max(0.0);
        let variance =
            (PRIOR_WEIGHT * PRIOR_SCATTER.powi(2) + residual) / (PRIOR_WEIGHT + evidence);
        let var_rate = ERRING_ALIKE * variance / spread_t;
        let ahead = t - mean_t;
        Some(Forecast {
            now: mean_l + rate * ahead,
            rate,
            var_now: ERRING_ALIKE * variance / self.w + var_rate * ahead * ahead,
            covariance: var_rate * ahead,
            var_rate: var_rate + (law_uncertainty * rate).powi(2),
            scatter: variance,
            target,
        })
    }
}

impl Forecast {
    /// How many standard deviations the rate lies above zero.
    pub(crate) fn significance(&self) -> f64 {
        self.rate / self.var_rate.sqrt()
    }

    /// Probability that L has reached its target `h` hours from now, untruncated.
    fn reached(&self, h: f64) -> f64 {
        let variance = self.var_now + 2.0 * self.covariance * h + self.var_rate * h * h;
        let distance = self.now + self.rate * h - self.target;
        normal::cumulative(distance / (variance.max(0.0) + self.scatter).sqrt())
    }

    /// 5, 50 and 95 % of the time until the target is reached, given that it has not been reached yet.
    pub(crate) fn interval(&self) -> Interval {
        let before = self.reached(0.0);
        let rest = (1.0 - before).max(1e-12);
        let ever = (normal::cumulative(self.significance()) - before).max(0.0) / rest;
        let quantile = |share: f64| self.first_time(before + share * rest);
        Interval {
            p05_h: quantile(0.05),
            p50_h: quantile(0.5),
            p95_h: quantile(0.95),
            never: (1.0 - ever).clamp(0.0, 1.0),
        }
    }

    /// The first time at which the probability reaches `level`, by bisection; infinite beyond the horizon.
    fn first_time(&self, level: f64) -> f64 {
        // The probability may fall again far out, where doubt about the rate outgrows the rate: search from below.
        let mut high = 1e-3;
        while self.reached(high) < level {
            high *= 2.0;
            if high > HORIZON_H {
                return f64::INFINITY;
            }
        }
        let mut low = 0.0;
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.reached(middle) < level {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal as noise;

    /// L grows by 0.1 an hour from 0; the limit lies at 2, so that failure is at 20 h.
    fn grown(until: u32, seed: u32) -> Interval {
        let mut growth = Growth::default();
        for i in 0..=4 * until {
            let t = f64::from(i) / 4.0;
            growth.add(t, 0.1 * t + 0.05 * noise(seed * 1_000 + i), 0.0, 0.995);
        }
        let forecast = growth.forecast(until.into(), 2.0, 0.1).unwrap();
        assert!(forecast.significance() > 2.0);
        forecast.interval()
    }

    #[test]
    fn the_interval_contains_the_truth_and_narrows() {
        let mut contained = 0;
        for seed in 0..50 {
            let (early, late) = (grown(6, seed), grown(15, seed));
            contained += u32::from((early.p05_h..=early.p95_h).contains(&14.0));
            assert!(late.p95_h - late.p05_h < early.p95_h - early.p05_h);
            assert!((late.p50_h - 5.0).abs() < 1.0, "{late:?}");
        }
        assert!(contained >= 43, "{contained} of 50");
    }

    #[test]
    fn what_does_not_grow_never_fails() {
        let mut growth = Growth::default();
        for i in 0..40 {
            growth.add(f64::from(i), 0.2 * noise(i), 0.0, 0.995);
        }
        let forecast = growth.forecast(40.0, 2.0, 0.1).unwrap();
        assert!(forecast.significance().abs() < 3.0);
        assert!(forecast.interval().p05_h > 10.0);
    }

    #[test]
    fn one_moment_makes_no_law() {
        let mut growth = Growth::default();
        growth.add(1.0, 0.0, 0.0, 0.995);
        growth.add(1.0, 0.1, 0.0, 0.995);
        assert!(growth.forecast(1.0, 2.0, 0.1).is_none());
        assert!(Growth::default().forecast(1.0, 2.0, 0.1).is_none());
    }
}
