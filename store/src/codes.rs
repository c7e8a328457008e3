//! Numbers and words on disk, apart from the domain's types, so that those stay free to change.

use bellwether_domain::{Quality, Reason};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value},
};

const UNCERTAIN: i64 = 100;
const BAD: i64 = 200;

/// 0 is good, 100 + reason uncertain, 200 + reason bad: the larger, the worse.
pub(crate) const fn quality_code(quality: Quality) -> i64 {
    match quality {
        Quality::Good => 0,
        Quality::Uncertain(reason) => UNCERTAIN + reason_code(reason),
        Quality::Bad(reason) => BAD + reason_code(reason),
    }
}

/// The quality of a code; one that nobody knows (a newer version's, a damaged file's) is bad.
pub(crate) fn quality_of(code: i64) -> Quality {
    match code {
        0 => Quality::Good,
        100..200 => Quality::Uncertain(reason_of(code - UNCERTAIN)),
        _ => Quality::Bad(reason_of(code - BAD)),
    }
}

const fn reason_code(reason: Reason) -> i64 {
    match reason {
        Reason::Configuration => 1,
        Reason::DeviceFailure => 2,
        Reason::DeviceBusy => 3,
        Reason::NotConnected => 4,
        Reason::Timeout => 5,
        Reason::SensorFailure => 6,
        Reason::OutOfRange => 7,
        Reason::Stuck => 8,
        Reason::Spike => 9,
        Reason::Drifting => 10,
        Reason::Stale => 11,
        Reason::Unspecified => 12,
    }
}

const REASONS: [Reason; 12] = [
    Reason::Configuration,
    Reason::DeviceFailure,
    Reason::DeviceBusy,
    Reason::NotConnected,
    Reason::Timeout,
    Reason::SensorFailure,
    Reason::OutOfRange,
    Reason::Stuck,
    Reason::Spike,
    Reason::Drifting,
    Reason::Stale,
    Reason::Unspecified,
];

fn reason_of(code: i64) -> Reason {
    let known = REASONS.into_iter().find(|reason| reason_code(*reason) == code);
    known.unwrap_or(Reason::Unspecified)
}

/// A word of the domain (`unacked_alarm`) as its value; `None` if there is no such word.
pub(crate) fn word<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    let words: value::StrDeserializer<'de, value::Error> = text.into_deserializer();
    T::deserialize(words).ok()
}

#[cfg(test)]
mod tests {
    use bellwether_domain::{AlarmState, HealthState};

    use super::*;

    #[test]
    fn every_quality_survives_and_the_worse_one_is_the_larger_number() {
        let mut all = vec![Quality::Good];
        all.extend(REASONS.map(Quality::Uncertain));
        all.extend(REASONS.map(Quality::Bad));
        let codes: Vec<_> = all.iter().copied().map(quality_code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        for quality in all {
            assert_eq!(quality_of(quality_code(quality)), quality);
        }
    }

    #[test]
    fn an_unknown_code_is_bad() {
        for code in [-1, 99, 250, i64::MAX] {
            assert_eq!(quality_of(code), Quality::Bad(Reason::Unspecified), "{code}");
        }
    }

    #[test]
    fn words_are_those_that_as_str_writes() {
        for state in [AlarmState::Normal, AlarmState::UnackedAlarm, AlarmState::RtnUnacked] {
            assert_eq!(word(state.as_str()), Some(state));
        }
        assert_eq!(word(HealthState::Act.as_str()), Some(HealthState::Act));
        assert_eq!(word::<HealthState>("wonderful"), None);
    }
}
