//! What one asset says about itself at one moment, and why, in one sentence.

use bellwether_domain::{
    AnomalyStatus, AssetStatus, Contribution, HealthState, Operand, Operation, Plant, Prognosis,
    Refusal, Score, TagStatus, Timestamp,
};

use super::{AssetState, Judgement, Layout, Model};
use crate::{
    advisory::explain::{self, quantity},
    config::AnalyticsConfig,
    prognosis::degradation::earliest,
};

impl AssetState {
    /// The asset now.
    pub(crate) fn status(
        &self,
        layout: &Layout,
        plant: &Plant,
        config: &AnalyticsConfig,
    ) -> AssetStatus {
        let left_out = match &self.model {
            Model::Learning(_) => Vec::new(),
            Model::Ready(baseline) => {
                baseline.left_out().map(|signal| layout.tags[layout.signals[signal]]).collect()
            }
        };
        AssetStatus {
            asset: layout.asset,
            state: self.assessor.state,
            since: self.assessor.since,
            reason: self.reason(layout, plant, config),
            health: self.assessor.index,
            operation: self.operation.operation,
            learning_ratio: self.learning_ratio(config),
            anomaly: AnomalyStatus {
                score: self.score(),
                condition: self.operands(layout),
                contributions: self.contributions(layout),
                left_out,
            },
            prognosis: self.prognosis(layout),
            maintained_at: self.maintained_at,
        }
    }

    /// One of its tags now.
    pub(crate) fn tag_status(
        &self,
        layout: &Layout,
        plant: &Plant,
        local: usize,
        now: Timestamp,
    ) -> TagStatus {
        let channel = &self.channels[local];
        let score = layout.signal_of[local].map_or(Score::ORDINARY, |signal| {
            self.novelty[signal].standing_score(self.tag_scores[signal])
        });
        TagStatus {
            tag: layout.tags[local],
            value: channel.value,
            at: channel.good_at,
            quality: channel.quality_at(plant.tag(layout.tags[local]), now),
            score,
        }
    }

    /// Its active alarms.
    pub(crate) fn alarms(&self) -> impl Iterator<Item = &bellwether_domain::Alarm> {
        self.slots.iter().filter_map(|slot| slot.alarm.as_ref())
    }

    /// The forecast: the tag that fails first, or why there is none.
    pub(super) fn prognosis(&self, layout: &Layout) -> Result<Prognosis, Refusal> {
        if matches!(self.model, Model::Learning(_)) {
            return Err(Refusal::Learning);
        }
        let forecasts =
            self.degradations.iter().zip(&layout.signals).filter_map(|(known, &local)| {
                known.as_ref().map(|degradation| degradation.prognosis(layout.tags[local]))
            });
        match earliest(forecasts) {
            Err(Refusal::TooFewPoints | Refusal::NoTrend)
                if self.operation.operation == Operation::Off =>
            {
                Err(Refusal::NotRunning)
            }
            other => other,
        }
    }

    pub(super) fn score(&self) -> Score {
        match &self.model {
            Model::Ready(baseline) if self.judgement == Judgement::Judged => {
                Score::from_ratio(baseline.ratio())
            }
            _ => Score::ORDINARY,
        }
    }

    /// The drivers' values in the newest frame.
    pub(super) fn operands(&self, layout: &Layout) -> Vec<Operand> {
        layout
            .drivers
            .iter()
            .map(|&local| (layout.tags[local], self.channels[local].framed))
            .filter(|(_, value)| !value.is_nan())
            .map(|(tag, value)| Operand { tag, value })
            .collect()
    }

    /// All judged tags, largest share first.
    pub(super) fn contributions(&self, layout: &Layout) -> Vec<Contribution> {
        let Model::Ready(baseline) = &self.model else { return Vec::new() };
        baseline
            .shares()
            .into_iter()
            .map(|(signal, share)| {
                let local = layout.signals[signal];
                let (expected, expected_std_dev) = baseline.expected(signal);
                let smooth = self.channels[local].smooth;
                let actual = if smooth.is_nan() { expected } else { smooth };
                Contribution { tag: layout.tags[local], share, actual, expected, expected_std_dev }
            })
            .collect()
    }

    fn learning_ratio(&self, config: &AnalyticsConfig) -> f64 {
        match &self.model {
            Model::Ready(_) => 1.0,
            Model::Learning(commissioning) => {
                (commissioning.count() as f64 / f64::from(config.learning_frames.max(1))).min(1.0)
            }
        }
    }

    fn reason(&self, layout: &Layout, plant: &Plant, config: &AnalyticsConfig) -> String {
        let spoken = match self.assessor.state {
            HealthState::Unknown => self.sentence_of(|slot| slot == Layout::NO_DATA),
            HealthState::Act => self
                .sentence_of(|slot| slot >= 2 && slot % 2 == 0)
                .or_else(|| self.life_words(layout, plant)),
            HealthState::Plan => self
                .sentence_of(|slot| slot == Layout::MACHINE)
                .or_else(|| self.life_words(layout, plant)),
            HealthState::Monitor => self
                .sentence_of(|slot| slot >= 2 && slot % 2 == 1)
                .or_else(|| self.unusual_words(layout, plant)),
            HealthState::Learning | HealthState::Acceptable => None,
        };
        spoken.unwrap_or_else(|| match self.assessor.state {
            HealthState::Unknown => "no data yet".to_owned(),
            HealthState::Learning => self.learning_words(layout, plant, config),
            HealthState::Acceptable => self.calm_words(layout, plant),
            HealthState::Monitor | HealthState::Plan | HealthState::Act => {
                format!("returning to normal; {}", self.calm_words(layout, plant))
            }
        })
    }

    /// The sentence of the first alarm whose condition holds.
    fn sentence_of(&self, chosen: impl Fn(usize) -> bool) -> Option<String> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(index, slot)| chosen(*index) && slot.timer.is_on())
            .find_map(|(_, slot)| slot.alarm.as_ref())
            .map(|alarm| alarm.explanation.sentence.clone())
    }

    fn life_words(&self, layout: &Layout, plant: &Plant) -> Option<String> {
        let prognosis = self.prognosis(layout).ok()?;
        let tag = plant.tag(prognosis.tag);
        let early = explain::number(prognosis.rul_p05_h);
        let span = if prognosis.rul_p95_h.is_finite() {
            format!("between {early} and {} h", explain::number(prognosis.rul_p95_h))
        } else {
            format!("at the earliest {early} h")
        };
        Some(format!(
            "{} of {} is expected to reach its failure limit of {} in {} h ({span})",
            tag.signal(),
            plant.asset(layout.asset).name(),
            quantity(prognosis.limit, &tag.unit),
            explain::number(prognosis.rul_p50_h)
        ))
    }

    fn unusual_words(&self, layout: &Layout, plant: &Plant) -> Option<String> {
        let unusual: Vec<String> = self
            .novelty
            .iter()
            .zip(&layout.signals)
            .filter(|(detector, _)| detector.is_unusual())
            .map(|(_, &local)| plant.tag(layout.tags[local]).signal())
            .collect();
        if !unusual.is_empty() {
            let verb = if unusual.len() == 1 { "has" } else { "have" };
            let name = plant.asset(layout.asset).name();
            let all = unusual.join(" and ");
            return Some(format!("{all} of {name} {verb} left the range seen so far"));
        }
        let shares = self.contributions(layout);
        let first = shares.first().filter(|part| part.share > 0.0)?;
        Some(format!(
            "{} is close to the limit of what was learnt, mostly its {}",
            plant.asset(layout.asset).name(),
            plant.tag(first.tag).signal()
        ))
    }

    fn learning_words(&self, layout: &Layout, plant: &Plant, config: &AnalyticsConfig) -> String {
        let Model::Learning(commissioning) = &self.model else { return "learning".to_owned() };
        let progress =
            format!("learning: {} of {} rows", commissioning.count(), config.learning_frames);
        match self.judgement {
            Judgement::Judged => progress,
            _ => format!("{progress}; {}", self.halted_words(layout, plant)),
        }
    }

    fn calm_words(&self, layout: &Layout, plant: &Plant) -> String {
        let Model::Ready(baseline) = &self.model else { return self.halted_words(layout, plant) };
        if self.judgement != Judgement::Judged {
            return self.halted_words(layout, plant);
        }
        let agreeing =
            baseline.joint().iter().filter(|&&signal| !baseline.z[signal].is_nan()).count();
        match agreeing {
            0 => "no signal of it can be judged".to_owned(),
            1 => "nothing unusual; 1 signal agrees with what was learnt".to_owned(),
            _ => format!("nothing unusual; {agreeing} signals agree with what was learnt"),
        }
    }

    fn halted_words(&self, layout: &Layout, plant: &Plant) -> String {
        let since = explain::time_of_day(self.operation_since);
        match (self.operation.operation, self.judgement) {
            (Operation::Off, _) => format!("off since {since}"),
            (Operation::Unknown, _) => "whether it runs is unknown".to_owned(),
            (Operation::Transient, _) => {
                format!("starting or changing load since {since}: not judged")
            }
            (Operation::Steady, Judgement::ConditionUnknown) => {
                "the operating condition is unknown: not judged".to_owned()
            }
            (Operation::Steady, Judgement::ConditionUnseen) => {
                let words: Vec<String> = self
                    .operands(layout)
                    .iter()
                    .map(|operand| {
                        let tag = plant.tag(operand.tag);
                        format!("{} {}", tag.signal(), quantity(operand.value, &tag.unit))
                    })
                    .collect();
                format!("{} was not seen while learning: not judged", words.join(" and "))
            }
            (Operation::Steady, _) => "not judged yet".to_owned(),
        }
    }
}
