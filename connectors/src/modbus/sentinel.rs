//! Raw values by which a device says that it has no value: `0x8000` of an open thermocouple, `-9999` of a dead probe.
//! They are compared with the registers before `scale` and `offset`.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::ValueType;

/// One element of `sentinels`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sentinel {
    /// A whole number.
    Whole(i64),
    /// Any other number; for floats.
    Number(f64),
}

impl Sentinel {
    /// Its bits in a value of this type.
    ///
    /// # Errors
    /// If no value of this type can be so, in words that say what would be right.
    pub(super) fn bits(self, value_type: ValueType) -> Result<u64, String> {
        let type_name = value_type.as_str();
        let width = match value_type {
            ValueType::U16 | ValueType::I16 => 16,
            ValueType::U32 | ValueType::I32 => 32,
            ValueType::U64 | ValueType::I64 => 64,
            ValueType::F32 | ValueType::F64 => return Ok(self.float_bits(value_type)),
            ValueType::Bcd16 => return self.decimal_bits(4),
            ValueType::Bcd32 => return self.decimal_bits(8),
            ValueType::Bool | ValueType::Bit | ValueType::String => {
                return Err(format!(
                    "`sentinels` mean nothing for type {type_name}: remove them, or read a number"
                ));
            }
        };
        let Self::Whole(number) = self else {
            return Err(format!(
                "`sentinels` has {self}: type {type_name} holds whole numbers only"
            ));
        };
        // 65535 and -1 are the same register; manuals write both.
        let is_held = width == 64 || (-(1 << (width - 1))..1 << width).contains(&number);
        if !is_held {
            return Err(format!(
                "`sentinels` has {number}, which {width} bits cannot hold: write what the registers hold before \
                 `scale`"
            ));
        }
        Ok(number.cast_unsigned() & (u64::MAX >> (64 - width)))
    }

    fn float_bits(self, value_type: ValueType) -> u64 {
        let number = match self {
            Self::Whole(number) => number as f64,
            Self::Number(number) => number,
        };
        if value_type == ValueType::F64 {
            return number.to_bits();
        }
        #[expect(clippy::cast_possible_truncation, reason = "the registers hold a single")]
        let single = number as f32;
        u64::from(single.to_bits())
    }

    fn decimal_bits(self, digits: u32) -> Result<u64, String> {
        let most = 10_u64.pow(digits) - 1;
        let number = match self {
            Self::Whole(number) => u64::try_from(number).ok().filter(|number| *number <= most),
            Self::Number(_) => None,
        };
        let number = number.ok_or_else(|| {
            format!(
                "`sentinels` has {self}: write a number of {digits} digits, 0 to {most}; a digit beyond 9 is no value \
                 anyway"
            )
        })?;
        Ok((0..digits)
            .fold(0, |bits, place| bits | ((number / 10_u64.pow(place)) % 10) << (4 * place)))
    }
}

impl fmt::Display for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl<'de> Deserialize<'de> for Sentinel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl de::Visitor<'_> for Written {
    type Value = Sentinel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number such as 65535, 0x8000 or -9999.0")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Sentinel, E> {
        Ok(Sentinel::Whole(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Sentinel, E> {
        i64::try_from(number).map(Sentinel::Whole).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Sentinel, E> {
        Ok(Sentinel::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::{Sentinel::*, *};

    #[track_caller]
    fn check(sentinel: Sentinel, value_type: ValueType, expected: u64) {
        assert_eq!(sentinel.bits(value_type), Ok(expected), "{sentinel:?} as {value_type:?}");
    }

    #[test]
    fn a_sentinel_is_found_in_the_registers_however_it_is_written() {
        check(Whole(65_535), ValueType::U16, 0xffff);
        check(Whole(-1), ValueType::U16, 0xffff);
        check(Whole(0x8000), ValueType::I16, 0x8000);
        check(Whole(-32_768), ValueType::I16, 0x8000);
        check(Whole(0x7fff_ffff), ValueType::I32, 0x7fff_ffff);
        check(Whole(-1), ValueType::U64, u64::MAX);
        check(Whole(i64::MIN), ValueType::I64, 1 << 63);
        check(Whole(-9_999), ValueType::F32, u64::from((-9_999_f32).to_bits()));
        check(Number(-9_999.5), ValueType::F32, u64::from((-9_999.5_f32).to_bits()));
        check(Number(1e300), ValueType::F64, 1e300_f64.to_bits());
        check(Whole(9_999), ValueType::Bcd16, 0x9999);
        check(Whole(12_345_678), ValueType::Bcd32, 0x1234_5678);
    }

    #[test]
    fn what_no_register_can_hold_is_refused() {
        let refused = |sentinel: Sentinel, value_type, expected: &str| {
            let problem = sentinel.bits(value_type).expect_err("impossible");
            assert!(problem.starts_with("`sentinels`") && problem.contains(expected), "{problem}");
        };
        refused(Whole(65_536), ValueType::U16, "16 bits cannot hold");
        refused(Whole(-32_769), ValueType::I16, "16 bits cannot hold");
        refused(Number(0.5), ValueType::U32, "whole numbers");
        refused(Whole(10_000), ValueType::Bcd16, "0 to 9999");
        refused(Whole(1), ValueType::Bit, "mean nothing for type bit");
        refused(Whole(1), ValueType::String, "mean nothing for type string");
    }
}
