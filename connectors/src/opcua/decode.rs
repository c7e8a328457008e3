//! From an OPC UA `DataValue` to a reading or a waveform: status code → quality (Part 4, 7.39; Part 8, 6.3), value → number,
//! and which of the times to believe. Faces foreign bytes: total, no indexing.
#![warn(clippy::indexing_slicing)]

use std::time::Duration;

use bellwether_domain::{Quality, Reading, Reason, Timestamp, Waveform};
use opcua::types::{DataValue, DateTime, StatusCode, Variant, status_code::SubStatusCode as Code};

use super::SourceTag;

/// `InfoType` is `DataValue` and the overflow bit is set: the server's queue has dropped values.
const OVERFLOW: u32 = 0x0480;
const OVERFLOW_MASK: u32 = 0x0c80;

/// What a data value turns into.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decoded {
    Reading(Reading),
    Waveform(Waveform),
}

/// Whether values before this one were lost in the server.
pub(super) fn has_overflowed(value: &DataValue) -> bool {
    value.status.is_some_and(|status| status.bits() & OVERFLOW_MASK == OVERFLOW)
}

/// The reading or waveform of this tag.
pub(super) fn decode(
    tag: &SourceTag,
    value: DataValue,
    now: Timestamp,
    skew_limit: Duration,
) -> Decoded {
    let at = time(&value, now, skew_limit);
    // No status is a good one (Part 4, 7.11).
    let quality = quality(value.status.unwrap_or(StatusCode::Good));
    let bad = |reason| Decoded::Reading(Reading::bad(tag.id, at, reason));
    if let Quality::Bad(reason) = quality {
        return bad(reason);
    }
    let value = value.value.unwrap_or_default();
    let decoded = match tag.sample_rate_hz {
        Some(rate) => waveform(tag, at, rate, value).map(Decoded::Waveform),
        None => number(&value).map(|number| {
            let reading = Reading::new(tag.id, at, number);
            Decoded::Reading(Reading { quality: reading.quality.worst(quality), ..reading })
        }),
    };
    decoded.unwrap_or_else(bad)
}

/// Source time, else server time, else now: the first that is within the limit of now. A value that has not changed for
/// hours comes with an old source time when a subscription begins; the server vouches for it as of its own time.
fn time(value: &DataValue, now: Timestamp, skew_limit: Duration) -> Timestamp {
    let believed = |time: Option<DateTime>| {
        let at = Timestamp::from_micros(time?.as_chrono().timestamp_micros());
        (at.since(now).max(now.since(at)) <= skew_limit).then_some(at)
    };
    believed(value.source_timestamp).or_else(|| believed(value.server_timestamp)).unwrap_or(now)
}

/// The severity is in the top two bits, and only there; the rest says why.
pub(super) fn quality(status: StatusCode) -> Quality {
    let reason = reason(status);
    match status.bits() >> 30 {
        0 => Quality::Good,
        1 => Quality::Uncertain(reason),
        _ => Quality::Bad(reason),
    }
}

fn reason(status: StatusCode) -> Reason {
    match status.sub_code() {
        Code::BadNodeIdUnknown
        | Code::BadNodeIdInvalid
        | Code::BadAttributeIdInvalid
        | Code::BadIndexRangeInvalid
        | Code::BadIndexRangeNoData
        | Code::BadConfigurationError
        | Code::BadNotReadable
        | Code::BadNotSupported
        | Code::BadUserAccessDenied => Reason::Configuration,
        Code::BadNotConnected
        | Code::BadCommunicationError
        | Code::BadNoCommunication
        | Code::BadServerNotConnected
        | Code::BadConnectionClosed
        | Code::UncertainNoCommunicationLastUsableValue => Reason::NotConnected,
        Code::BadSensorFailure | Code::UncertainSensorNotAccurate => Reason::SensorFailure,
        Code::BadTimeout => Reason::Timeout,
        Code::BadWaitingForInitialData | Code::BadResourceUnavailable => Reason::DeviceBusy,
        Code::BadOutOfRange | Code::UncertainEngineeringUnitsExceeded => Reason::OutOfRange,
        Code::UncertainLastUsableValue => Reason::Stale,
        _ if status.is_bad() => Reason::DeviceFailure,
        _ => Reason::Unspecified,
    }
}

/// A scalar number.
fn number(value: &Variant) -> Result<f64, Reason> {
    Ok(match value {
        Variant::Boolean(value) => f64::from(u8::from(*value)),
        Variant::SByte(value) => f64::from(*value),
        Variant::Byte(value) => f64::from(*value),
        Variant::Int16(value) => f64::from(*value),
        Variant::UInt16(value) => f64::from(*value),
        Variant::Int32(value) => f64::from(*value),
        Variant::UInt32(value) => f64::from(*value),
        // Exact up to 2^53.
        Variant::Int64(value) => *value as f64,
        Variant::UInt64(value) => *value as f64,
        Variant::Float(value) => f64::from(*value),
        Variant::Double(value) => *value,
        // Good, but nothing there: the device has not delivered.
        Variant::Empty => return Err(Reason::DeviceFailure),
        // Text, arrays and structures are no measurements.
        _ => return Err(Reason::Configuration),
    })
}

/// A one-dimensional array of numbers, all finite.
fn waveform(
    tag: &SourceTag,
    at: Timestamp,
    sample_rate_hz: f64,
    value: Variant,
) -> Result<Waveform, Reason> {
    let array = match value {
        Variant::Array(array) => array,
        Variant::Empty => return Err(Reason::DeviceFailure),
        _ => return Err(Reason::Configuration),
    };
    if array.values.is_empty() {
        return Err(Reason::DeviceFailure);
    }
    let samples = array.values.iter().map(sample).collect::<Result<_, _>>()?;
    Ok(Waveform { tag: tag.id, at, sample_rate_hz, samples })
}

#[expect(clippy::cast_possible_truncation, reason = "24 bits are more than any converter delivers")]
fn sample(value: &Variant) -> Result<f32, Reason> {
    let sample = number(value)? as f32;
    if sample.is_finite() { Ok(sample) } else { Err(Reason::SensorFailure) }
}

#[cfg(test)]
mod tests {
    use bellwether_domain::TagId;
    use opcua::types::{Array, VariantScalarTypeId};

    use super::*;
    use crate::opcua::{Deadband, NodeAddress, Place};

    const LIMIT: Duration = Duration::from_secs(300);

    fn now() -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }

    /// The time so many seconds after `now`.
    fn time_at(offset_s: i64) -> Option<DateTime> {
        // OPC UA counts 100 ns from 1601.
        Some(DateTime::from((1_800_000_000 + offset_s + 11_644_473_600) * 10_000_000))
    }

    fn tag(sample_rate_hz: Option<f64>) -> SourceTag {
        let node = NodeAddress::parse("i=1").expect("a good address");
        SourceTag {
            id: TagId(4),
            name: "p.flow".to_owned(),
            place: Place::Node(node),
            deadband: Deadband::None,
            range: None,
            sample_rate_hz,
        }
    }

    fn value(value: impl Into<Variant>) -> DataValue {
        DataValue { value: Some(value.into()), source_timestamp: time_at(-1), ..DataValue::null() }
    }

    #[track_caller]
    fn check(value: DataValue, expected: f64, quality: Quality) {
        let decoded = decode(&tag(None), value, now(), LIMIT);
        let reading = Reading {
            tag: TagId(4),
            at: Timestamp::from_secs(1_799_999_999),
            value: expected,
            quality,
        };
        assert_eq!(decoded, Decoded::Reading(reading));
    }

    #[test]
    fn every_numeric_scalar_is_a_number() {
        for (variant, expected) in [
            (Variant::Boolean(true), 1.0),
            (Variant::SByte(-3), -3.0),
            (Variant::Byte(200), 200.0),
            (Variant::Int16(-300), -300.0),
            (Variant::UInt16(60_000), 60_000.0),
            (Variant::Int32(-70_000), -70_000.0),
            (Variant::UInt32(4_000_000_000), 4e9),
            (Variant::Int64(-5), -5.0),
            (Variant::UInt64(5), 5.0),
            (Variant::Float(0.5), 0.5),
            (Variant::Double(12.25), 12.25),
        ] {
            check(value(variant), expected, Quality::Good);
        }
    }

    #[test]
    fn what_is_no_number_is_bad() {
        check(value("on"), 0.0, Quality::Bad(Reason::Configuration));
        check(value(Variant::Empty), 0.0, Quality::Bad(Reason::DeviceFailure));
        check(value(vec![1.0, 2.0]), 0.0, Quality::Bad(Reason::Configuration));
        check(value(f64::NAN), 0.0, Quality::Bad(Reason::SensorFailure));
        check(value(f32::INFINITY), 0.0, Quality::Bad(Reason::SensorFailure));
    }

    #[test]
    fn the_top_two_bits_of_the_status_are_the_quality() {
        for (status, expected) in [
            (None, Quality::Good),
            (Some(StatusCode::Good), Quality::Good),
            (Some(StatusCode::GoodClamped), Quality::Good),
            (Some(StatusCode::UncertainLastUsableValue), Quality::Uncertain(Reason::Stale)),
            (Some(StatusCode::UncertainSubNormal), Quality::Uncertain(Reason::Unspecified)),
        ] {
            check(DataValue { status, ..value(7.0) }, 7.0, expected);
        }
        for (status, expected) in [
            (StatusCode::BadSensorFailure, Reason::SensorFailure),
            (StatusCode::BadNodeIdUnknown, Reason::Configuration),
            (StatusCode::BadNoCommunication, Reason::NotConnected),
            (StatusCode::BadOutOfService, Reason::DeviceFailure),
            // Both bits set is reserved, and bad; so is a code nobody knows.
            (StatusCode::from(0xc000_0000), Reason::DeviceFailure),
            (StatusCode::from(0x8fff_0000), Reason::DeviceFailure),
        ] {
            let value = DataValue { status: Some(status), ..value(7.0) };
            check(value, 0.0, Quality::Bad(expected));
        }
    }

    #[test]
    fn a_value_is_never_better_than_its_status_nor_than_itself() {
        let status = Some(StatusCode::UncertainSubNormal);
        check(DataValue { status, ..value(f64::NAN) }, 0.0, Quality::Bad(Reason::SensorFailure));
    }

    #[test]
    fn the_overflow_bit_counts_only_on_data_values() {
        let overflowed = |bits: u32| {
            has_overflowed(&DataValue { status: Some(StatusCode::from(bits)), ..value(1.0) })
        };
        assert!(overflowed(0x0000_0480));
        assert!(overflowed(0x4000_0480));
        assert!(!overflowed(0x0000_0080));
        assert!(!overflowed(0x0000_0400));
        assert!(!has_overflowed(&value(1.0)));
    }

    #[test]
    fn the_source_time_is_believed_before_the_server_time_before_now() {
        let at = |source: Option<DateTime>, server: Option<DateTime>| {
            let value =
                DataValue { source_timestamp: source, server_timestamp: server, ..value(1.0) };
            match decode(&tag(None), value, now(), LIMIT) {
                Decoded::Reading(reading) => reading.at.as_micros() / 1_000_000 - 1_800_000_000,
                Decoded::Waveform(_) => panic!("a scalar is no waveform"),
            }
        };
        let unset = Some(DateTime::null());
        let unix_epoch = Some(DateTime::from(11_644_473_600 * 10_000_000));
        assert_eq!(at(time_at(-2), time_at(-1)), -2);
        assert_eq!(at(None, time_at(-1)), -1);
        assert_eq!(at(unset, time_at(-1)), -1);
        assert_eq!(at(unix_epoch, None), 0);
        assert_eq!(at(None, None), 0);
        assert_eq!(at(time_at(-300), None), -300);
        assert_eq!(at(time_at(-301), None), 0, "a value unchanged for long is as of now");
        assert_eq!(at(time_at(301), time_at(-1)), -1, "a clock that is ahead is not believed");
    }

    #[test]
    fn a_waveform_is_an_array_of_finite_numbers() {
        let decoded = |variant: Variant| decode(&tag(Some(12_800.0)), value(variant), now(), LIMIT);
        let Decoded::Waveform(waveform) = decoded(vec![0.5_f32, -1.5].into()) else {
            panic!("an array on a waveform tag is a waveform");
        };
        assert_eq!(waveform.samples, [0.5, -1.5]);
        assert_eq!(waveform.at, Timestamp::from_secs(1_799_999_999));
        let reason = |variant| match decoded(variant) {
            Decoded::Reading(reading) => reading.quality.reason(),
            Decoded::Waveform(_) => None,
        };
        let empty =
            Array { value_type: VariantScalarTypeId::Float, values: Vec::new(), dimensions: None };
        assert_eq!(reason(Variant::Array(Box::new(empty))), Some(Reason::DeviceFailure));
        assert_eq!(reason(vec![1.0, f64::NAN].into()), Some(Reason::SensorFailure));
        assert_eq!(reason(vec![1e300].into()), Some(Reason::SensorFailure));
        assert_eq!(reason(Variant::Double(1.0)), Some(Reason::Configuration));
        assert_eq!(reason(vec!["a".to_owned()].into()), Some(Reason::Configuration));
    }
}
