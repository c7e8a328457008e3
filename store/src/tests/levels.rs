//! The levels of a tag's history against a model that keeps everything.

use std::collections::BTreeMap;

use bellwether_domain::{Quality, Reading, Reason, TagId, Timestamp};
use proptest::{prelude::*, test_runner::Config};

use super::{FLOW, at, names, open, readings};
use crate::{Level, Store, TagHistory, codes::quality_code, rollups::floor};

/// Time (seconds), value; `None` is bad.
type Sample = (i64, Option<i16>);

fn reading_of((seconds, value): Sample) -> Reading {
    match value {
        Some(value) => Reading::new(TagId(0), at(seconds), f64::from(value)),
        None => Reading::bad(TagId(0), at(seconds), Reason::Timeout),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn stored(store: &Store, samples: &[Sample], seal_at: i64) {
    for (number, batch) in samples.chunks(97).enumerate() {
        let values = batch.iter().copied().map(reading_of).collect();
        store.history.append(&names(), &readings(values)).await.unwrap();
        if number % 3 == 2 {
            store.history.maintain(at(seal_at)).await.unwrap();
        }
    }
}

/// Lowest, highest, mean, worst.
type Truth = (Option<f64>, Option<f64>, Option<f64>, Quality);

/// What the model's readings say about `[from_us, to_us)`.
fn model(samples: &BTreeMap<i64, Option<i16>>, from_us: i64, to_us: i64) -> Option<Truth> {
    let inside: Vec<Sample> = samples
        .iter()
        .map(|(seconds, value)| (*seconds, *value))
        .filter(|(seconds, _)| (from_us..to_us).contains(&at(*seconds).as_micros()))
        .collect();
    let values: Vec<f64> = inside.iter().filter_map(|(_, value)| value.map(f64::from)).collect();
    let worst = inside
        .iter()
        .map(|sample| reading_of(*sample).quality)
        .max_by_key(|it| quality_code(*it))?;
    if values.is_empty() {
        return Some((None, None, None, worst));
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let count = f64::from(u32::try_from(values.len()).unwrap());
    Some((Some(low), Some(high), Some(values.iter().sum::<f64>() / count), worst))
}

fn check(
    samples: &BTreeMap<i64, Option<i16>>,
    history: &TagHistory,
    (from, to): (i64, i64),
    points: usize,
) -> Result<(), TestCaseError> {
    prop_assert!(history.at.len() <= points * 2, "{} of {points}", history.at.len());
    prop_assert!(history.at.is_sorted_by(|a, b| a < b));
    let width_us = i64::try_from(history.bucket.as_micros()).unwrap();
    let mut covered = 0;
    for (index, begin) in history.at.iter().enumerate() {
        let begin = begin.as_micros();
        // Single readings are buckets of a microsecond; raw buckets hold nothing from outside the stretch.
        let mut stretch = (begin, begin + width_us.max(1));
        if history.level == Level::Raw {
            stretch = (stretch.0.max(at(from).as_micros()), stretch.1.min(at(to).as_micros() + 1));
        } else {
            // Several rollups together hold only those that reach into what was asked for.
            let level_us = i64::try_from(history.level.width().as_micros()).unwrap();
            let floor = |time: i64| at(time).as_micros().div_euclid(level_us) * level_us;
            stretch = (stretch.0.max(floor(from)), stretch.1.min(floor(to) + level_us));
        }
        let Some((low, high, mean, worst)) = model(samples, stretch.0, stretch.1) else {
            prop_assert_eq!(history.mean[index], None, "a gap has no value");
            continue;
        };
        covered += samples
            .keys()
            .filter(|seconds| (stretch.0..stretch.1).contains(&at(**seconds).as_micros()))
            .count();
        prop_assert_eq!((history.min[index], history.max[index]), (low, high));
        prop_assert_eq!(history.mean[index].is_some(), mean.is_some());
        if let (Some(actual), Some(mean)) = (history.mean[index], mean) {
            prop_assert!((actual - mean).abs() < 1e-6, "{actual} {mean}");
        }
        prop_assert_eq!(history.quality[index], worst);
    }
    let (first, last) = (at(from).as_micros(), at(to).as_micros());
    let wanted = samples.keys().filter(|it| (first..=last).contains(&at(**it).as_micros()));
    prop_assert!(covered >= wanted.count(), "no reading is missing");
    Ok(())
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    // Runs of readings at one pace each, so that there are dense stretches and gaps.
    let run = (0..40_000_i64, 1..120_i64, 1..200_usize);
    let value = prop_oneof![9 => any::<i16>().prop_map(Some), 1 => Just(None)];
    prop::collection::vec((run, prop::collection::vec(value, 200)), 1..6).prop_map(|runs| {
        let samples = runs.into_iter().flat_map(|((start, step, count), values)| {
            (0..).zip(values).take(count).map(move |(i, value)| (start + i * step, value))
        });
        // Each time once: what is replaced stays in the rollups, by design.
        samples.collect::<BTreeMap<_, _>>().into_iter().collect()
    })
}

proptest! {
    #![proptest_config(Config { cases: 16, failure_persistence: None, ..Config::default() })]
    #[test]
    fn every_level_tells_the_same_as_all_readings_would(
        samples in samples().prop_shuffle_batches(),
        seal_at in prop_oneof![Just(0_i64), 0..100_000_i64],
        from in -1_000..40_000_i64,
        length in prop_oneof![0..600_i64, 0..80_000_i64],
        points in 1..400_usize,
    ) {
        let outcome: Result<(), TestCaseError> = runtime().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path()).await;
            stored(&store, &samples, seal_at).await;
            let all: BTreeMap<_, _> = samples.iter().copied().collect();
            for stretch in [(from, from + length), (-1_000_000, 1_000_000)] {
                let (first, last) = (at(stretch.0), at(stretch.1));
                let history = store.reader().tag_history(FLOW, first, last, points).await.unwrap();
                check(&all, &history, stretch, points)?;
            }
            store.close().await;
            Ok(())
        });
        outcome?;
    }
}

/// Out of order as batches are, not sample by sample.
trait ShuffleBatches: Strategy<Value = Vec<Sample>> + Sized {
    fn prop_shuffle_batches(self) -> impl Strategy<Value = Vec<Sample>> {
        (self, any::<bool>()).prop_map(|(mut samples, is_reversed)| {
            if is_reversed {
                let batches: Vec<_> = samples.chunks(97).rev().flatten().copied().collect();
                samples = batches;
            }
            samples
        })
    }
}

impl<S: Strategy<Value = Vec<Sample>>> ShuffleBatches for S {}

#[tokio::test]
async fn the_finest_level_that_fits_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let day: Vec<Reading> = (0..86_400).map(|second| reading_of((second, Some(1)))).collect();
    for batch in day.chunks(20_000) {
        store.history.append(&names(), &readings(batch.to_vec())).await.unwrap();
    }
    let reader = store.reader();
    let level = async |seconds: i64, points: usize| {
        let history = reader.tag_history(FLOW, at(0), at(seconds), points).await.unwrap();
        assert!(history.at.len() <= 2 * points, "{seconds} s in {}", history.at.len());
        (history.level, history.bucket.as_secs())
    };
    assert_eq!(level(900, 500).await, (Level::Raw, 0));
    assert_eq!(level(9_000, 500).await, (Level::TenSeconds, 10));
    assert_eq!(level(50_000, 500).await, (Level::Minute, 60));
    assert_eq!(level(86_000, 100).await, (Level::TenMinutes, 600));
    assert_eq!(level(86_000, 20).await, (Level::Hour, 3_600));
    assert_eq!(level(86_000, 2).await, (Level::Hour, 9 * 3_600));
    // Ten-second buckets would leave the chart empty, so readings are put together instead.
    let history = reader.tag_history(FLOW, at(0), at(59), 20).await.unwrap();
    assert_eq!((history.level, history.at.len() > 20), (Level::Raw, true));
}

#[tokio::test]
async fn a_stretch_without_data_is_a_gap_at_every_level() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let on = |range: std::ops::Range<i64>| range.map(|second| reading_of((second, Some(1))));
    let values = on(0..4_000).chain(on(20_000..24_000)).collect();
    store.history.append(&names(), &readings(values)).await.unwrap();
    for points in [5_000, 1_300, 250] {
        let history = store.reader().tag_history(FLOW, at(0), at(24_000), points).await.unwrap();
        let gaps: Vec<Timestamp> = (0..history.at.len())
            .filter(|index| history.mean[*index].is_none())
            .map(|index| history.at[index])
            .collect();
        assert_eq!(gaps.len(), 1, "{points}");
        assert!(gaps[0] > at(3_900) && gaps[0] < at(20_000), "{points}");
    }
}

#[test]
fn buckets_of_times_before_1970_begin_before_them() {
    assert_eq!(floor(-1, 10), -10);
    assert_eq!(floor(-10, 10), -10);
    assert_eq!(floor(9, 10), 0);
    assert_eq!(floor(i64::MIN, 7), i64::MIN);
}
