//! [`Timestamp`]: the only type of time that travels. It is an argument, never a call: one file of the gateway reads
//! the clock.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// UTC microseconds since 1970-01-01, the resolution OPC UA `SourceTimestamp` values are kept at.
///
/// ```
/// use bellwether_domain::Timestamp;
/// let at: Timestamp = "2026-11-23T08:00:00.250Z".parse().unwrap();
/// assert_eq!(at.to_string(), "2026-11-23T08:00:00.250Z");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The text is no RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time: write it as RFC 3339, for example 2026-11-23T08:00:00Z")]
pub struct ParseTimestampError {
    text: String,
}

impl Timestamp {
    /// The time this many microseconds after 1970-01-01 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The time this many milliseconds after 1970-01-01 UTC.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The time this many seconds after 1970-01-01 UTC.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970-01-01 UTC.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970-01-01 UTC, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds from `earlier` to `self`; negative if `earlier` is later.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a span of 285 years is exact to the microsecond"
    )]
    pub const fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e6
    }

    /// The span from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(if micros > 0 { micros.unsigned_abs() } else { 0 })
    }

    /// `self` moved into the future, stopping at the end of time.
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// `self` moved into the past, stopping at the beginning of time.
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: what API, MQTT and logs show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            // Beyond the year 9999 there is no RFC 3339 form.
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|at| Self(at.as_microsecond()))
            .map_err(|_| ParseTimestampError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_in_utc_with_milliseconds_and_read_back() {
        let at = Timestamp::from_millis(1_795_420_800_123);
        assert_eq!(at.to_string().parse(), Ok(at));
        assert!(at.to_string().ends_with(".123Z"), "{at}");
    }

    #[test]
    fn a_wrong_time_says_how_to_write_it() {
        let error = "yesterday".parse::<Timestamp>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`yesterday` is not a time: write it as RFC 3339, for example 2026-11-23T08:00:00Z"
        );
    }

    #[test]
    fn spans_never_go_below_zero() {
        let early = Timestamp::from_secs(10);
        let late = Timestamp::from_secs(12);
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
        assert!((early.seconds_since(late) + 2.0).abs() < 1e-12);
        assert_eq!(early.saturating_add(Duration::from_secs(2)), late);
        assert_eq!(late.saturating_sub(Duration::from_secs(2)), early);
    }
}
