//! HA and AG of one asset: runs the delays of its alarms, assesses its health, speaks about what has changed.

use std::time::Duration;

use bellwether_domain::{
    Alarm, AlarmId, AlarmKind, AlarmState, Alert, CommandError, Explanation, HealthReport,
    HealthState, Limit, Operation, Reason, Refusal, Score, Summary, Timestamp,
};

use super::{AssetState, Layout, Model, Step};
use crate::{
    advisory::{
        alarm::{AlarmSlot, Edge, Subject},
        explain,
        summary::Tally,
    },
    config::seconds,
    engine::Output,
    features::validate::Sickness,
    health::Evidence,
};

fn micros(span_s: u32) -> i64 {
    i64::from(span_s) * 1_000_000
}

impl AssetState {
    /// After a frame (`Some`, with its score if it was judged) or a tick (`None`).
    pub(super) fn advise(
        &mut self,
        layout: &Layout,
        step: &mut Step<'_>,
        frame: Option<Option<Score>>,
    ) {
        self.note_return(layout, step);
        let is_silent = self.is_silent(layout, step);
        self.time_no_data(step, is_silent);
        self.time_sensors(layout, step);
        if frame.is_some() && self.operation.operation == Operation::Steady {
            self.time_limits(layout, step);
        }
        self.period.pass(step.now, self.operation.operation);
        let evidence = self.evidence(layout, frame, is_silent);
        let has_changed = self.assessor.assess(step.now, &evidence, step.config);
        self.period.note(self.assessor.index, evidence.score.unwrap_or(Score::ORDINARY));
        self.act_on_edges(layout, step);
        if has_changed {
            self.update_severity(layout, step);
        }
        self.report_health(layout, step, has_changed);
        self.report_summary(layout, step);
    }

    fn evidence(&self, layout: &Layout, frame: Option<Option<Score>>, is_silent: bool) -> Evidence {
        let is_on = |slot: usize| self.slots[slot].timer.is_on();
        let locals = || 0..layout.tags.len();
        let is_commissioned = matches!(self.model, Model::Ready(_));
        Evidence {
            has_data: !is_silent && self.channels.iter().any(|channel| channel.good_at.is_some()),
            commissioned: is_commissioned,
            is_frame: frame.is_some(),
            score: frame.flatten(),
            machine_alarm: is_on(Layout::MACHINE),
            limit_exceeded: self.prognosis(layout) == Err(Refusal::LimitExceeded)
                || locals().any(|local| is_on(Layout::limit_slot(local))),
            sensor_fault: locals().any(|local| is_on(Layout::sensor_slot(local))),
            unusual_tag: is_commissioned && self.novelty.iter().any(|tag| tag.is_unusual()),
            rul_h: self.prognosis(layout).ok().map(|rul| (rul.rul_p05_h, rul.rul_p50_h)),
            progress: self
                .degradations
                .iter()
                .flatten()
                .map(|degradation| degradation.progress())
                .fold(0.0, f64::max),
        }
    }

    /// After a device was away its tags come back one request after the other: none of them counts as missing for what
    /// the device as a whole had not told.
    fn note_return(&mut self, layout: &Layout, step: &Step<'_>) {
        let newest = self.channels.iter().filter_map(|channel| channel.good_at).max();
        let gap = match (self.newest_good, newest) {
            (Some(before), Some(newest)) => newest.since(before),
            _ => Duration::ZERO,
        };
        let patience = layout.tags.iter().map(|&id| step.plant.tag(id).stale_after).min();
        if patience.is_some_and(|patience| gap >= patience) {
            self.silent_since = step.now;
        }
        self.newest_good = newest;
    }

    /// No tag has been good for a long time.
    fn is_silent(&self, layout: &Layout, step: &Step<'_>) -> bool {
        !layout.tags.is_empty()
            && layout.tags.iter().zip(&self.channels).all(|(&id, channel)| {
                let tag = step.plant.tag(id);
                let patience = (tag.period * step.config.silent_periods).max(tag.stale_after);
                step.now.since(self.heard(channel.good_at)) > patience
            })
    }

    /// When a tag was last good, as far as silence counts.
    fn heard(&self, good_at: Option<Timestamp>) -> Timestamp {
        good_at.unwrap_or(self.silent_since).max(self.silent_since)
    }

    fn time_no_data(&mut self, step: &Step<'_>, is_silent: bool) {
        let off_delay = micros(step.config.sensor_off_delay_s);
        let slot = &mut self.slots[Layout::NO_DATA];
        if let Some(edge) = slot.timer.update(is_silent, step.now.as_micros(), 0, off_delay) {
            slot.edge = Some(edge);
        }
        if is_silent && self.operation.operation != Operation::Unknown {
            self.operation.operation = Operation::Unknown;
            self.operation_since = step.now;
            self.is_interrupted = true;
        }
    }

    fn time_sensors(&mut self, layout: &Layout, step: &Step<'_>) {
        let newest = self.channels.iter().filter_map(|channel| channel.good_at).max();
        let (on, off) =
            (micros(step.config.sensor_on_delay_s), micros(step.config.sensor_off_delay_s));
        for local in 0..layout.tags.len() {
            if !layout.is_sensor[local] {
                continue;
            }
            let is_faulty = self.sensor_fault(layout, step, local, newest).is_some();
            let slot = &mut self.slots[Layout::sensor_slot(local)];
            if let Some(edge) = slot.timer.update(is_faulty, step.now.as_micros(), on, off) {
                slot.edge = Some(edge);
            }
        }
    }

    /// What is wrong with a sensor. One that is missing while the others are there too is no sensor fault.
    fn sensor_fault(
        &self,
        layout: &Layout,
        step: &Step<'_>,
        local: usize,
        newest: Option<Timestamp>,
    ) -> Option<Reason> {
        let channel = &self.channels[local];
        match channel.sickness {
            Sickness::Stuck => return Some(Reason::Stuck),
            Sickness::Spiky => return Some(Reason::Spike),
            Sickness::None | Sickness::Suspect => {}
        }
        let tag = step.plant.tag(layout.tags[local]);
        let heard = self.heard(channel.good_at);
        let others_live = newest.is_some_and(|newest| newest.since(heard) >= tag.stale_after);
        (step.now.since(heard) > tag.stale_after && others_live)
            .then(|| channel.quality.reason().unwrap_or(Reason::Stale))
    }

    fn time_limits(&mut self, layout: &Layout, step: &Step<'_>) {
        let (on, off) =
            (micros(step.config.limit_on_delay_s), micros(step.config.limit_off_delay_s));
        for local in 0..layout.tags.len() {
            let smooth = self.channels[local].smooth;
            let slot = &mut self.slots[Layout::limit_slot(local)];
            let Some(limit) = step.plant.tag(layout.tags[local]).failure else {
                // The limit has been taken out of the configuration: what stood because of it is over at once.
                if slot.timer.is_on() {
                    let edge = slot.timer.update(false, step.now.as_micros(), 0, 0);
                    slot.edge = edge.or(slot.edge);
                }
                continue;
            };
            let (beyond, level) = match limit {
                Limit::Above(level) => (smooth - level, level),
                Limit::Below(level) => (level - smooth, level),
            };
            let deadband = step.config.limit_deadband * level.abs();
            let threshold = if slot.timer.is_on() { -deadband } else { 0.0 };
            // A value that is missing (NaN) is beyond nothing.
            let condition = beyond > threshold;
            if let Some(edge) = slot.timer.update(condition, step.now.as_micros(), on, off) {
                slot.edge = Some(edge);
            }
        }
    }

    /// What each place on the alarm board is about.
    fn subject(layout: &Layout, slot: usize) -> (AlarmKind, Option<usize>) {
        match slot {
            Layout::MACHINE => (AlarmKind::MachineAnomaly, None),
            Layout::NO_DATA => (AlarmKind::NoData, None),
            _ => {
                let local = (slot - 2) / 2;
                debug_assert!(local < layout.tags.len());
                let is_limit = Layout::limit_slot(local) == slot;
                let kind = if is_limit { AlarmKind::FailureLimit } else { AlarmKind::SensorFault };
                (kind, Some(local))
            }
        }
    }

    fn act_on_edges(&mut self, layout: &Layout, step: &mut Step<'_>) {
        for index in 0..self.slots.len() {
            let Some(edge) = self.slots[index].edge.take() else { continue };
            let (kind, local) = Self::subject(layout, index);
            match edge {
                Edge::Off => {
                    let alert = self.slots[index].clear(step.now);
                    step.out.extend(alert.map(Output::AlarmChanged));
                }
                Edge::On => {
                    let explanation = self.explain(layout, step, kind, local);
                    let subject = Subject {
                        asset: layout.asset,
                        tag: local.map(|local| layout.tags[local]),
                        kind,
                    };
                    self.period.alarms_raised = self.period.alarms_raised.saturating_add(1);
                    let severity = self.assessor.state;
                    let slot = &mut self.slots[index];
                    let (superseded, raised) =
                        slot.raise(subject, step.now, severity, explanation, step.ids);
                    step.out.extend(superseded.map(Output::AlarmChanged));
                    step.out.push(Output::AlarmChanged(raised));
                }
            }
        }
    }

    fn explain(
        &self,
        layout: &Layout,
        step: &Step<'_>,
        kind: AlarmKind,
        local: Option<usize>,
    ) -> Explanation {
        let name = step.plant.asset(layout.asset).name();
        let condition = self.operands(layout);
        let Some(local) = local else {
            return if kind == AlarmKind::MachineAnomaly {
                let parts = self.contributions(layout);
                explain::unlike_learnt(step.plant, name, &parts, condition)
            } else {
                let newest = self.channels.iter().filter_map(|channel| channel.good_at).max();
                let why = self.channels.first().and_then(|channel| channel.quality.reason());
                explain::data_missing(name, newest.unwrap_or(self.silent_since), why)
            };
        };
        let (id, channel) = (layout.tags[local], &self.channels[local]);
        let tag = step.plant.tag(id);
        if kind == AlarmKind::FailureLimit {
            let limit = tag.failure.unwrap_or(Limit::Above(channel.smooth));
            return explain::beyond_limit(step.plant, id, channel.smooth, limit, condition);
        }
        let (since, why) = match channel.sickness {
            Sickness::Stuck => (channel.same_since, Reason::Stuck),
            Sickness::Spiky => (step.now, Reason::Spike),
            Sickness::None | Sickness::Suspect => {
                (self.heard(channel.good_at), channel.quality.reason().unwrap_or(Reason::Stale))
            }
        };
        explain::sensor_not_believed(step.plant, id, channel.good_value, since, why)
    }

    /// The machine's alarms carry the asset's state: say when it has changed.
    fn update_severity(&mut self, layout: &Layout, step: &mut Step<'_>) {
        let severity = self.assessor.state;
        if severity < HealthState::Monitor {
            return;
        }
        for index in 0..self.slots.len() {
            let (kind, local) = Self::subject(layout, index);
            let is_open = self.slots[index].alarm.is_some() && self.slots[index].timer.is_on();
            if !kind.is_about_machine() || !is_open {
                continue;
            }
            let explanation = self.explain(layout, step, kind, local);
            let alert = self.slots[index].update(step.now, severity, Some(explanation));
            step.out.extend(alert.map(Output::AlarmChanged));
        }
    }

    /// Somebody has seen the alarm of this id; whether it is one of ours.
    pub(crate) fn acknowledge(
        &mut self,
        step: &mut Step<'_>,
        id: AlarmId,
        actor: &str,
    ) -> Result<(), CommandError> {
        let slot = self
            .slots
            .iter_mut()
            .find(|slot| slot.alarm.as_ref().is_some_and(|alarm| alarm.id == id))
            .ok_or(CommandError::AlarmNotActive(id))?;
        step.out.extend(slot.acknowledge(step.now, actor).map(Output::AlarmChanged));
        Ok(())
    }

    /// The plant changes: alarms that do not go over into the new one end, seen or not.
    pub(crate) fn dissolve(
        &mut self,
        now: Timestamp,
        survives: impl Fn(AlarmId) -> bool,
        mut tell: impl FnMut(Alert),
    ) {
        let is_ending =
            |slot: &&mut AlarmSlot| slot.alarm.as_ref().is_some_and(|alarm| !survives(alarm.id));
        for alert in self.slots.iter_mut().filter(is_ending).filter_map(|slot| slot.clear(now)) {
            let alarm = Alarm { state: AlarmState::Normal, ..alert.alarm };
            tell(Alert { alarm, ..alert });
        }
    }

    fn report_health(&mut self, layout: &Layout, step: &mut Step<'_>, has_changed: bool) {
        let due = *self.next_report.get_or_insert(step.now);
        if step.now < due && !has_changed {
            return;
        }
        self.next_report =
            Some(step.now.saturating_add(seconds(step.config.health_report_period_s)));
        step.out.push(Output::Health(HealthReport {
            asset: layout.asset,
            at: step.now,
            state: self.assessor.state,
            health: self.assessor.index,
            score: self.score(),
            prognosis: self.prognosis(layout),
        }));
    }

    fn report_summary(&mut self, layout: &Layout, step: &mut Step<'_>) {
        let from = *self.period.from.get_or_insert(step.now);
        if step.now.since(from) < seconds(step.config.summary_period_s) {
            return;
        }
        let tags: Vec<_> = layout
            .tags
            .iter()
            .zip(&self.channels)
            .filter(|(id, _)| !step.plant.tag(**id).is_waveform)
            .map(|(&id, channel)| channel.tally.summary(id))
            .collect();
        let (good, total) =
            tags.iter().fold((0, 0), |(good, total), tag| (good + tag.good, total + tag.total));
        step.out.push(Output::Summary(Summary {
            asset: layout.asset,
            from,
            to: step.now,
            state: self.assessor.state,
            health: self.period.lowest_health,
            score: self.period.highest_score,
            running_h: self.period.running_s / 3_600.0,
            prognosis: self.prognosis(layout),
            alarms_raised: self.period.alarms_raised,
            good_ratio: if total == 0 { 0.0 } else { good as f64 / total as f64 },
            tags,
        }));
        self.channels.iter_mut().for_each(|channel| channel.tally = Tally::default());
        self.period.restart(step.now);
    }
}
