//! AG, the alarm machine: delays, then the states of ISA-18.2 (drawn at `bellwether_domain::AlarmState`). At most one
//! open alarm per asset, kind and tag. Every occurrence is an alarm of its own, with its own id and times: one that
//! returned but was never acknowledged makes room for the next.

use bellwether_domain::{
    Alarm, AlarmId, AlarmKind, AlarmState, Alert, AssetId, Explanation, HealthState, Priority,
    TagId, Timestamp, Transition,
};
use serde::{Deserialize, Serialize};

/// On-delay and off-delay of a condition, on whatever clock the caller counts: frames or microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    on: bool,
    /// Since when the condition has been other than `on`.
    changed_since: Option<i64>,
}

/// What a timer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// The condition has held long enough.
    On,
    /// It has been gone long enough.
    Off,
}

impl Timer {
    /// Whether the condition counts as holding.
    pub(crate) const fn is_on(self) -> bool {
        self.on
    }

    /// The condition at `clock`.
    pub(crate) fn update(
        &mut self,
        condition: bool,
        clock: i64,
        on_delay: i64,
        off_delay: i64,
    ) -> Option<Edge> {
        if condition == self.on {
            self.changed_since = None;
            return None;
        }
        let since = *self.changed_since.get_or_insert(clock);
        let delay = if condition { on_delay } else { off_delay };
        if clock.saturating_sub(since) < delay {
            return None;
        }
        *self = Self { on: condition, changed_since: None };
        Some(if condition { Edge::On } else { Edge::Off })
    }
}

/// Gives out alarm ids: times of raising, made unique by counting on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlarmIds {
    pub(crate) last: u64,
}

impl AlarmIds {
    fn next(&mut self, at: Timestamp) -> AlarmId {
        let micros = u64::try_from(at.as_micros()).unwrap_or(0);
        self.last = micros.max(self.last.saturating_add(1));
        AlarmId(self.last)
    }
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) asset: AssetId,
    pub(crate) tag: Option<TagId>,
    pub(crate) kind: AlarmKind,
}

/// The place of one possible alarm: its timer, and the alarm while there is one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AlarmSlot {
    pub(crate) timer: Timer,
    pub(crate) alarm: Option<Alarm>,
    /// What the timer said in this step and nobody has acted on yet.
    #[serde(skip)]
    pub(crate) edge: Option<Edge>,
}

impl AlarmSlot {
    /// The condition has begun. What is still there from before returned unseen: first comes the end of that one.
    pub(crate) fn raise(
        &mut self,
        subject: Subject,
        at: Timestamp,
        severity: HealthState,
        explanation: Explanation,
        ids: &mut AlarmIds,
    ) -> (Option<Alert>, Alert) {
        let superseded = self.alarm.take().map(|earlier| Alert {
            at,
            transition: Transition::Updated,
            alarm: Alarm {
                state: AlarmState::Normal,
                returned_at: earlier.returned_at.or(Some(at)),
                ..earlier
            },
        });
        let alarm = Alarm {
            id: ids.next(at),
            asset: subject.asset,
            tag: subject.tag,
            kind: subject.kind,
            state: AlarmState::UnackedAlarm,
            priority: priority(subject.kind, severity),
            severity,
            raised_at: at,
            returned_at: None,
            acked_at: None,
            acked_by: None,
            explanation,
        };
        self.alarm = Some(alarm.clone());
        (superseded, Alert { at, transition: Transition::Raised, alarm })
    }

    /// The condition is over. `None` if there was no alarm.
    pub(crate) fn clear(&mut self, at: Timestamp) -> Option<Alert> {
        let mut alarm = self.alarm.take()?;
        alarm.returned_at = Some(at);
        alarm.state = match alarm.state {
            AlarmState::UnackedAlarm | AlarmState::RtnUnacked => AlarmState::RtnUnacked,
            AlarmState::AckedAlarm | AlarmState::Normal => AlarmState::Normal,
        };
        if alarm.state.is_active() {
            self.alarm = Some(alarm.clone());
        }
        Some(Alert { at, transition: Transition::Returned, alarm })
    }

    /// Somebody has seen it. `None` if it was seen before, or there is none.
    pub(crate) fn acknowledge(&mut self, at: Timestamp, actor: &str) -> Option<Alert> {
        let alarm = self.alarm.as_mut()?;
        let state = match alarm.state {
            AlarmState::UnackedAlarm => AlarmState::AckedAlarm,
            AlarmState::RtnUnacked => AlarmState::Normal,
            AlarmState::AckedAlarm | AlarmState::Normal => return None,
        };
        alarm.state = state;
        alarm.acked_at = Some(at);
        alarm.acked_by = Some(actor.to_owned());
        let alert = Alert { at, transition: Transition::Acknowledged, alarm: alarm.clone() };
        if !state.is_active() {
            self.alarm = None;
        }
        Some(alert)
    }

    /// The asset has become worse or better while the condition holds.
    pub(crate) fn update(
        &mut self,
        at: Timestamp,
        severity: HealthState,
        explanation: Option<Explanation>,
    ) -> Option<Alert> {
        let alarm = self.alarm.as_mut()?;
        if alarm.severity == severity || !self.timer.is_on() {
            return None;
        }
        alarm.severity = severity;
        alarm.priority = priority(alarm.kind, severity);
        if let Some(explanation) = explanation {
            alarm.explanation = explanation;
        }
        Some(Alert { at, transition: Transition::Updated, alarm: alarm.clone() })
    }
}

/// Gives an alarm the ids of another plant: `tag` says what a tag is called there, if it still exists.
pub(crate) fn renumber(alarm: &mut Alarm, asset: AssetId, tag: impl Fn(TagId) -> Option<TagId>) {
    alarm.asset = asset;
    alarm.tag = alarm.tag.and_then(&tag);
    let Explanation { condition, contributions, .. } = &mut alarm.explanation;
    condition.retain_mut(|operand| tag(operand.tag).map(|new| operand.tag = new).is_some());
    contributions.retain_mut(|part| tag(part.tag).map(|new| part.tag = new).is_some());
}

const fn priority(kind: AlarmKind, severity: HealthState) -> Priority {
    match (kind, severity) {
        (AlarmKind::FailureLimit, _) | (AlarmKind::MachineAnomaly, HealthState::Act) => {
            Priority::High
        }
        (AlarmKind::MachineAnomaly | AlarmKind::NoData, _) => Priority::Medium,
        (AlarmKind::SensorFault, _) => Priority::Low,
    }
}

#[cfg(test)]
mod tests {
    use bellwether_domain::ExplanationCode;
    use proptest::prelude::*;

    use super::*;

    const SUBJECT: Subject =
        Subject { asset: AssetId(0), tag: None, kind: AlarmKind::MachineAnomaly };

    fn explanation() -> Explanation {
        Explanation {
            code: ExplanationCode::UnlikeLearnt,
            sentence: String::new(),
            condition: Vec::new(),
            contributions: Vec::new(),
        }
    }

    #[test]
    fn a_condition_must_last_and_must_be_gone_for_a_while() {
        let mut timer = Timer::default();
        let edges: Vec<Option<Edge>> =
            [true, true, false, true, true, true, false, true, false, false, false]
                .into_iter()
                .zip(0..)
                .map(|(condition, clock)| timer.update(condition, clock, 2, 2))
                .collect();
        let expected: Vec<(usize, Edge)> = vec![(5, Edge::On), (10, Edge::Off)];
        let actual: Vec<(usize, Edge)> =
            edges.into_iter().enumerate().filter_map(|(i, edge)| Some((i, edge?))).collect();
        assert_eq!(actual, expected);
    }

    #[test]
    fn ids_rise_even_when_time_does_not() {
        let mut ids = AlarmIds::default();
        let at = Timestamp::from_micros(5);
        assert_eq!(
            [ids.next(at), ids.next(at), ids.next(Timestamp::from_micros(-9))].map(|id| id.0),
            [5, 6, 7]
        );
    }

    #[test]
    fn every_occurrence_is_an_alarm_of_its_own() {
        let (mut slot, mut ids) = (AlarmSlot::default(), AlarmIds::default());
        let at = Timestamp::from_secs;
        let mut raise = |slot: &mut AlarmSlot, second| {
            slot.raise(SUBJECT, at(second), HealthState::Plan, explanation(), &mut ids)
        };
        let (nothing, first) = raise(&mut slot, 1);
        assert_eq!(nothing, None);
        assert_eq!(slot.clear(at(2)).unwrap().alarm.state, AlarmState::RtnUnacked);
        let (superseded, second) = raise(&mut slot, 3);
        let superseded = superseded.expect("the first one ends unseen").alarm;
        assert_eq!((superseded.id, superseded.state), (first.alarm.id, AlarmState::Normal));
        assert_eq!(superseded.returned_at, Some(at(2)));
        assert!(second.alarm.id > first.alarm.id);
        assert_eq!(second.alarm.raised_at, at(3));
        slot.acknowledge(at(4), "ann").unwrap();
        assert_eq!(slot.clear(at(5)).unwrap().alarm.state, AlarmState::Normal);
        assert_eq!(raise(&mut slot, 6).0, None, "seen and returned: it was over");
    }

    proptest! {
        #[test]
        fn from_every_state_there_is_a_way_back_to_normal(steps in prop::collection::vec(0..3_u8, 0..30)) {
            let (mut slot, mut ids) = (AlarmSlot::default(), AlarmIds::default());
            let at = Timestamp::from_secs(1);
            for step in steps {
                match step {
                    0 => { slot.raise(SUBJECT, at, HealthState::Plan, explanation(), &mut ids); }
                    1 => { slot.clear(at); }
                    _ => { slot.acknowledge(at, "ann"); }
                }
                prop_assert!(slot.alarm.as_ref().is_none_or(|alarm| alarm.state.is_active()));
            }
            slot.acknowledge(at, "ann");
            slot.clear(at);
            prop_assert!(slot.alarm.is_none());
        }
    }
}
