//! Takes notifications in the library's receive path: synchronous, so it decodes, offers without waiting, and is gone.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bellwether_domain::{Loss, LossCause, Quality, Reading, Reason, TagId, Timestamp};
use opcua::{
    client::{MonitoredItemMap, OnSubscriptionNotificationCore},
    types::{
        DataChangeNotification, MonitoredItemNotification, NotificationMessage,
        StatusChangeNotification, StatusCode, match_extension_object_owned,
    },
};
use tokio::time::Instant;

use super::{
    Source, SourceTag,
    decode::{Decoded, decode, has_overflowed},
};
use crate::{Batch, Now, Sink};

/// Our handle of the monitored item of this tag: 0 means "choose one" to the library.
pub(super) fn handle(tag: usize) -> u32 {
    u32::try_from(tag + 1).unwrap_or(u32::MAX)
}

fn tag_of(handle: u32) -> Option<usize> {
    usize::try_from(handle).ok()?.checked_sub(1)
}

/// What the receive path tells the session.
#[derive(Debug)]
pub(super) struct Shared {
    /// Set when the server has ended the subscription.
    pub(super) ended: OnceLock<StatusCode>,
    /// When the server has published last; set once the subscription lives.
    published_at: Mutex<Option<Instant>>,
    last: Mutex<Vec<Option<Last>>>,
    /// `EURange` of tags whose configuration has no range.
    ranges: Mutex<Vec<Option<[f64; 2]>>>,
}

/// The last usable reading of a tag, and when it was last offered.
#[derive(Clone, Copy, Debug)]
struct Last {
    reading: Reading,
    offered_at: Instant,
}

impl Shared {
    pub(super) fn new(tags: usize) -> Arc<Self> {
        let last = Mutex::new(vec![None; tags]);
        let ranges = Mutex::new(vec![None; tags]);
        Arc::new(Self { ended: OnceLock::new(), published_at: Mutex::default(), last, ranges })
    }

    /// The subscription lives from now on.
    pub(super) fn subscribed(&self) {
        *self.published_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The server has published something.
    pub(super) fn published(&self) {
        if self.published_at().is_some() {
            self.subscribed();
        }
    }

    /// When the server has published last; `None` before there is a subscription.
    pub(super) fn published_at(&self) -> Option<Instant> {
        *self.published_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server tells of the range of this tag.
    pub(super) fn set_range(&self, tag: usize, range: Option<[f64; 2]>) {
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = ranges.get_mut(tag) {
            *slot = range;
        }
    }

    /// A value outside the range its own server tells is not wrong for certain, but not good either.
    fn judged(&self, tag: usize, reading: Reading) -> Reading {
        let ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let is_outside = ranges.get(tag).copied().flatten().is_some_and(|[low, high]| {
            reading.quality == Quality::Good && !(low..=high).contains(&reading.value)
        });
        let quality =
            if is_outside { Quality::Uncertain(Reason::OutOfRange) } else { reading.quality };
        Reading { quality, ..reading }
    }

    fn last(&self) -> MutexGuard<'_, Vec<Option<Last>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server reports only what has changed. With each sign of life it vouches for the rest, which is therefore
    /// offered again as of `at`, if it has not been for as long as `pause`.
    pub(super) fn confirm(&self, sink: &Sink, at: Timestamp, pause: Duration) {
        let now = Instant::now();
        let mut readings = Vec::new();
        for last in self.last().iter_mut().flatten() {
            if now.duration_since(last.offered_at) >= pause {
                last.offered_at = now;
                last.reading.at = at.max(last.reading.at);
                readings.push(last.reading);
            }
        }
        if !readings.is_empty() {
            sink.offer(Batch::Readings(readings));
        }
    }
}

/// The callback of a subscription.
pub(super) struct Receiver {
    source: String,
    tags: Vec<SourceTag>,
    skew_limit: Duration,
    sink: Sink,
    now: Now,
    shared: Arc<Shared>,
    /// Number of the last message with data, and when it came.
    sequence: Option<(u32, Timestamp)>,
}

impl Receiver {
    pub(super) fn new(source: &Source, sink: &Sink, now: &Now, shared: &Arc<Shared>) -> Self {
        Self {
            source: source.name.clone(),
            tags: source.tags.clone(),
            skew_limit: source.clock_skew_limit,
            sink: sink.clone(),
            now: Arc::clone(now),
            shared: Arc::clone(shared),
            sequence: None,
        }
    }

    /// How many values the server has dropped, it does not say.
    fn lost(&self, tags: Vec<TagId>, from: Timestamp, now: Timestamp) {
        let (source, cause) = (self.source.clone(), LossCause::ServerOverflow);
        let to = now.max(from);
        self.sink.offer(Batch::Loss(Loss { source, tags, from, to, cause, count: 0 }));
    }

    /// Messages with data are numbered from 1 without a gap; after the largest number comes 1 again (Part 4, 7.6). Says
    /// whether this one is new; what is missing before it, the server has dropped.
    fn is_next(&mut self, number: u32) -> bool {
        let Some((last, at)) = self.sequence else {
            self.sequence = Some((number, (self.now)()));
            return true;
        };
        if number == last {
            return false;
        }
        let now = (self.now)();
        let next = last.checked_add(1).unwrap_or(1);
        if number != next {
            self.lost(Vec::new(), at.min(now), now);
        }
        self.sequence = Some((number, now));
        true
    }

    fn data(&self, items: Vec<MonitoredItemNotification>) {
        let now = (self.now)();
        let offered_at = Instant::now();
        let mut readings = Vec::with_capacity(items.len());
        let mut overflowed: Vec<(TagId, Timestamp)> = Vec::new();
        let mut last = self.shared.last();
        for item in items {
            let index = tag_of(item.client_handle);
            let Some((index, tag)) = index.and_then(|at| Some((at, self.tags.get(at)?))) else {
                continue;
            };
            let has_overflowed = has_overflowed(&item.value);
            match decode(tag, item.value, now, self.skew_limit) {
                Decoded::Reading(reading) => {
                    let reading = self.shared.judged(index, reading);
                    if has_overflowed {
                        overflowed.push((reading.tag, reading.at));
                    }
                    let is_usable = !matches!(reading.quality, Quality::Bad(_));
                    if let Some(last) = last.get_mut(index) {
                        *last = is_usable.then_some(Last { reading, offered_at });
                    }
                    readings.push(reading);
                }
                Decoded::Waveform(waveform) => {
                    if has_overflowed {
                        overflowed.push((waveform.tag, waveform.at));
                    }
                    self.sink.offer(Batch::Waveform(waveform));
                }
            }
        }
        drop(last);
        if let Some(from) = overflowed.iter().map(|(_, at)| *at).min() {
            let mut tags: Vec<_> = overflowed.into_iter().map(|(tag, _)| tag).collect();
            tags.sort_unstable();
            tags.dedup();
            self.lost(tags, from, now);
        }
        if !readings.is_empty() {
            self.sink.offer(Batch::Readings(readings));
        }
    }
}

impl OnSubscriptionNotificationCore for Receiver {
    fn on_subscription_notification(
        &mut self,
        notification: NotificationMessage,
        _items: MonitoredItemMap<'_>,
    ) {
        let objects = notification.notification_data.unwrap_or_default();
        // A keep-alive carries nothing, and the number of the message to come.
        if objects.is_empty() || !self.is_next(notification.sequence_number) {
            return;
        }
        for object in objects {
            match_extension_object_owned!(object,
                data: DataChangeNotification => self.data(data.monitored_items.unwrap_or_default()),
                change: StatusChangeNotification => {
                    self.shared.ended.get_or_init(|| change.status);
                },
            )
        }
    }
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests {
    use bellwether_domain::ConnectorStatus;
    use opcua::types::{DataValue, Variant};
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        StatusCell,
        opcua::{Deadband, NodeAddress, Place},
    };

    pub(super) fn now() -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }

    pub(super) fn receiver(bound: usize) -> (Receiver, mpsc::Receiver<Batch>) {
        let (sender, batches) = mpsc::channel(bound);
        let tag = |id| SourceTag {
            id: TagId(id),
            name: format!("tag-{id}"),
            place: Place::Node(NodeAddress::parse("i=1").expect("a good address")),
            deadband: Deadband::None,
            range: None,
            sample_rate_hz: (id == 12).then_some(1_000.0),
        };
        let receiver = Receiver {
            source: "server".to_owned(),
            tags: [10, 11, 12].map(tag).to_vec(),
            skew_limit: Duration::from_secs(300),
            sink: Sink::new(sender, StatusCell::new(ConnectorStatus::default())),
            now: Arc::new(now),
            shared: Shared::new(3),
            sequence: None,
        };
        (receiver, batches)
    }

    pub(super) fn item(
        client_handle: u32,
        value: impl Into<Variant>,
        status: u32,
    ) -> MonitoredItemNotification {
        let value = DataValue {
            value: Some(value.into()),
            status: Some(StatusCode::from(status)),
            ..DataValue::null()
        };
        MonitoredItemNotification { client_handle, value }
    }

    #[test]
    fn one_message_is_one_batch_and_foreign_handles_are_ignored() {
        let (receiver, mut batches) = receiver(8);
        receiver.data(vec![
            item(handle(1), 7.0, 0),
            item(0, 1.0, 0),
            item(99, 1.0, 0),
            item(handle(0), 8.0, 0),
            item(handle(2), vec![1.0_f32, 2.0], 0),
        ]);
        assert!(matches!(batches.try_recv(), Ok(Batch::Waveform(burst)) if burst.tag == TagId(12)));
        let expected = [Reading::new(TagId(11), now(), 7.0), Reading::new(TagId(10), now(), 8.0)];
        assert_eq!(batches.try_recv(), Ok(Batch::Readings(expected.to_vec())));
        assert!(batches.try_recv().is_err());
    }

    #[test]
    fn an_overflow_in_the_server_is_a_loss() {
        let (receiver, mut batches) = receiver(8);
        receiver.data(vec![item(handle(0), 7.0, 0x0480)]);
        let expected = Loss {
            source: "server".to_owned(),
            tags: vec![TagId(10)],
            from: now(),
            to: now(),
            cause: LossCause::ServerOverflow,
            count: 0,
        };
        assert_eq!(batches.try_recv(), Ok(Batch::Loss(expected)));
        assert!(matches!(batches.try_recv(), Ok(Batch::Readings(readings)) if readings.len() == 1));
    }

    #[test]
    fn a_sign_of_life_confirms_what_has_not_changed_and_nothing_bad() {
        let (receiver, mut batches) = receiver(8);
        receiver.data(vec![item(handle(0), 7.0, 0), item(handle(1), 8.0, 0)]);
        receiver.data(vec![item(handle(1), 8.0, StatusCode::BadSensorFailure.bits())]);
        assert!(batches.try_recv().is_ok() && batches.try_recv().is_ok());
        let later = now().saturating_add(Duration::from_secs(5));
        receiver.shared.confirm(&receiver.sink, later, Duration::from_secs(3_600));
        assert!(batches.try_recv().is_err(), "it has just been told");
        receiver.shared.confirm(&receiver.sink, later, Duration::ZERO);
        let expected = Reading::new(TagId(10), later, 7.0);
        assert_eq!(batches.try_recv(), Ok(Batch::Readings(vec![expected])));
    }

    #[test]
    fn a_gap_in_the_numbers_of_messages_is_a_loss_and_a_repeated_one_is_ignored() {
        let (mut receiver, mut batches) = receiver(8);
        for (number, is_new, is_gap) in [
            (u32::MAX - 1, true, false),
            (u32::MAX, true, false),
            (1, true, false),
            (1, false, false),
            (2, true, false),
            (5, true, true),
            (6, true, false),
        ] {
            assert_eq!(receiver.is_next(number), is_new, "{number}");
            let loss = batches.try_recv();
            assert_eq!(
                matches!(loss, Ok(Batch::Loss(loss)) if loss.tags.is_empty()),
                is_gap,
                "{number}"
            );
        }
    }

    #[test]
    fn a_value_outside_the_servers_own_range_is_not_good() {
        let (receiver, mut batches) = receiver(8);
        receiver.shared.set_range(0, Some([0.0, 10.0]));
        receiver.shared.set_range(99, Some([0.0, 10.0]));
        receiver.data(vec![
            item(handle(0), 10.0, 0),
            item(handle(0), 10.5, 0),
            item(handle(1), 99.0, 0),
        ]);
        let Ok(Batch::Readings(readings)) = batches.try_recv() else { panic!("readings are due") };
        let qualities: Vec<_> = readings.iter().map(|reading| reading.quality).collect();
        let outside = Quality::Uncertain(Reason::OutOfRange);
        assert_eq!(qualities, [Quality::Good, outside, Quality::Good]);
    }

    #[test]
    fn a_full_queue_never_blocks_the_receive_path() {
        let (receiver, mut batches) = receiver(1);
        for value in 0..5 {
            receiver.data(vec![item(handle(0), f64::from(value), 0)]);
        }
        assert_eq!(batches.try_recv().map(|batch| matches!(batch, Batch::Readings(_))), Ok(true));
        receiver.data(vec![item(handle(0), "text", 0)]);
        assert!(matches!(batches.try_recv(), Ok(Batch::Loss(loss)) if loss.count == 4));
        let bad = Reading::bad(TagId(10), now(), Reason::Configuration);
        assert_ne!(batches.try_recv(), Ok(Batch::Readings(vec![bad])), "it did not fit");
    }
}
