//! The way from a source to the pump: a bounded queue that is never waited for. When it is full the batch is dropped,
//! counted, and a [`Loss`] follows as soon as there is room again; polling is never slowed down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_domain::{Loss, LossCause, Reading, Timestamp, Waveform};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::StatusCell;

/// What a source hands over at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// The readings of one poll, or of one notification message.
    Readings(Vec<Reading>),
    /// One burst.
    Waveform(Waveform),
    /// A gap.
    Loss(Loss),
}

impl Batch {
    fn count(&self) -> u64 {
        match self {
            Self::Readings(readings) => readings.len() as u64,
            Self::Waveform(_) => 1,
            Self::Loss(_) => 0,
        }
    }

    fn span(&self) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Readings(readings) => {
                let times = readings.iter().map(|reading| reading.at);
                Some((times.clone().min()?, times.max()?))
            }
            Self::Waveform(waveform) => Some((waveform.at, waveform.at)),
            Self::Loss(loss) => Some((loss.from, loss.to)),
        }
    }
}

/// Where a source puts what it has read. Cheap to clone; clones share one memory of what was dropped.
#[derive(Clone, Debug)]
pub struct Sink {
    sender: mpsc::Sender<Batch>,
    status: StatusCell,
    /// The gap that has not been told yet.
    untold: Arc<Mutex<Option<Loss>>>,
}

impl Sink {
    /// A sink into this queue; counters go to `status`.
    pub fn new(sender: mpsc::Sender<Batch>, status: StatusCell) -> Self {
        Self { sender, status, untold: Arc::default() }
    }

    /// Hands a batch over, or drops and counts it when the queue is full. Never waits. A queue whose receiver is gone
    /// takes nothing: the gateway is stopping.
    pub fn offer(&self, batch: Batch) {
        let mut untold = self.untold();
        if let Some(loss) = untold.take() {
            match self.sender.try_send(Batch::Loss(loss)) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(refused)) => {
                    if let Batch::Loss(loss) = refused {
                        *untold = Some(loss);
                    }
                }
            }
        }
        let count = batch.count();
        match self.sender.try_send(batch) {
            Ok(()) => self.status.update(|status| status.readings += count),
            Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(batch)) => {
                self.status.update(|status| status.dropped += count);
                self.remember(&mut untold, &batch);
            }
        }
    }

    fn remember(&self, untold: &mut Option<Loss>, dropped: &Batch) {
        let Some((from, to)) = dropped.span() else { return };
        // A gap the source itself wanted to tell of is not merged into ours unless it has to wait with it.
        let (cause, count) = match dropped {
            Batch::Loss(loss) => (loss.cause, loss.count),
            _ => (LossCause::EngineBehind, dropped.count()),
        };
        match untold {
            Some(loss) => {
                loss.from = loss.from.min(from);
                loss.to = loss.to.max(to);
                loss.count += count;
            }
            None => {
                let source = self.status.get().name;
                *untold = Some(Loss { source, tags: Vec::new(), from, to, cause, count });
            }
        }
    }

    fn untold(&self) -> MutexGuard<'_, Option<Loss>> {
        // Nothing panics while the lock is held, and a half-written gap would still be a gap.
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bellwether_domain::{ConnectorStatus, TagId};

    use super::*;

    fn sink(bound: usize) -> (Sink, mpsc::Receiver<Batch>) {
        let (sender, receiver) = mpsc::channel(bound);
        let status = ConnectorStatus { name: "plc-1".to_owned(), ..ConnectorStatus::default() };
        (Sink::new(sender, StatusCell::new(status)), receiver)
    }

    fn readings(second: i64) -> Batch {
        let at = Timestamp::from_secs(second);
        Batch::Readings((0..2).map(|tag| Reading::new(TagId(tag), at, 1.0)).collect())
    }

    #[test]
    fn a_full_queue_never_blocks_and_the_gap_is_told_when_there_is_room() {
        let (sink, mut receiver) = sink(2);
        (1..=5).for_each(|second| sink.offer(readings(second)));
        assert_eq!(sink.status.get().dropped, 6);
        assert_eq!(sink.status.get().readings, 4);
        assert_eq!(receiver.try_recv(), Ok(readings(1)));
        assert_eq!(receiver.try_recv(), Ok(readings(2)));

        sink.offer(readings(6));
        let loss = Loss {
            source: "plc-1".to_owned(),
            tags: Vec::new(),
            from: Timestamp::from_secs(3),
            to: Timestamp::from_secs(5),
            cause: LossCause::EngineBehind,
            count: 6,
        };
        assert_eq!(receiver.try_recv(), Ok(Batch::Loss(loss)));
        assert_eq!(receiver.try_recv(), Ok(readings(6)));
    }

    #[test]
    fn room_for_the_gap_alone_starts_a_new_gap() {
        let (sink, mut receiver) = sink(1);
        (1..=2).for_each(|second| sink.offer(readings(second)));
        assert_eq!(receiver.try_recv(), Ok(readings(1)));
        sink.offer(readings(3));
        assert!(matches!(receiver.try_recv(), Ok(Batch::Loss(loss)) if loss.count == 2));
        sink.offer(readings(4));
        assert!(matches!(receiver.try_recv(), Ok(Batch::Loss(loss)) if loss.count == 2));
    }

    #[test]
    fn a_gone_receiver_counts_nothing() {
        let (sink, receiver) = sink(1);
        drop(receiver);
        sink.offer(readings(1));
        assert_eq!((sink.status.get().readings, sink.status.get().dropped), (0, 0));
    }
}
