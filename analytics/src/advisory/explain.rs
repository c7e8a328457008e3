//! AG, sentences: one plain English sentence that says what is wrong, with the numbers a maintenance engineer asks for.

use bellwether_domain::{
    Contribution, Explanation, ExplanationCode, Limit, Operand, Plant, Reason, TagId, Timestamp,
};

/// Deviations of a smoothed value below this many standard deviations are ordinary by themselves: smoothing takes two
/// thirds of the scatter away.
const ORDINARY_DEVIATION: f64 = 0.8;
const MOST_CONTRIBUTIONS: usize = 3;

/// A number with three significant digits: `4.2`, `1450`, `0.0312`.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() || value.abs() < 1e-12 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..6.0).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 6")]
    let decimals = (2.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A standard deviation with one significant digit, two when it begins with 1.
fn spread(value: f64) -> String {
    if !(value.is_finite() && value > 0.0) {
        return "0".to_owned();
    }
    let leading = value / 10_f64.powf(value.log10().floor());
    let unit = 10_f64.powf(value.log10().floor() - if leading < 2.0 { 1.0 } else { 0.0 });
    number((value / unit).round() * unit)
}

/// A number with the unit of its tag, as people write it.
pub(crate) fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "" | "1" => number(value),
        "Cel" => format!("{} °C", number(value)),
        "[degF]" => format!("{} °F", number(value)),
        _ => format!("{} {unit}", number(value)),
    }
}

/// Time of day, `08:12 UTC`: a sentence travels, and nobody knows through which time zones.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..16).map_or_else(|| text.clone(), |time| format!("{time} UTC"))
}

fn asset_name(plant: &Plant, tag: TagId) -> &str {
    plant.asset(plant.tag(tag).asset).name()
}

/// ` at load 80 % and speed 1450 rpm`; empty without drivers.
fn condition_words(plant: &Plant, condition: &[Operand]) -> String {
    let words: Vec<String> = condition
        .iter()
        .map(|operand| {
            let tag = plant.tag(operand.tag);
            format!("{} {}", tag.signal(), quantity(operand.value, &tag.unit))
        })
        .collect();
    if words.is_empty() { String::new() } else { format!(" at {}", words.join(" and ")) }
}

/// The machine is unlike what was learnt. `contributions`: all judged tags, largest share first.
pub(crate) fn unlike_learnt(
    plant: &Plant,
    asset: &str,
    contributions: &[Contribution],
    condition: Vec<Operand>,
) -> Explanation {
    let top: Vec<Contribution> = contributions
        .iter()
        .copied()
        .filter(|contribution| contribution.share >= 0.01)
        .take(MOST_CONTRIBUTIONS)
        .collect();
    let shares: Vec<String> = top
        .iter()
        .map(|part| {
            format!("{} {:.0} %", plant.tag(part.tag).signal(), (100.0 * part.share).round())
        })
        .collect();
    let at = condition_words(plant, &condition);
    let sentence = match top.first() {
        None => format!("{asset} behaves unlike what was learnt{at}"),
        Some(first) => {
            let tag = plant.tag(first.tag);
            let deviation = (first.actual - first.expected).abs();
            let apart = if deviation < ORDINARY_DEVIATION * first.expected_std_dev {
                format!("signals of {asset} do not go together as learnt{at}: ")
            } else {
                String::new()
            };
            let place = if apart.is_empty() { format!(" of {asset}") } else { String::new() };
            let when = if apart.is_empty() { at } else { String::new() };
            format!(
                "{apart}{}{place} is {}{when}, expected {} ± {}; largest contributions: {}",
                tag.signal(),
                quantity(first.actual, &tag.unit),
                number(first.expected),
                spread(first.expected_std_dev),
                shares.join(", ")
            )
        }
    };
    Explanation { code: ExplanationCode::UnlikeLearnt, sentence, condition, contributions: top }
}

/// A tag is beyond its failure limit.
pub(crate) fn beyond_limit(
    plant: &Plant,
    tag: TagId,
    value: f64,
    limit: Limit,
    condition: Vec<Operand>,
) -> Explanation {
    let about = plant.tag(tag);
    let (side, level) = match limit {
        Limit::Above(level) => ("above", level),
        Limit::Below(level) => ("below", level),
    };
    let sentence = format!(
        "{} of {} is {}, {side} its failure limit of {}",
        about.signal(),
        asset_name(plant, tag),
        quantity(value, &about.unit),
        quantity(level, &about.unit)
    );
    Explanation {
        code: ExplanationCode::BeyondLimit,
        sentence,
        condition,
        contributions: Vec::new(),
    }
}

/// A sensor is not to be believed.
pub(crate) fn sensor_not_believed(
    plant: &Plant,
    tag: TagId,
    value: f64,
    since: Timestamp,
    why: Reason,
) -> Explanation {
    let about = plant.tag(tag);
    let (signal, asset) = (about.signal(), asset_name(plant, tag));
    let since = time_of_day(since);
    let what = match why {
        Reason::Stuck => {
            format!(
                "{signal} of {asset} is stuck at {} since {since}",
                quantity(value, &about.unit)
            )
        }
        Reason::Spike => format!("{signal} of {asset} shows spikes again and again since {since}"),
        other => format!(
            "{signal} of {asset} has given no usable value since {since} because {}",
            other.words()
        ),
    };
    let sentence =
        format!("{what}; the sensor is not believed and the machine is judged without it");
    Explanation {
        code: ExplanationCode::SensorNotBelieved,
        sentence,
        condition: Vec::new(),
        contributions: Vec::new(),
    }
}

/// Nothing arrives any more.
pub(crate) fn data_missing(asset: &str, since: Timestamp, why: Option<Reason>) -> Explanation {
    let why = why.map_or_else(String::new, |reason| format!(" because {}", reason.words()));
    Explanation {
        code: ExplanationCode::DataMissing,
        sentence: format!(
            "{asset} has given no data since {}{why}; nobody watches this machine",
            time_of_day(since)
        ),
        condition: Vec::new(),
        contributions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        for (value, expected) in [
            (4.2, "4.2"),
            (1_449.7, "1450"),
            (0.031_24, "0.0312"),
            (-12.345, "-12.3"),
            (0.0, "0"),
            (99.96, "100"),
            (2.5e9, "2.50e9"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    #[test]
    fn a_spread_is_given_as_coarsely_as_it_is_known() {
        for (value, expected) in [(0.312, "0.3"), (0.134, "0.13"), (27.0, "30"), (0.0, "0")] {
            assert_eq!(spread(value), expected, "{value}");
        }
    }

    #[test]
    fn units_are_written_as_people_do() {
        assert_eq!(quantity(63.2, "Cel"), "63.2 °C");
        assert_eq!(quantity(80.0, "%"), "80 %");
        assert_eq!(quantity(3.0, ""), "3");
    }
}
