//! One asset's pipeline: calls the blocks of ISO 13374 in their order, DM ▸ SD ▸ HA ▸ PA ▸ AG. Readings come in one by
//! one, everything else happens when a frame closes or time passes.

mod advise;
mod layout;
mod report;
mod watch;

use bellwether_domain::{
    AssetId, Meaning, Operation, Plant, Quality, Reading, Reason, Score, Tag, TagId, Timestamp,
};
use serde::{Deserialize, Serialize};

pub(crate) use self::layout::Layout;
use crate::{
    advisory::{
        alarm::{AlarmIds, AlarmSlot, renumber},
        summary::{OpenPeriod, Tally},
    },
    config::AnalyticsConfig,
    detection::{
        baseline::Baseline, commissioning::Commissioning, drivers::LAGS,
        record_novelty::RecordNovelty,
    },
    engine::Output,
    features::{
        frame::OpenFrame,
        operation::OperationTracker,
        validate::{Sickness, Validator, Verdict},
    },
    health::Assessor,
    prognosis::degradation::Degradation,
};

/// No signal of any machine reaches this, and its powers are still finite.
const ABSURD: f64 = 1e30;

/// What a step has at hand.
pub(crate) struct Step<'a> {
    pub(crate) plant: &'a Plant,
    pub(crate) config: &'a AnalyticsConfig,
    pub(crate) now: Timestamp,
    pub(crate) ids: &'a mut AlarmIds,
    pub(crate) out: &'a mut Vec<Output>,
}

/// One tag within its asset.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Channel {
    validator: Validator,
    sickness: Sickness,
    /// Last value and its quality as they came, for people.
    value: f64,
    quality: Quality,
    /// Source time of the last reading, for order.
    source_at: Option<Timestamp>,
    /// Plant time of the last reading, good or not.
    arrived_at: Option<Timestamp>,
    good_at: Option<Timestamp>,
    good_value: f64,
    /// Since when the good value is what it is.
    same_since: Timestamp,
    /// Value in the newest frame before anything is masked; NaN if there is none.
    framed: f64,
    /// The newest frame's value is one of its own, not the one before carried on.
    is_news: bool,
    /// Smoothed over steady frames; NaN before the first.
    smooth: f64,
    tally: Tally,
}

impl Channel {
    fn new() -> Self {
        Self {
            validator: Validator::default(),
            sickness: Sickness::None,
            value: 0.0,
            quality: Quality::Bad(Reason::NotConnected),
            source_at: None,
            arrived_at: None,
            good_at: None,
            good_value: 0.0,
            same_since: Timestamp::default(),
            framed: f64::NAN,
            is_news: false,
            smooth: f64::NAN,
            tally: Tally::default(),
        }
    }

    /// A reading is old news if its source time does not lie behind the one before; unless that one lay in the future,
    /// which only a wrong clock can do.
    fn is_old_news(&self, at: Timestamp, now: Timestamp) -> bool {
        self.source_at.is_some_and(|last| at <= last && last <= now)
    }

    fn believe(&mut self, value: f64, at: Timestamp) {
        if self.good_at.is_none() || value.to_bits() != self.good_value.to_bits() {
            self.same_since = at;
        }
        (self.value, self.quality) = (value, Quality::Good);
        (self.good_value, self.good_at) = (value, Some(at));
        self.tally.good.add(value);
    }

    fn is_fresh(&self, tag: &Tag, now: Timestamp) -> bool {
        self.good_at.is_some_and(|at| now.since(at) <= tag.stale_after)
    }

    /// Quality after staleness.
    fn quality_at(&self, tag: &Tag, now: Timestamp) -> Quality {
        match self.sickness {
            Sickness::Stuck => self.quality.worst(Quality::Uncertain(Reason::Stuck)),
            Sickness::Spiky => self.quality.worst(Quality::Uncertain(Reason::Spike)),
            _ if self.quality.is_good() && !self.is_fresh(tag, now) => {
                Quality::Uncertain(Reason::Stale)
            }
            _ => self.quality,
        }
    }
}

/// The model of the healthy state: being learnt, or frozen.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Model {
    Learning(Commissioning),
    Ready(Box<Baseline>),
}

/// Whether the newest frame was judged, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Judgement {
    Judged,
    Halted,
    ConditionUnknown,
    ConditionUnseen,
}

/// Everything about one asset that outlives a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AssetState {
    channels: Vec<Channel>,
    frame: OpenFrame,
    operation: OperationTracker,
    operation_since: Timestamp,
    /// Lag by lag, by driver: mean over the thermal lag; NaN before the first value.
    lagging: Vec<f64>,
    model: Model,
    judgement: Judgement,
    /// The filters must be restarted before the next judgement.
    is_interrupted: bool,
    is_exceeded: bool,
    judged_frames: i64,
    /// By condition signal.
    novelty: Vec<RecordNovelty>,
    tag_scores: Vec<Score>,
    degradations: Vec<Option<Degradation>>,
    assessor: Assessor,
    slots: Vec<AlarmSlot>,
    period: OpenPeriod,
    next_report: Option<Timestamp>,
    /// Silence counts from here for tags that have not spoken since.
    silent_since: Timestamp,
    /// When any tag was last good.
    newest_good: Option<Timestamp>,
    maintained_at: Option<Timestamp>,
    #[serde(skip)]
    signals: Vec<f64>,
    #[serde(skip)]
    condition: Vec<f64>,
}

impl AssetState {
    pub(crate) fn new(
        layout: &Layout,
        plant: &Plant,
        config: &AnalyticsConfig,
        now: Timestamp,
    ) -> Self {
        let (signals, drivers) = (layout.signals.len(), layout.drivers.len());
        let novelty = layout.signals.iter().map(|&tag| {
            let period =
                if drivers > 0 { layout.period } else { plant.tag(layout.tags[tag]).period };
            RecordNovelty::new(period.as_secs_f64(), config)
        });
        Self {
            channels: vec![Channel::new(); layout.tags.len()],
            frame: OpenFrame::new(layout.tags.len(), |tag| layout.is_live[tag]),
            operation: OperationTracker::new(drivers),
            operation_since: now,
            lagging: vec![f64::NAN; LAGS * drivers],
            model: Model::Learning(Commissioning::new(layout.is_thermal.clone(), drivers)),
            judgement: Judgement::Halted,
            is_interrupted: false,
            is_exceeded: false,
            judged_frames: 0,
            novelty: novelty.collect(),
            tag_scores: vec![Score::ORDINARY; signals],
            degradations: vec![None; signals],
            assessor: Assessor::new(now),
            slots: vec![AlarmSlot::default(); layout.slot_count()],
            period: OpenPeriod::new(),
            next_report: None,
            silent_since: now,
            newest_good: None,
            maintained_at: None,
            signals: Vec::with_capacity(signals),
            condition: Vec::with_capacity((1 + LAGS) * drivers),
        }
    }

    /// Time went by without anybody listening: silence counts anew from here.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        self.silent_since = now;
        if self.operation_since == Timestamp::default() {
            self.operation_since = now;
            self.assessor.since = now;
        }
    }

    /// Whether it has a place for each of the asset's tags.
    pub(crate) fn fits(&self, layout: &Layout) -> bool {
        self.channels.len() == layout.tags.len()
            && self.slots.len() == layout.slot_count()
            && self.novelty.len() == layout.signals.len()
            && self.lagging.len() == LAGS * layout.drivers.len()
    }

    /// The same knowledge of an asset to which tags that are only shown have come, or from which they have gone:
    /// `former[local]` is where a tag was.
    pub(crate) fn rearranged(mut self, former: &[Option<usize>]) -> Self {
        let slot = |index: usize| self.slots.get(index).cloned().unwrap_or_default();
        let mut slots = vec![slot(Layout::MACHINE), slot(Layout::NO_DATA)];
        let mut channels = Vec::with_capacity(former.len());
        for &place in former {
            let known = place.and_then(|local| self.channels.get(local).cloned());
            channels.push(known.unwrap_or_else(Channel::new));
            slots.push(place.map(|local| slot(Layout::limit_slot(local))).unwrap_or_default());
            slots.push(place.map(|local| slot(Layout::sensor_slot(local))).unwrap_or_default());
        }
        self.frame = self.frame.rearranged(former);
        (self.channels, self.slots) = (channels, slots);
        self
    }

    /// Takes the ids of another plant.
    pub(crate) fn renumber(&mut self, asset: AssetId, tag: impl Fn(TagId) -> Option<TagId> + Copy) {
        for alarm in self.slots.iter_mut().filter_map(|slot| slot.alarm.as_mut()) {
            renumber(alarm, asset, tag);
        }
    }

    /// The person who repaired the asset says so.
    pub(crate) fn maintained(&mut self, now: Timestamp) {
        self.maintained_at = Some(now);
        self.is_exceeded = false;
        self.degradations.iter_mut().flatten().for_each(Degradation::restart);
        self.novelty.iter_mut().for_each(RecordNovelty::calm);
        self.channels.iter_mut().for_each(|channel| channel.smooth = f64::NAN);
        self.assessor.calm();
        if let Model::Ready(baseline) = &mut self.model {
            baseline.restart();
        }
    }

    /// One reading of one of its tags.
    pub(crate) fn accept(
        &mut self,
        layout: &Layout,
        step: &mut Step<'_>,
        local: usize,
        reading: &Reading,
    ) {
        if self.frame.is_overdue(step.now, layout.period) {
            self.close_frame(layout, step);
        }
        let tag = step.plant.tag(reading.tag);
        let is_running =
            matches!(self.operation.operation, Operation::Steady | Operation::Transient);
        let is_learning = matches!(self.model, Model::Learning(_));
        let channel = &mut self.channels[local];
        if reading.quality.is_good() && channel.is_old_news(reading.at, step.now) {
            return;
        }
        let at = reading.at.min(step.now);
        channel.source_at = Some(reading.at);
        channel.arrived_at = Some(step.now);
        channel.tally.total += 1;
        if reading.quality.is_good() && reading.value.abs() < ABSURD {
            let verdict = match tag.meaning {
                // A state that changes is no spike, and one that stays is not stuck.
                Meaning::States(_) | Meaning::Text => Verdict::Good,
                Meaning::Measurement => {
                    channel.validator.check(reading.value, tag.range, is_running, is_learning)
                }
            };
            match verdict {
                Verdict::OutOfRange => {
                    channel.value = reading.value;
                    channel.quality = Quality::Bad(Reason::OutOfRange);
                }
                // What is kept back is still a sign of life.
                Verdict::Held => channel.good_at = channel.good_at.map(|good| good.max(at)),
                Verdict::Good | Verdict::GoodAfterSpike(_) => {
                    self.believe(layout, step, local, reading.value, at);
                }
                Verdict::GoodWithHeld(held) => {
                    self.believe(layout, step, local, held, at);
                    self.believe(layout, step, local, reading.value, at);
                }
            }
        } else {
            channel.validator.interrupt();
            channel.quality = match reading.quality {
                Quality::Good => Quality::Bad(Reason::SensorFailure),
                other => other,
            };
            if matches!(channel.quality, Quality::Uncertain(_)) && reading.value.is_finite() {
                channel.value = reading.value;
            }
        }
        self.frame.report(local, step.now);
        if self.frame.is_complete(step.now, layout.period) {
            self.close_frame(layout, step);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, layout: &Layout, step: &mut Step<'_>) {
        if self.frame.is_overdue(step.now, layout.period) {
            self.close_frame(layout, step);
        } else {
            self.advise(layout, step, None);
        }
    }

    fn believe(
        &mut self,
        layout: &Layout,
        step: &Step<'_>,
        local: usize,
        value: f64,
        at: Timestamp,
    ) {
        self.channels[local].believe(value, at);
        self.frame.add(local, value);
        // With drivers the detector sees frames brought to reference conditions instead.
        if let Some(signal) = layout.signal_of[local]
            && layout.drivers.is_empty()
            && self.operation.operation == Operation::Steady
        {
            self.watch_tag(step, signal, at, value);
        }
    }

    fn watch_tag(&mut self, step: &Step<'_>, signal: usize, at: Timestamp, value: f64) {
        debug_assert!(at <= step.now);
        if self.slots[Layout::MACHINE].timer.is_on() {
            // Nothing adapts while an alarm is open.
            return;
        }
        let detector = &mut self.novelty[signal];
        let observation = detector.score(at, value);
        detector.learn(&observation);
        self.tag_scores[signal] = observation.score;
    }

    /// DM: closes the frame, then the other blocks see it.
    fn close_frame(&mut self, layout: &Layout, step: &mut Step<'_>) {
        let now = step.now;
        let is_learning = matches!(self.model, Model::Learning(_));
        for (local, channel) in self.channels.iter_mut().enumerate() {
            let sickness = channel.validator.sickness(is_learning, step.config);
            channel.validator.latch(sickness);
            channel.sickness = sickness;
            let tag = step.plant.tag(layout.tags[local]);
            // While a value is kept back, the one before is not the present one: a step must not look like a contradiction.
            let is_known = channel.quality.is_good()
                && channel.is_fresh(tag, now)
                && !channel.validator.is_holding();
            let last = if is_known { channel.good_value } else { f64::NAN };
            let mean = self.frame.mean(local);
            channel.is_news = mean.is_some();
            channel.framed = mean.unwrap_or(last);
        }
        let channels = &self.channels;
        self.frame.close(now, |local| {
            // A tag that has fallen silent is not waited for.
            let stale_after = step.plant.tag(layout.tags[local]).stale_after;
            layout.is_live[local]
                && channels[local].arrived_at.is_none_or(|at| now.since(at) <= stale_after)
        });
        self.update_operation(layout, step);
        let score = self.watch(layout, step);
        self.advise(layout, step, Some(score));
    }
}
