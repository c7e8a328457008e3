//! Where batches come in: one queue for each generation of the plant that some source still speaks in.
//!
//! Ids are positions in one plant. A source that a changed configuration left alone goes on with the ids it began with,
//! so each queue remembers what its ids are called now, and a batch that waited while the plant changed is still given
//! to the right tags. A queue is forgotten when the last source that could write to it has gone.

use std::{collections::BTreeMap, task::Poll};

use bellwether_connectors::Batch;
use bellwether_domain::{Plant, TagId};
use tokio::sync::mpsc;

/// One queue, and what its ids are called in the running plant.
#[derive(Debug)]
struct Inlet {
    batches: mpsc::Receiver<Batch>,
    /// By the id a source uses: the id now, `None` for a tag that is gone. Absent while nothing has changed.
    ids: Option<Vec<Option<TagId>>>,
}

/// All queues from the sources.
#[derive(Debug)]
pub(super) struct Inlets {
    open: Vec<Inlet>,
    /// Which is asked first, so that none starves the others.
    first: usize,
}

impl Inlets {
    pub(super) fn new(batches: mpsc::Receiver<Batch>) -> Self {
        Self { open: vec![Inlet { batches, ids: None }], first: 0 }
    }

    /// The next batch in the ids of the running plant; `None` when the last source has gone. Nothing is lost if the
    /// caller stops waiting.
    pub(super) async fn recv(&mut self) -> Option<Batch> {
        std::future::poll_fn(|context| {
            let mut index = 0;
            while index < self.open.len() {
                let at = (self.first + index) % self.open.len();
                let inlet = &mut self.open[at];
                match inlet.batches.poll_recv(context) {
                    Poll::Ready(Some(batch)) => {
                        let batch = inlet.translate(batch);
                        self.first = (at + 1) % self.open.len();
                        return Poll::Ready(Some(batch));
                    }
                    Poll::Ready(None) => {
                        self.open.remove(at);
                        self.first = 0;
                        index = 0;
                    }
                    Poll::Pending => index += 1,
                }
            }
            if self.open.is_empty() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    /// From now on ids are those of `new`, which the sources behind `batches` speak in already.
    pub(super) fn change(&mut self, old: &Plant, new: &Plant, batches: mpsc::Receiver<Batch>) {
        let by_name: BTreeMap<&str, TagId> =
            new.tags().map(|(id, tag)| (tag.name.as_str(), id)).collect();
        let now = |id: TagId| by_name.get(old.tags.get(id.index())?.name.as_str()).copied();
        for inlet in &mut self.open {
            let ids = match inlet.ids.take() {
                Some(ids) => ids.into_iter().map(|id| id.and_then(now)).collect(),
                None => old.tags().map(|(id, _)| now(id)).collect(),
            };
            inlet.ids = Some(ids);
        }
        self.open.push(Inlet { batches, ids: None });
    }
}

impl Inlet {
    /// The batch in the ids of the running plant; readings of tags that are gone are left out.
    fn translate(&self, mut batch: Batch) -> Batch {
        let Some(ids) = &self.ids else { return batch };
        let now = |id: TagId| ids.get(id.index()).copied().flatten();
        match &mut batch {
            Batch::Readings(readings) => {
                readings
                    .retain_mut(|reading| now(reading.tag).map(|tag| reading.tag = tag).is_some());
            }
            Batch::Waveform(waveform) => match now(waveform.tag) {
                Some(tag) => waveform.tag = tag,
                None => return Batch::Readings(Vec::new()),
            },
            // No tags means all of the source: a loss whose tags are all gone is gone with them.
            Batch::Loss(loss) if !loss.tags.is_empty() => {
                loss.tags.retain_mut(|tag| now(*tag).map(|new| *tag = new).is_some());
                if loss.tags.is_empty() {
                    return Batch::Readings(Vec::new());
                }
            }
            Batch::Loss(_) => {}
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use bellwether_domain::{AssetId, Meaning, Reading, Role, Tag, Timestamp};

    use super::*;

    fn plant(names: &[&str]) -> Plant {
        let tag = |name: &&str| Tag {
            name: (*name).to_owned(),
            asset: AssetId(0),
            source: "plc".to_owned(),
            unit: String::new(),
            role: Role::Condition,
            range: None,
            failure: None,
            period: std::time::Duration::from_secs(1),
            stale_after: std::time::Duration::from_secs(3),
            derived: None,
            meaning: Meaning::default(),
            is_waveform: false,
        };
        Plant { tags: names.iter().map(tag).collect(), ..Plant::default() }
    }

    fn readings(ids: &[u32]) -> Batch {
        let reading = |id: &u32| Reading::new(TagId(*id), Timestamp::from_secs(1), f64::from(*id));
        Batch::Readings(ids.iter().map(reading).collect())
    }

    /// Ids of the next batch with the values, which are the ids it was sent with.
    async fn next(inlets: &mut Inlets) -> Vec<(u32, f64)> {
        match inlets.recv().await {
            Some(Batch::Readings(readings)) => {
                readings.iter().map(|reading| (reading.tag.0, reading.value)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_waited_while_the_plant_changed_goes_to_the_right_tags() {
        let (old, receiver) = mpsc::channel(8);
        let mut inlets = Inlets::new(receiver);
        let (first, second) = (plant(&["a", "b", "c"]), plant(&["new", "c", "a"]));
        old.try_send(readings(&[0, 1, 2])).unwrap();
        let (new, receiver) = mpsc::channel(8);
        inlets.change(&first, &second, receiver);
        assert_eq!(next(&mut inlets).await, [(2, 0.0), (1, 2.0)], "b is gone");
        new.try_send(readings(&[0])).unwrap();
        assert_eq!(next(&mut inlets).await, [(0, 0.0)]);
        // Once more: the first source still speaks in its first ids.
        let third = plant(&["c", "b"]);
        let (_newest, receiver) = mpsc::channel(8);
        inlets.change(&second, &third, receiver);
        old.try_send(readings(&[0, 1, 2])).unwrap();
        assert_eq!(next(&mut inlets).await, [(0, 2.0)], "what was gone does not come back");
    }

    #[tokio::test]
    async fn queues_are_served_in_turn_and_forgotten_when_their_sources_have_gone() {
        let (old, receiver) = mpsc::channel(8);
        let mut inlets = Inlets::new(receiver);
        let (new, receiver) = mpsc::channel(8);
        inlets.change(&plant(&["a"]), &plant(&["a"]), receiver);
        for _ in 0..2 {
            old.try_send(readings(&[0])).unwrap();
            new.try_send(readings(&[0, 0])).unwrap();
        }
        let mut sizes = Vec::new();
        for _ in 0..4 {
            sizes.push(next(&mut inlets).await.len());
        }
        assert_eq!(sizes, [1, 2, 1, 2]);
        drop(old);
        new.try_send(readings(&[0])).unwrap();
        assert_eq!(next(&mut inlets).await, [(0, 0.0)]);
        drop(new);
        assert_eq!(inlets.recv().await, None);
    }
}
