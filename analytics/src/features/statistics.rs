//! Statistics of samples: robust centre and scale, running moments, features of a vibration burst (ISO 13373-2).

use bellwether_domain::WaveformFeature;
use serde::{Deserialize, Serialize};

/// Makes 1.4826 MAD of Gaussian noise equal its standard deviation.
const MAD_TO_STD_DEV: f64 = 1.4826;

/// Median; the mean of the middle two when there is an even number. Sorts `values`. `None` when empty.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => None,
        _ if values.len() % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Mean and population standard deviation. `(0, 0)` when empty.
pub(crate) fn mean_and_std_dev(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut moments = Moments::default();
    values.for_each(|value| moments.add(value));
    (moments.mean, moments.std_dev())
}

/// Median and 1.4826 MAD; the standard deviation instead where the MAD is less than a fifth of it (values that repeat);
/// 1 where nothing varies. Sorts `values`.
pub(crate) fn robust_centre_and_scale(values: &mut [f64]) -> (f64, f64) {
    let Some(centre) = median(values) else { return (0.0, 1.0) };
    let (_, std_dev) = mean_and_std_dev(values.iter().copied());
    values.iter_mut().for_each(|value| *value = (*value - centre).abs());
    let mad = MAD_TO_STD_DEV * median(values).unwrap_or(0.0);
    let scale = if mad < 0.2 * std_dev { std_dev } else { mad };
    (centre, if scale < 1e-9 { 1.0 } else { scale })
}

/// Running count, mean, spread and extremes (Welford 1962).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Moments {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    squares: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Moments {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
        if self.count == 1 {
            (self.min, self.max) = (value, value);
        } else {
            (self.min, self.max) = (self.min.min(value), self.max.max(value));
        }
    }

    /// Population standard deviation.
    pub(crate) fn std_dev(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).max(0.0).sqrt() }
    }
}

/// Follows the median of a stream of sizes with one number of state: a step up or down by 5 %, whichever side the
/// newest size lies on (stochastic approximation), so that outliers cannot drag it along.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct MedianTracker {
    pub(crate) median: f64,
}

impl MedianTracker {
    const STEP: f64 = 1.05;

    pub(crate) fn track(&mut self, size: f64) {
        if self.median <= 0.0 {
            self.median = size;
        } else if size > self.median {
            self.median *= Self::STEP;
        } else if size > 0.0 {
            // Equal neighbours of a coarse sensor say nothing about the size of its noise.
            self.median /= Self::STEP;
        }
    }
}

/// One number of a burst, mean removed. 0 for an empty or constant burst.
pub fn waveform_feature(feature: WaveformFeature, samples: &[f32]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let count = samples.len() as f64;
    let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / count;
    let (mut squares, mut fourths, mut peak) = (0.0, 0.0, 0.0_f64);
    for &sample in samples {
        let deviation = f64::from(sample) - mean;
        let square = deviation * deviation;
        squares += square;
        fourths += square * square;
        peak = peak.max(deviation.abs());
    }
    let power = squares / count;
    if power <= 0.0 {
        return 0.0;
    }
    match feature {
        WaveformFeature::Rms => power.sqrt(),
        WaveformFeature::Crest => peak / power.sqrt(),
        WaveformFeature::Kurtosis => fourths / count / (power * power),
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    #[track_caller]
    fn check(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-3 * expected.abs().max(1.0), "{actual} {expected}");
    }

    #[test]
    fn a_sine_has_the_textbook_numbers_whatever_its_offset() {
        let sine: Vec<f32> =
            (0..4_096_u16).map(|i| 5.0 + (TAU * 32.0 * f32::from(i) / 4_096.0).sin()).collect();
        check(waveform_feature(WaveformFeature::Rms, &sine), 0.5_f64.sqrt());
        check(waveform_feature(WaveformFeature::Crest, &sine), 2.0_f64.sqrt());
        check(waveform_feature(WaveformFeature::Kurtosis, &sine), 1.5);
    }

    #[test]
    fn a_burst_without_content_gives_zero() {
        for samples in [&[][..], &[3.0; 16][..]] {
            for feature in WaveformFeature::ALL {
                check(waveform_feature(feature, samples), 0.0);
            }
        }
    }

    #[test]
    fn a_tenth_of_wild_values_does_not_move_centre_and_scale() {
        let mut values: Vec<f64> = (0..1_000).map(|i| f64::from(i % 100)).collect();
        let clean = robust_centre_and_scale(&mut values.clone());
        values.iter_mut().step_by(10).for_each(|value| *value = 150.0);
        let dirty = robust_centre_and_scale(&mut values);
        assert!((clean.0 - dirty.0).abs() < 8.0 && (clean.1 - dirty.1).abs() < 8.0);
    }

    #[test]
    fn values_that_mostly_repeat_fall_back_to_the_standard_deviation() {
        let mut values = vec![32.0; 100];
        values[7] = 33.0;
        let (centre, scale) = robust_centre_and_scale(&mut values);
        check(centre, 32.0);
        check(scale, 0.099_498);
        check(robust_centre_and_scale(&mut [4.0; 9]).1, 1.0);
    }
}
