//! SD, operating conditions: the drivers as seen while learning, what they look like to a regression, and how a new
//! condition compares with them.

use serde::{Deserialize, Serialize};

use crate::{config::AnalyticsConfig, features::statistics::mean_and_std_dev};

/// The most drivers one asset's model takes; further ones are shown but explain nothing.
pub(crate) const MAX_DRIVERS: usize = 6;
/// Memories of each driver: a short thermal lag (bearings), and one this many times as long (windings, housings).
pub(crate) const LAGS: usize = 2;
pub(crate) const LONG_LAG: u32 = 4;
/// Regressors of one driver: d, d², d³, and for each lag the lagging mean − d.
const TERMS: usize = 3 + LAGS;
/// A driver that moved less than this share of its size has explained nothing.
const LEAST_SPREAD: f64 = 2e-3;
/// A box is at least this share of a driver's size wider than what was seen.
const LEAST_MARGIN: f64 = 0.02;
/// A driver that does not matter to a signal may go this many of its learnt spans beyond what was seen; further out
/// nobody knows whether it still does not matter.
const FAR_SPANS: f64 = 2.0;

/// One part that a driver can play in an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// d and d².
    Level,
    /// d³: powers go with the cube of speed.
    Cube,
    /// How far its mean over the lag of this number lies from the present. Only to find out what lags behind.
    Past(usize),
}

impl Part {
    const COUNT: usize = 2 + LAGS;

    const fn index(self) -> usize {
        match self {
            Self::Level => 0,
            Self::Cube => 1,
            Self::Past(lag) => 2 + lag,
        }
    }

    const fn of_term(term: usize) -> Self {
        match term {
            0 | 1 => Self::Level,
            2 => Self::Cube,
            lag => Self::Past(lag - 3),
        }
    }
}

/// Which drivers play which part: one bit a driver, one set a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DriverSet {
    parts: [u8; Part::COUNT],
}

impl DriverSet {
    /// Whether this driver plays this part.
    pub(crate) const fn has(self, driver: usize, part: Part) -> bool {
        self.parts[part.index()] & (1 << driver) != 0
    }

    /// The same set with this driver in this part.
    pub(crate) const fn with(mut self, driver: usize, part: Part) -> Self {
        self.parts[part.index()] |= 1 << driver;
        self
    }

    /// The same set without this driver.
    pub(crate) fn without(mut self, driver: usize) -> Self {
        self.parts.iter_mut().for_each(|set| *set &= !(1 << driver));
        self
    }

    /// Both sets together.
    pub(crate) fn union(mut self, other: Self) -> Self {
        self.parts.iter_mut().zip(other.parts).for_each(|(set, more)| *set |= more);
        self
    }

    /// Whether a driver plays the same part in both.
    pub(crate) fn intersects(self, other: Self) -> bool {
        self.parts.iter().zip(other.parts).any(|(a, b)| a & b != 0)
    }

    /// Whether it holds no driver.
    pub(crate) fn is_empty(self) -> bool {
        self.parts == [0; Part::COUNT]
    }
}

/// How an operating condition compares with those seen while learning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Coverage {
    /// Drivers outside the range learnt.
    pub(crate) unseen: DriverSet,
    /// A driver is so far out that nothing can be said about any signal.
    pub(crate) is_far: bool,
}

/// Lowest and highest value seen.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Span {
    low: f64,
    high: f64,
}

impl Span {
    fn of(mut values: impl Iterator<Item = f64>) -> Self {
        let Some(first) = values.next() else { return Self::default() };
        values.fold(Self { low: first, high: first }, |span, value| Self {
            low: span.low.min(value),
            high: span.high.max(value),
        })
    }

    fn width(self) -> f64 {
        self.high - self.low
    }

    /// How far a value lies outside; negative inside.
    fn beyond(self, value: f64) -> f64 {
        (value - self.high).max(self.low - value)
    }

    /// A value kept within this share of the width around it.
    fn rein(self, value: f64, share: f64) -> f64 {
        let margin = share * self.width();
        value.max(self.low - margin).min(self.high + margin)
    }
}

/// One driver as seen while learning.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Axis {
    centre: f64,
    scale: f64,
    present: Span,
    has_moved: bool,
}

/// The operating conditions seen while learning. A condition is one slice: the drivers, then the lagging means of all of
/// them, lag by lag.
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
            let (centre, scale) = mean_and_std_dev(present.clone());
            Axis {
                centre,
                scale,
                present: Span::of(present),
                has_moved: scale > (LEAST_SPREAD * centre.abs()).max(1e-9),
            }
        };
        Self { axes: (0..drivers).map(axis).collect(), margin: config.driver_margin }
    }

    /// What about this condition was not seen: each driver against the range learnt with a margin.
    pub(crate) fn coverage(&self, condition: &[f64]) -> Coverage {
        let mut coverage = Coverage::default();
        for (j, axis) in self.axes.iter().enumerate() {
            let width = axis.present.width();
            let size = axis.present.low.abs().max(axis.present.high.abs());
            let margin = (self.margin * width).max(LEAST_MARGIN * size).max(1e-9);
            let beyond = axis.present.beyond(condition[j]);
            coverage.is_far |= beyond > margin.max(FAR_SPANS * width);
            if beyond > margin {
                coverage.unseen = coverage.unseen.with(j, Part::Level).with(j, Part::Cube);
            }
        }
        coverage
    }

    /// The regressors of a condition: 1, then the terms of each driver that moved, standardised. What lies beyond the
    /// range learnt and its margin is taken as its end: a polynomial is no guide out there.
    pub(crate) fn regressors(&self, condition: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.push(1.0);
        for (j, axis) in self.axes.iter().enumerate().filter(|(_, axis)| axis.has_moved) {
            let d = (axis.present.rein(condition[j], self.margin) - axis.centre) / axis.scale;
            out.extend([d, d * d, d * d * d]);
            for lag in 0..LAGS {
                let lagging = condition[self.axes.len() * (1 + lag) + j];
                out.push((lagging - condition[j]) / axis.scale);
            }
        }
    }

    /// The regressors that belong to a set of drivers, as indices.
    pub(crate) fn chosen_regressors(&self, set: DriverSet) -> Vec<usize> {
        let terms = self.moved().enumerate().flat_map(|(place, driver)| {
            (0..TERMS)
                .filter(move |&term| set.has(driver, Part::of_term(term)))
                .map(move |term| 1 + TERMS * place + term)
        });
        std::iter::once(0).chain(terms).collect()
    }

    /// The drivers that moved while learning, in the order of their regressors.
    pub(crate) fn moved(&self) -> impl Iterator<Item = usize> {
        self.axes.iter().enumerate().filter(|(_, axis)| axis.has_moved).map(|(j, _)| j)
    }

    /// The drivers that stood still while learning: what they do to a signal is unknown.
    pub(crate) fn still(&self) -> DriverSet {
        let still = self.axes.iter().enumerate().filter(|(_, axis)| !axis.has_moved);
        still.fold(DriverSet::default(), |set, (j, _)| set.with(j, Part::Level))
    }

    /// Whether any driver explains anything.
    pub(crate) fn explains(&self) -> bool {
        self.axes.iter().any(|axis| axis.has_moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_outside_what_was_seen_is_not_covered() {
        let loads = (0..400).map(|i| 40.0 + f64::from(i * 37 % 60));
        let conditions: Vec<[f64; 3]> = loads.map(|load| [load, load, load]).collect();
        let space = DriverSpace::learn(
            conditions.iter().map(|c| c.as_slice()),
            1,
            &AnalyticsConfig::default(),
        );
        let about = |load: f64| {
            let coverage = space.coverage(&[load; 3]);
            (coverage.unseen.has(0, Part::Level), coverage.is_far)
        };
        assert_eq!(about(50.0), (false, false));
        assert_eq!(about(104.0), (false, false));
        assert_eq!(about(120.0), (true, false));
        assert_eq!(about(300.0), (true, true));
    }
}
