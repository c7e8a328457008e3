//! DM, frames: sources tick at different rates, multivariate detectors need aligned rows. A frame is one value per tag
//! of an asset: the mean of its good values since the last frame, or its last good one while that is young, or missing.

use std::time::Duration;

use bellwether_domain::Timestamp;
use serde::{Deserialize, Serialize};

/// A frame that still waits for a tag is closed after this many periods.
const PATIENCE_PERIODS: f64 = 1.5;
/// No frame closes sooner than this share of the period after the one before, however often sources tick.
const HASTE_PERIODS: f64 = 0.5;

/// Sum of the good values of one tag in the open frame.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Sum {
    total: f64,
    count: u32,
    /// Something arrived, good or not.
    reported: bool,
    /// The frame waits for this tag.
    awaited: bool,
}

/// The open frame of one asset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OpenFrame {
    sums: Vec<Sum>,
    opened: Option<Timestamp>,
    closed: Option<Timestamp>,
    missing: u32,
}

impl OpenFrame {
    /// An empty frame of an asset with this many tags, waiting for those that `awaited` says.
    pub(crate) fn new(tags: usize, awaited: impl Fn(usize) -> bool) -> Self {
        let mut frame =
            Self { sums: vec![Sum::default(); tags], opened: None, closed: None, missing: 0 };
        frame.restart(awaited);
        frame
    }

    /// A believed value of a tag.
    pub(crate) fn add(&mut self, tag: usize, value: f64) {
        let sum = &mut self.sums[tag];
        sum.total += value;
        sum.count += 1;
    }

    /// Something arrived for a tag, good or not: the frame need not wait for it any longer.
    pub(crate) fn report(&mut self, tag: usize, now: Timestamp) {
        self.opened.get_or_insert(now);
        let sum = &mut self.sums[tag];
        if sum.awaited && !sum.reported {
            self.missing -= 1;
        }
        sum.reported = true;
    }

    /// Whether every awaited tag has reported.
    pub(crate) fn is_complete(&self, now: Timestamp, period: Duration) -> bool {
        self.missing == 0
            && self.opened.is_some()
            && self.closed.is_none_or(|closed| now.since(closed) >= period.mul_f64(HASTE_PERIODS))
    }

    /// Whether it has waited long enough.
    pub(crate) fn is_overdue(&self, now: Timestamp, period: Duration) -> bool {
        self.opened.is_some_and(|opened| now.since(opened) >= period.mul_f64(PATIENCE_PERIODS))
    }

    /// Mean of a tag's good values in this frame.
    pub(crate) fn mean(&self, tag: usize) -> Option<f64> {
        let sum = self.sums[tag];
        (sum.count > 0).then(|| sum.total / f64::from(sum.count))
    }

    /// Ends the frame and opens the next one.
    pub(crate) fn close(&mut self, now: Timestamp, awaited: impl Fn(usize) -> bool) {
        self.closed = Some(now);
        self.restart(awaited);
    }

    /// The same frame of an asset whose tags have moved: `former[tag]` is where a tag was; new ones are waited for from
    /// the next frame on.
    pub(crate) fn rearranged(&self, former: &[Option<usize>]) -> Self {
        let sum = |place: &Option<usize>| place.and_then(|tag| self.sums.get(tag).copied());
        let sums: Vec<Sum> = former.iter().map(|place| sum(place).unwrap_or_default()).collect();
        let missing = sums.iter().map(|sum| u32::from(sum.awaited && !sum.reported)).sum();
        Self { sums, missing, ..*self }
    }

    fn restart(&mut self, awaited: impl Fn(usize) -> bool) {
        self.opened = None;
        self.missing = 0;
        for (tag, sum) in self.sums.iter_mut().enumerate() {
            *sum = Sum { awaited: awaited(tag), ..Sum::default() };
            self.missing += u32::from(sum.awaited);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_frame_is_complete_when_every_awaited_tag_has_reported() {
        let mut frame = OpenFrame::new(3, |tag| tag < 2);
        frame.add(0, 1.0);
        frame.add(0, 2.0);
        frame.report(0, at(0));
        assert!(!frame.is_complete(at(0), PERIOD));
        frame.report(1, at(10));
        assert!(frame.is_complete(at(10), PERIOD));
        assert_eq!((frame.mean(0), frame.mean(1)), (Some(1.5), None));
    }

    #[test]
    fn a_silent_tag_is_waited_for_but_not_for_ever() {
        let mut frame = OpenFrame::new(2, |_| true);
        frame.report(0, at(0));
        assert!(!frame.is_overdue(at(1_400), PERIOD));
        assert!(frame.is_overdue(at(1_500), PERIOD));
        frame.close(at(1_500), |tag| tag == 0);
        assert!(!frame.is_overdue(at(9_000), PERIOD), "an empty frame is never overdue");
    }

    #[test]
    fn a_frame_whose_tags_have_moved_goes_on_with_what_it_has() {
        let mut frame = OpenFrame::new(2, |_| true);
        frame.add(1, 4.0);
        frame.report(1, at(0));
        let mut moved = frame.rearranged(&[Some(1), None, Some(0)]);
        assert_eq!((moved.mean(0), moved.mean(1), moved.mean(2)), (Some(4.0), None, None));
        assert!(!moved.is_complete(at(0), PERIOD));
        moved.report(2, at(10));
        assert!(moved.is_complete(at(10), PERIOD), "a new tag is not waited for yet");
    }

    #[test]
    fn fast_sources_do_not_make_frames_faster_than_their_period() {
        let mut frame = OpenFrame::new(1, |_| true);
        frame.close(at(0), |_| true);
        frame.report(0, at(100));
        assert!(!frame.is_complete(at(100), PERIOD));
        assert!(frame.is_complete(at(500), PERIOD));
    }
}
