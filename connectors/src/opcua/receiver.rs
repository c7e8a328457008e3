//! Takes notifications in the library's receive path: synchronous, so it decodes, offers without waiting, and is gone.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bellwether_domain::{Loss, LossCause, Quality, Reading, Timestamp};
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
        Arc::new(Self { ended: OnceLock::new(), published_at: Mutex::default(), last })
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
        }
    }

    fn data(&self, items: Vec<MonitoredItemNotification>) {
        let now = (self.now)();
        let offered_at = Instant::now();
        let mut readings = Vec::with_capacity(items.len());
        let mut overflowed: Option<Timestamp> = None;
        let mut last = self.shared.last();
        for item in items {
            let index = tag_of(item.client_handle);
            let Some((index, tag)) = index.and_then(|at| Some((at, self.tags.get(at)?))) else {
                continue;
            };
            let has_overflowed = has_overflowed(&item.value);
            match decode(tag, item.value, now, self.skew_limit) {
                Decoded::Reading(reading) => {
                    if has_overflowed {
                        overflowed = Some(overflowed.map_or(reading.at, |at| at.min(reading.at)));
                    }
                    let is_usable = !matches!(reading.quality, Quality::Bad(_));
                    if let Some(last) = last.get_mut(index) {
                        *last = is_usable.then_some(Last { reading, offered_at });
                    }
                    readings.push(reading);
                }
                Decoded::Waveform(waveform) => {
                    if has_overflowed {
                        overflowed = Some(overflowed.map_or(waveform.at, |at| at.min(waveform.at)));
                    }
                    self.sink.offer(Batch::Waveform(waveform));
                }
            }
        }
        drop(last);
        if let Some(from) = overflowed {
            // How many values the server has dropped, it does not say.
            let (source, cause) = (self.source.clone(), LossCause::ServerOverflow);
            let to = now.max(from);
            self.sink.offer(Batch::Loss(Loss {
                source,
                tags: Vec::new(),
                from,
                to,
                cause,
                count: 0,
            }));
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
        for object in notification.notification_data.unwrap_or_default() {
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
mod tests {
    use bellwether_domain::{ConnectorStatus, Reason, TagId};
    use opcua::types::{DataValue, Variant};
    use tokio::sync::mpsc;

    use super::*;
    use crate::{StatusCell, opcua::NodeAddress};

    fn now() -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }

    fn receiver(bound: usize) -> (Receiver, mpsc::Receiver<Batch>) {
        let (sender, batches) = mpsc::channel(bound);
        let tag = |id| SourceTag {
            id: TagId(id),
            name: format!("tag-{id}"),
            node: NodeAddress::parse("i=1").expect("a good address"),
            sample_rate_hz: (id == 12).then_some(1_000.0),
        };
        let receiver = Receiver {
            source: "server".to_owned(),
            tags: [10, 11, 12].map(tag).to_vec(),
            skew_limit: Duration::from_secs(300),
            sink: Sink::new(sender, StatusCell::new(ConnectorStatus::default())),
            now: Arc::new(now),
            shared: Shared::new(3),
        };
        (receiver, batches)
    }

    fn item(
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
            tags: Vec::new(),
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
