//! Parameters of addresses: parsed by hand where serde's message would not tell a person what to write.

use std::time::Duration;

use bellwether_domain::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;

/// Most points of one answer: twice the pixels of a wide screen.
const MAX_POINTS: usize = 4_000;
const DEFAULT_POINTS: usize = 600;

/// A stretch of plant time.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// Beginning: RFC 3339, or milliseconds since 1970.
    from: Option<String>,
    /// End, now if left out: RFC 3339, or milliseconds since 1970.
    to: Option<String>,
    /// About how many points are wanted, 1 to 4000; 600 if left out.
    points: Option<String>,
}

/// A checked [`Window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) points: usize,
}

impl Window {
    /// A stretch without points.
    pub(crate) const fn new(from: Option<String>, to: Option<String>) -> Self {
        Self { from, to, points: None }
    }

    /// Fills in what is left out: up to `now`, for `length`.
    ///
    /// # Errors
    /// 400 naming the parameter.
    pub(crate) fn span(&self, now: Timestamp, length: Duration) -> Result<Span, Problem> {
        let to = self.to.as_deref().map_or(Ok(now), |text| time("to", text))?;
        let from = self
            .from
            .as_deref()
            .map_or(Ok(to.saturating_sub(length)), |text| time("from", text))?;
        if from >= to {
            return Err(Problem::parameter("from", &format!("must be before `to`, which is {to}")));
        }
        let points = match self.points.as_deref() {
            None => DEFAULT_POINTS,
            Some(text) => count("points", text, MAX_POINTS)?,
        };
        Ok(Span { from, to, points })
    }
}

fn time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    if let Ok(millis) = text.parse() {
        return Ok(Timestamp::from_millis(millis));
    }
    // A `+` of an offset reaches us as a blank if the client has not escaped it.
    text.replace(' ', "+").parse().map_err(|_| {
        let right = format!(
            "must be RFC 3339, for example 2026-11-23T08:00:00Z, or milliseconds since 1970, not `{text}`"
        );
        Problem::parameter(name, &right)
    })
}

/// A whole number from 1 to `most`.
///
/// # Errors
/// 400 naming the parameter.
pub(crate) fn count(name: &str, text: &str, most: usize) -> Result<usize, Problem> {
    text.parse().ok().filter(|count| (1..=most).contains(count)).ok_or_else(|| {
        let right = format!("must be a whole number from 1 to {most}, not `{text}`");
        Problem::parameter(name, &right)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(10_000);

    fn window(from: Option<&str>, to: Option<&str>, points: Option<&str>) -> Result<Span, String> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Window { from: own(from), to: own(to), points: own(points) }
            .span(NOW, Duration::from_secs(3_600))
            .map_err(|problem| {
                serde_json::to_value(problem).unwrap()["detail"].as_str().unwrap().to_owned()
            })
    }

    #[test]
    fn what_is_left_out_means_the_latest() {
        let span = window(None, None, None).unwrap();
        assert_eq!((span.from, span.to), (Timestamp::from_secs(6_400), NOW));
        let span = window(Some("1970-01-01T01:00:00Z"), Some("4000000"), Some("10")).unwrap();
        assert_eq!(
            (span.from, span.to),
            (Timestamp::from_secs(3_600), Timestamp::from_secs(4_000))
        );
        assert_eq!(span.points, 10);
        let span = window(Some("1970-01-01T02:00:00 01:00"), None, None).unwrap();
        assert_eq!(span.from, Timestamp::from_secs(3_600));
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        #[track_caller]
        fn check(got: Result<Span, String>, start: &str) {
            let text = got.unwrap_err();
            assert!(text.starts_with(start), "{text}");
        }
        check(window(Some("yesterday"), None, None), "`from` must be RFC 3339");
        check(window(None, Some(""), None), "`to` must be RFC 3339");
        check(window(Some("10000000"), None, None), "`from` must be before `to`");
        check(window(None, None, Some("0")), "`points` must be a whole number from 1 to 4000");
        check(window(None, None, Some("4001")), "`points`");
        check(window(None, None, Some("many")), "`points`");
    }
}
