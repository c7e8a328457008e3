//! Which tags are without usable data, since when and why: every gap becomes a [`Loss`]. Pure: time is an argument.
//!
//! ```text
//!            bad, or overdue            usable again, or another cause
//!  flowing ──────────────────▶ open ────────────────────────────────▶ settling ── 3 periods ─▶ recorded
//!     ▲                          ▲    bad again for the same cause        │
//!     │                          └────────────────────────────────────────┤
//!     └───────────────────────────────────────────────────────────────────┘
//! ```
//! Tags of a source that go bad together and for the same reason are one gap, so that a pulled plug is one record and
//! not thousands. A device that comes and goes within three periods makes one long record, not one a poll.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bellwether_domain::{
    GapStatus, Loss, LossCause, Plant, Quality, Reading, TagId, Timestamp, Waveform,
};

/// A source time that has come this often in a row is told: the source repeats old values.
const REPEATS: u8 = 3;

/// A gap that has ended is one with the next if that begins within so many periods of its slowest tag.
const SETTLING_PERIODS: u32 = 3;

/// What is known of one tag.
#[derive(Clone, Copy, Debug)]
struct Watched {
    /// Source time of the last usable reading.
    usable_at: Option<Timestamp>,
    /// Plant time at which it arrived, or at which the watch began.
    heard_at: Timestamp,
    /// The gap it is in.
    gap: Option<u64>,
    /// How often its source time has been the one before.
    repeats: u8,
}

#[derive(Clone, Debug)]
struct Gap {
    source: String,
    cause: LossCause,
    from: Timestamp,
    /// Beginning of the present stretch without data; later than `from` if there were others before.
    since: Timestamp,
    /// Readings that were due in those before.
    before: u64,
    tags: Vec<TagId>,
}

#[derive(Clone, Debug)]
struct Settling {
    /// The gap it was.
    gap: u64,
    loss: Loss,
    ended_at: Timestamp,
    pause: Duration,
}

/// The watch over all tags of a plant.
#[derive(Debug)]
pub struct Gaps {
    plant: Arc<Plant>,
    tags: Vec<Watched>,
    open: BTreeMap<u64, Gap>,
    settling: Vec<Settling>,
    next: u64,
    recorded: BTreeMap<LossCause, u64>,
    has_changed: bool,
}

impl Gaps {
    /// A watch that begins now.
    pub fn new(plant: Arc<Plant>, now: Timestamp) -> Self {
        let fresh = Watched { usable_at: None, heard_at: now, gap: None, repeats: 0 };
        Self {
            tags: vec![fresh; plant.tags.len()],
            plant,
            open: BTreeMap::new(),
            settling: Vec::new(),
            next: 0,
            recorded: BTreeMap::new(),
            has_changed: true,
        }
    }

    /// The tags are those of another plant from now on. What was open is to be [finished](Self::finish) before.
    pub fn change(&mut self, plant: Arc<Plant>, now: Timestamp) {
        let (recorded, next) = (std::mem::take(&mut self.recorded), self.next);
        *self = Self { recorded, next, ..Self::new(plant, now) };
    }

    /// Readings have arrived.
    pub fn observe(&mut self, now: Timestamp, readings: &[Reading]) {
        let mut going = Vec::new();
        let mut coming = Vec::new();
        for reading in readings {
            let Some(tag) = self.tags.get_mut(reading.tag.index()) else { continue };
            if let Quality::Bad(reason) = reading.quality {
                let cause = LossCause::of(reason);
                if tag.gap.and_then(|gap| self.open.get(&gap)).is_none_or(|gap| gap.cause != cause)
                {
                    going.push((reading.tag, cause, reading.at));
                }
            } else if tag.hear(now, reading.at) {
                coming.push((reading.tag, reading.at));
            }
        }
        self.end(now, coming);
        self.begin(going);
    }

    /// A burst has arrived.
    pub fn hear(&mut self, now: Timestamp, waveform: &Waveform) {
        let Some(tag) = self.tags.get_mut(waveform.tag.index()) else { return };
        if tag.hear(now, waveform.at) {
            self.end(now, vec![(waveform.tag, waveform.at)]);
        }
    }

    /// Time has passed: what is overdue is a gap, and what has settled is to be recorded.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Loss> {
        let overdue = self.plant.tags().zip(&self.tags).filter(|((_, tag), watched)| {
            tag.derived.is_none()
                && watched.gap.is_none()
                && now.since(watched.heard_at) > tag.stale_after
        });
        let overdue = overdue.map(|((id, _), _)| (id, LossCause::Overdue, now)).collect();
        self.begin(overdue);
        let is_settled = |ended: &Settling| now.since(ended.ended_at) > ended.pause;
        let settled: Vec<_> = self.settling.extract_if(.., |ended| is_settled(ended)).collect();
        settled.into_iter().map(|ended| self.record(ended.loss)).collect()
    }

    /// The gateway stops: everything ends.
    pub fn finish(&mut self, now: Timestamp) -> Vec<Loss> {
        let ids: Vec<_> = self.open.values().flat_map(|gap| gap.tags.clone()).collect();
        self.end(now, ids.into_iter().map(|tag| (tag, now)).collect());
        let settled = std::mem::take(&mut self.settling);
        settled.into_iter().map(|ended| self.record(ended.loss)).collect()
    }

    /// A gap that somebody else has found is recorded too.
    pub fn record(&mut self, loss: Loss) -> Loss {
        *self.recorded.entry(loss.cause).or_default() += 1;
        self.has_changed = true;
        loss
    }

    /// The gaps of which the disk must know in case of a power cut, if they are others than before.
    pub fn changed(&mut self, now: Timestamp) -> Option<Vec<Loss>> {
        std::mem::take(&mut self.has_changed).then(|| self.unrecorded(now))
    }

    /// What is not recorded yet.
    pub fn unrecorded(&self, now: Timestamp) -> Vec<Loss> {
        let settling = self.settling.iter().map(|ended| ended.loss.clone());
        self.open.values().map(|gap| self.loss(gap, &gap.tags, now)).chain(settling).collect()
    }

    /// For those who show it.
    pub fn status(&self, now: Timestamp) -> GapStatus {
        let repeats = |(_, tag): &(TagId, &Watched)| tag.repeats >= REPEATS;
        GapStatus {
            open: self.open.values().map(|gap| self.loss(gap, &gap.tags, now)).collect(),
            settling: self.settling.iter().map(|ended| ended.loss.clone()).collect(),
            recorded: self.recorded.iter().map(|(cause, count)| (*cause, *count)).collect(),
            repeating: (0..)
                .map(TagId)
                .zip(&self.tags)
                .filter(repeats)
                .map(|(tag, _)| tag)
                .collect(),
        }
    }

    /// Tags go bad together: one gap for each source and cause.
    fn begin(&mut self, going: Vec<(TagId, LossCause, Timestamp)>) {
        let mut groups = BTreeMap::<(Option<u64>, &str, LossCause), Vec<(TagId, Timestamp)>>::new();
        let plant = Arc::clone(&self.plant);
        for (tag, cause, at) in going {
            let source = plant.tag(tag).source.as_str();
            let gap = self.tags[tag.index()].gap;
            groups.entry((gap, source, cause)).or_default().push((tag, at));
        }
        for ((gap, source, cause), members) in groups {
            let at = members.iter().map(|(_, at)| *at).max().unwrap_or_default();
            let from = match gap.and_then(|gap| self.open.get(&gap)) {
                // What is worse takes over from the beginning: a pulled plug looks like a silent unit at first.
                Some(known) if cause > known.cause => {
                    let from = known.from;
                    self.leave(gap, &members);
                    from
                }
                Some(_) => {
                    self.end(at, members.clone());
                    at
                }
                None => self.last_usable(&members).min(at),
            };
            let mut tags: Vec<_> = members.into_iter().map(|(tag, _)| tag).collect();
            tags.sort_unstable();
            tags.dedup();
            let source = source.to_owned();
            self.open(Gap { source, cause, from, since: from, before: 0, tags });
        }
    }

    /// When the group was last heard of: a server that reports changes only has vouched for the others until then.
    fn last_usable(&self, members: &[(TagId, Timestamp)]) -> Timestamp {
        let of = |(tag, _): &(TagId, Timestamp)| self.tags[tag.index()];
        let usable = members.iter().filter_map(|member| of(member).usable_at).max();
        usable
            .or_else(|| members.iter().map(|member| of(member).heard_at).max())
            .unwrap_or_default()
    }

    fn open(&mut self, mut gap: Gap) {
        let is_same = |ended: &Settling| {
            ended.loss.source == gap.source
                && ended.loss.cause == gap.cause
                && self.named(&ended.loss.source, &gap.tags) == ended.loss.tags
        };
        if let Some(at) = self.settling.iter().position(is_same) {
            let ended = self.settling.remove(at).loss;
            (gap.from, gap.before) = (ended.from, ended.count);
        }
        self.next += 1;
        for tag in &gap.tags {
            self.tags[tag.index()].gap = Some(self.next);
        }
        self.open.insert(self.next, gap);
        self.has_changed = true;
    }

    /// These tags are in another gap from now on.
    fn leave(&mut self, gap: Option<u64>, members: &[(TagId, Timestamp)]) {
        for (tag, _) in members {
            self.tags[tag.index()].gap = None;
        }
        let Some(id) = gap else { return };
        let Some(known) = self.open.get_mut(&id) else { return };
        let tags = &self.tags;
        known.tags.retain(|tag| tags[tag.index()].gap == Some(id));
        if known.tags.is_empty() {
            self.open.remove(&id);
        }
    }

    /// Tags are usable again.
    fn end(&mut self, now: Timestamp, coming: Vec<(TagId, Timestamp)>) {
        let mut groups = BTreeMap::<u64, Vec<(TagId, Timestamp)>>::new();
        for (tag, at) in coming {
            if let Some(gap) = self.tags[tag.index()].gap {
                groups.entry(gap).or_default().push((tag, at));
            }
        }
        for (id, members) in groups {
            let Some(known) = self.open.get_mut(&id) else { continue };
            let gap = known.clone();
            // Told with the first tags that return.
            known.before = 0;
            let to = members.iter().map(|(_, at)| *at).max().unwrap_or(now).max(gap.from);
            let mut tags: Vec<_> = members.iter().map(|(tag, _)| *tag).collect();
            tags.sort_unstable();
            let loss = self.loss(&gap, &tags, to);
            self.leave(Some(id), &members);
            self.has_changed = true;
            let periods = tags.iter().map(|tag| self.plant.tag(*tag).period);
            let pause = periods.max().unwrap_or_default() * SETTLING_PERIODS;
            // What comes back one message after the other is still one gap.
            match self.settling.iter_mut().find(|ended| ended.gap == id) {
                Some(ended) => {
                    ended.loss.to = ended.loss.to.max(loss.to);
                    ended.loss.count += loss.count;
                    let mut all = std::mem::take(&mut ended.loss.tags);
                    all.extend(tags);
                    all.sort_unstable();
                    all.dedup();
                    (ended.ended_at, ended.pause) = (now, ended.pause.max(pause));
                    let source = ended.loss.source.clone();
                    let named = self.named(&source, &all);
                    if let Some(ended) = self.settling.iter_mut().find(|ended| ended.gap == id) {
                        ended.loss.tags = named;
                    }
                }
                None => self.settling.push(Settling { gap: id, loss, ended_at: now, pause }),
            }
        }
    }

    fn loss(&self, gap: &Gap, tags: &[TagId], to: Timestamp) -> Loss {
        let to = to.max(gap.from);
        let span = to.since(gap.since).as_secs_f64();
        let due = |tag: &TagId| due(span, self.plant.tag(*tag).period);
        Loss {
            source: gap.source.clone(),
            tags: self.named(&gap.source, tags),
            from: gap.from,
            to,
            cause: gap.cause,
            count: gap.before + tags.iter().map(due).sum::<u64>(),
        }
    }

    /// No tag is named where all of the source are meant.
    fn named(&self, source: &str, tags: &[TagId]) -> Vec<TagId> {
        let is_own = |tag: &&bellwether_domain::Tag| tag.source == source && tag.derived.is_none();
        let all = self.plant.tags.iter().filter(is_own).count();
        if all == tags.len() { Vec::new() } else { tags.to_vec() }
    }
}

impl Watched {
    /// A usable reading; whether a gap ends by it.
    fn hear(&mut self, now: Timestamp, at: Timestamp) -> bool {
        // A source whose clock is ahead repeats its time without repeating its value.
        let repeats = self.usable_at == Some(at) && at < now;
        self.repeats = if repeats { self.repeats.saturating_add(1) } else { 0 };
        self.usable_at = self.usable_at.max(Some(at));
        self.heard_at = now;
        self.gap.is_some()
    }
}

/// Readings between two that are there.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rounded number of at least 0; beyond 2^64 it saturates"
)]
fn due(span_s: f64, period: Duration) -> u64 {
    let period_s = period.as_secs_f64();
    if period_s > 0.0 { ((span_s / period_s).round() - 1.0).max(0.0) as u64 } else { 0 }
}

#[cfg(test)]
mod tests;
