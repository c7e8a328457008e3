//! DM and SD of one asset when a frame closes: what it is doing, whether it can be judged, and how unusual it is.

use bellwether_domain::{Operation, Plant, Score};

use super::{AssetState, Judgement, Layout, Model, Step};
use crate::{
    config::AnalyticsConfig,
    detection::{baseline::Baseline, drivers::LONG_LAG},
    features::validate::Sickness,
    prognosis::degradation::Degradation,
};

/// Weight of the newest steady frame in the smoothed value of a tag.
const SMOOTH_WEIGHT: f64 = 0.2;
/// A running machine counts as stopped only this share below the level.
const RUNNING_HYSTERESIS: f64 = 0.02;

impl AssetState {
    /// DM: off, in transition or steady.
    pub(super) fn update_operation(&mut self, layout: &Layout, step: &Step<'_>) {
        let before = self.operation.operation;
        let running = match layout.running_above {
            None => Some(true),
            Some((None, _)) => None,
            Some((Some(local), level)) => {
                let was_running = matches!(before, Operation::Steady | Operation::Transient);
                let slack = if was_running { RUNNING_HYSTERESIS * level.abs() } else { 0.0 };
                let channel = &self.channels[local];
                let is_held = channel.validator.is_holding() && channel.quality.is_good();
                let value = if is_held { channel.good_value } else { self.trusted(local) };
                (!value.is_nan()).then_some(value > level - slack)
            }
        };
        self.condition.clear();
        for &local in &layout.drivers {
            self.condition.push(self.trusted(local));
        }
        let drivers = layout.drivers.len();
        for (index, lagging) in self.lagging.iter_mut().enumerate() {
            let driver = self.condition[index % drivers];
            let frames = step.config.thermal_lag_frames.max(1);
            let frames = if index < drivers { frames } else { frames.saturating_mul(LONG_LAG) };
            if lagging.is_nan() {
                *lagging = driver;
            } else if !driver.is_nan() {
                *lagging += (driver - *lagging) / f64::from(frames);
            }
        }
        let after = self.operation.update(
            running,
            self.condition.iter().copied(),
            layout.running_above.is_some(),
            step.config,
        );
        self.condition.extend_from_slice(&self.lagging);
        if after != before {
            self.operation_since = step.now;
        }
    }

    /// The newest frame's value of a tag unless its sensor is known to be sick.
    fn trusted(&self, local: usize) -> f64 {
        let channel = &self.channels[local];
        if channel.sickness == Sickness::Stuck { f64::NAN } else { channel.framed }
    }

    /// SD: the score of this frame; `None` if it could not be judged.
    pub(super) fn watch(&mut self, layout: &Layout, step: &mut Step<'_>) -> Option<Score> {
        self.signals.clear();
        for &local in &layout.signals {
            let is_sick = self.channels[local].sickness != Sickness::None
                || self.slots[Layout::sensor_slot(local)].timer.is_on();
            let value = if is_sick { f64::NAN } else { self.channels[local].framed };
            self.signals.push(value);
        }
        if self.operation.operation != Operation::Steady {
            self.pause(Judgement::Halted);
            return None;
        }
        self.smooth(layout);
        if self.condition.iter().any(|value| value.is_nan()) {
            self.pause(Judgement::ConditionUnknown);
            return None;
        }
        match &mut self.model {
            Model::Learning(commissioning) => {
                let news = layout.signals.iter().map(|&local| self.channels[local].is_news);
                commissioning.add(&self.signals, &self.condition, news, step.config);
                self.judgement = Judgement::Judged;
                self.is_interrupted = false;
                if commissioning.count() >= step.config.learning_frames as usize {
                    let baseline = commissioning.finish(step.config);
                    self.commission(layout, step, baseline);
                }
                None
            }
            Model::Ready(_) => self.judge(layout, step),
        }
    }

    /// This frame says nothing: what the filters hold is residue, what was about to be learnt is not.
    fn pause(&mut self, judgement: Judgement) {
        self.judgement = judgement;
        self.is_interrupted = true;
        if let Model::Learning(commissioning) = &mut self.model {
            commissioning.interrupt();
        }
    }

    fn commission(&mut self, layout: &Layout, step: &Step<'_>, baseline: Baseline) {
        self.model = Model::Ready(Box::new(baseline));
        self.judgement = Judgement::Halted;
        self.watch_limits(layout, step.plant);
    }

    /// Begins to watch the way to each failure limit that is new or has changed.
    pub(crate) fn watch_limits(&mut self, layout: &Layout, plant: &Plant) {
        let Model::Ready(baseline) = &self.model else { return };
        for (signal, watched) in self.degradations.iter_mut().enumerate() {
            let limit = plant.tag(layout.tags[layout.signals[signal]]).failure;
            let is_same = match (limit, &*watched) {
                (Some(limit), Some(degradation)) => degradation.is_about(limit),
                (limit, degradation) => limit.is_none() && degradation.is_none(),
            };
            if !is_same {
                *watched = limit
                    .zip(baseline.reference(signal))
                    .and_then(|(limit, reference)| Degradation::new(limit, reference));
            }
        }
    }

    fn judge(&mut self, layout: &Layout, step: &Step<'_>) -> Option<Score> {
        let Model::Ready(baseline) = &mut self.model else { return None };
        if self.is_interrupted && !self.slots[Layout::MACHINE].timer.is_on() {
            baseline.restart();
        }
        let Some(ratio) = baseline.judge(&self.signals, &self.condition) else {
            self.pause(Judgement::ConditionUnseen);
            return None;
        };
        (self.is_interrupted, self.judgement) = (false, Judgement::Judged);
        let return_ratio = step.config.return_ratio;
        self.is_exceeded = ratio > if self.is_exceeded { return_ratio } else { 1.0 };
        self.judged_frames += 1;
        self.time_machine(layout, step);
        self.watch_signals(layout, step);
        Some(Score::from_ratio(ratio))
    }

    /// The delays of the machine alarm, counted in judged frames.
    fn time_machine(&mut self, layout: &Layout, step: &Step<'_>) {
        let AnalyticsConfig { on_delay_frames, off_delay_frames, .. } = *step.config;
        if !self.is_exceeded && self.has_lost_its_witness(layout) {
            return;
        }
        let delay = |frames: u32| i64::from(frames) - 1;
        let slot = &mut self.slots[Layout::MACHINE];
        if let Some(edge) = slot.timer.update(
            self.is_exceeded,
            self.judged_frames,
            delay(on_delay_frames),
            delay(off_delay_frames),
        ) {
            slot.edge = Some(edge);
        }
    }

    /// Whether the tag that spoke loudest for the open machine alarm is itself not to be believed now: that the others are
    /// ordinary does not mean that the machine is.
    fn has_lost_its_witness(&self, layout: &Layout) -> bool {
        let slot = &self.slots[Layout::MACHINE];
        let witness = slot.alarm.as_ref().and_then(|alarm| alarm.explanation.contributions.first());
        witness.filter(|_| slot.timer.is_on()).is_some_and(|part| {
            let local = layout.tags.iter().position(|&tag| tag == part.tag);
            local
                .and_then(|local| layout.signal_of[local])
                .is_some_and(|signal| self.signals[signal].is_nan())
        })
    }

    /// Per signal, at reference conditions: degradation, and record novelty where there are drivers.
    fn watch_signals(&mut self, layout: &Layout, step: &Step<'_>) {
        for signal in 0..self.signals.len() {
            let value = self.signals[signal];
            let Model::Ready(baseline) = &self.model else { return };
            let level = baseline.at_reference(signal, value);
            if level.is_nan() {
                continue;
            }
            if let Some(degradation) = &mut self.degradations[signal] {
                degradation.observe(step.now, level, step.config);
            }
            if !layout.drivers.is_empty() {
                self.watch_tag(step, signal, step.now, level);
            }
        }
    }

    /// Smoothed values for the failure limits and for sentences; begins anew after each interruption.
    fn smooth(&mut self, layout: &Layout) {
        for (local, channel) in self.channels.iter_mut().enumerate() {
            let is_sick = channel.sickness != Sickness::None
                || self.slots[Layout::sensor_slot(local)].timer.is_on();
            if channel.framed.is_nan() || is_sick {
                continue;
            }
            let begins = channel.smooth.is_nan()
                || (self.is_interrupted && layout.signal_of[local].is_some());
            if begins {
                channel.smooth = channel.framed;
            } else {
                channel.smooth += SMOOTH_WEIGHT * (channel.framed - channel.smooth);
            }
        }
    }
}
