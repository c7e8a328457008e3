//! What the bits of registers mean. Faces foreign bytes: total, no indexing, no allocation.
#![warn(clippy::indexing_slicing)]

use bellwether_domain::{Reading, Timestamp};
use serde::Deserialize;

use super::SourceTag;

/// How a number is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// 16 bits, unsigned.
    #[default]
    U16,
    /// 16 bits, two's complement.
    I16,
    /// 32 bits, unsigned.
    U32,
    /// 32 bits, two's complement.
    I32,
    /// 64 bits, unsigned; exact up to 2^53.
    U64,
    /// 64 bits, two's complement; exact up to 2^53.
    I64,
    /// IEEE 754 single.
    F32,
    /// IEEE 754 double.
    F64,
    /// A coil, or a register that is not zero.
    Bool,
    /// One bit of a register.
    Bit,
}

impl ValueType {
    /// As it stands in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Bool => "bool",
            Self::Bit => "bit",
        }
    }
}

/// Order of the bytes of a number on the wire, A being the most significant; the same pattern holds for 16 and 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Order {
    /// Big-endian, as the standard has it.
    #[default]
    Abcd,
    /// Words reversed.
    Cdab,
    /// Bytes swapped within each word.
    Badc,
    /// Little-endian: words reversed and bytes swapped.
    Dcba,
}

/// How one value is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// Type.
    pub value_type: ValueType,
    /// Order of bytes.
    pub order: Order,
    /// Which bit, for [`ValueType::Bit`]; 0 is the lowest.
    pub bit: u8,
}

impl Encoding {
    /// How many addresses it takes.
    pub const fn count(self) -> u16 {
        match self.value_type {
            ValueType::U16 | ValueType::I16 | ValueType::Bool | ValueType::Bit => 1,
            ValueType::U32 | ValueType::I32 | ValueType::F32 => 2,
            ValueType::U64 | ValueType::I64 | ValueType::F64 => 4,
        }
    }

    /// The number in these registers; `None` if there are too few of them.
    pub fn registers(self, words: &[u16]) -> Option<f64> {
        let one = || bytes::<1>(words, self.order).map(|[[high, low]]| [high, low]);
        let two = || bytes::<2>(words, self.order).map(|[[a, b], [c, d]]| [a, b, c, d]);
        let four = || {
            bytes::<4>(words, self.order)
                .map(|[[a, b], [c, d], [e, f], [g, h]]| [a, b, c, d, e, f, g, h])
        };
        Some(match self.value_type {
            ValueType::U16 => f64::from(u16::from_be_bytes(one()?)),
            ValueType::I16 => f64::from(i16::from_be_bytes(one()?)),
            ValueType::U32 => f64::from(u32::from_be_bytes(two()?)),
            ValueType::I32 => f64::from(i32::from_be_bytes(two()?)),
            ValueType::U64 => u64::from_be_bytes(four()?) as f64,
            ValueType::I64 => i64::from_be_bytes(four()?) as f64,
            ValueType::F32 => f64::from(f32::from_be_bytes(two()?)),
            ValueType::F64 => f64::from_be_bytes(four()?),
            ValueType::Bool => f64::from(u8::from(u16::from_be_bytes(one()?) != 0)),
            ValueType::Bit => {
                let shifted = u16::from_be_bytes(one()?).checked_shr(u32::from(self.bit));
                f64::from(shifted.unwrap_or_default() & 1)
            }
        })
    }
}

/// The first `N` words as big-endian bytes, most significant word first.
fn bytes<const N: usize>(words: &[u16], order: Order) -> Option<[[u8; 2]; N]> {
    let mut words = *words.first_chunk::<N>()?;
    if matches!(order, Order::Cdab | Order::Dcba) {
        words.reverse();
    }
    let is_swapped = matches!(order, Order::Badc | Order::Dcba);
    Some(words.map(|word| if is_swapped { word.to_le_bytes() } else { word.to_be_bytes() }))
}

impl SourceTag {
    /// The reading for a raw number.
    pub(super) fn reading(&self, at: Timestamp, raw: f64) -> Reading {
        Reading::new(self.id, at, raw.mul_add(self.scale, self.offset))
    }
}

#[cfg(test)]
mod tests {
    use bellwether_domain::{Quality, Reason, TagId};
    use proptest::prelude::*;

    use super::*;
    use crate::modbus::{Span, Table};

    #[track_caller]
    fn check(words: &[u16], value_type: ValueType, order: Order, expected: f64) {
        let value = Encoding { value_type, order, bit: 0 }.registers(words);
        assert_eq!(value, Some(expected), "{words:04x?} as {value_type:?} {order:?}");
    }

    #[test]
    fn one_register() {
        use Order::*;
        use ValueType::*;
        check(&[0x0102], U16, Abcd, 258.0);
        check(&[0x0102], U16, Cdab, 258.0);
        check(&[0x0102], U16, Badc, 513.0);
        check(&[0x0102], U16, Dcba, 513.0);
        check(&[0xffff], U16, Abcd, 65_535.0);
        check(&[0xfffe], I16, Abcd, -2.0);
        check(&[0xfeff], I16, Badc, -2.0);
        check(&[0x8000], I16, Abcd, -32_768.0);
        check(&[0x0100], Bool, Abcd, 1.0);
        check(&[0x0000], Bool, Abcd, 0.0);
    }

    #[test]
    fn two_registers() {
        use Order::*;
        use ValueType::*;
        check(&[0x0102, 0x0304], U32, Abcd, f64::from(0x0102_0304_u32));
        check(&[0x0304, 0x0102], U32, Cdab, f64::from(0x0102_0304_u32));
        check(&[0x0201, 0x0403], U32, Badc, f64::from(0x0102_0304_u32));
        check(&[0x0403, 0x0201], U32, Dcba, f64::from(0x0102_0304_u32));
        check(&[0xffff, 0xfffe], I32, Abcd, -2.0);
        check(&[0xfffe, 0xffff], I32, Cdab, -2.0);
        check(&[0x4148, 0x0000], F32, Abcd, 12.5);
        check(&[0x0000, 0x4148], F32, Cdab, 12.5);
        check(&[0x4841, 0x0000], F32, Badc, 12.5);
        check(&[0x0000, 0x4841], F32, Dcba, 12.5);
    }

    #[test]
    fn four_registers() {
        use Order::*;
        use ValueType::*;
        let number = 0x0102_0304_0506_u64 as f64;
        check(&[0x0000, 0x0102, 0x0304, 0x0506], U64, Abcd, number);
        check(&[0x0506, 0x0304, 0x0102, 0x0000], U64, Cdab, number);
        check(&[0x0000, 0x0201, 0x0403, 0x0605], U64, Badc, number);
        check(&[0x0605, 0x0403, 0x0201, 0x0000], U64, Dcba, number);
        check(&[0xffff, 0xffff, 0xffff, 0xfffe], I64, Abcd, -2.0);
        check(&[0x4029, 0x0000, 0x0000, 0x0000], F64, Abcd, 12.5);
        check(&[0x0000, 0x0000, 0x0000, 0x4029], F64, Cdab, 12.5);
        check(&[0x2940, 0x0000, 0x0000, 0x0000], F64, Badc, 12.5);
        check(&[0x0000, 0x0000, 0x0000, 0x2940], F64, Dcba, 12.5);
    }

    #[test]
    fn single_bits_count_from_the_lowest() {
        let bit = |bit, word| {
            Encoding { value_type: ValueType::Bit, bit, ..Encoding::default() }.registers(&[word])
        };
        assert_eq!(bit(0, 0x0001), Some(1.0));
        assert_eq!(bit(15, 0x8000), Some(1.0));
        assert_eq!(bit(3, 0xfff7), Some(0.0));
        assert_eq!(bit(16, 0xffff), Some(0.0));
    }

    #[test]
    fn too_few_registers_are_no_number() {
        let encoding = Encoding { value_type: ValueType::F32, ..Encoding::default() };
        assert_eq!(encoding.registers(&[0x4148]), None);
        assert_eq!(encoding.registers(&[]), None);
    }

    #[test]
    fn what_is_not_finite_is_a_sensor_failure() {
        let tag = SourceTag {
            id: TagId(1),
            span: Span { unit: 1, table: Table::Holding, address: 0, count: 2 },
            encoding: Encoding { value_type: ValueType::F32, ..Encoding::default() },
            scale: 0.1,
            offset: -5.0,
        };
        let read = |words: &[u16]| {
            tag.reading(Timestamp::default(), tag.encoding.registers(words).expect("two words"))
        };
        assert!((read(&[0x4148, 0x0000]).value + 3.75).abs() < 1e-12);
        for words in [[0x7fc0, 0x0000], [0x7f80, 0x0000], [0xff80, 0x0000]] {
            assert_eq!(read(&words).quality, Quality::Bad(Reason::SensorFailure), "{words:04x?}");
        }
        // A denormal is a number.
        assert!(read(&[0x0000, 0x0001]).quality.is_good());
    }

    proptest! {
        #[test]
        fn every_order_gives_back_what_was_put_in(value: f64, number: u32) {
            for order in [Order::Abcd, Order::Cdab, Order::Badc, Order::Dcba] {
                let words = encode(&value.to_be_bytes(), order);
                let encoding = Encoding { value_type: ValueType::F64, order, bit: 0 };
                let decoded = encoding.registers(&words).map(f64::to_bits);
                prop_assert_eq!(decoded, Some(value.to_bits()));
                let words = encode(&number.to_be_bytes(), order);
                let encoding = Encoding { value_type: ValueType::U32, order, bit: 0 };
                prop_assert_eq!(encoding.registers(&words), Some(f64::from(number)));
            }
        }

        #[test]
        fn any_registers_decode_without_a_panic(words: Vec<u16>, bit: u8) {
            use ValueType::*;
            for value_type in [U16, I16, U32, I32, U64, I64, F32, F64, Bool, Bit] {
                let encoding = Encoding { value_type, order: Order::Dcba, bit };
                let enough = words.len() >= usize::from(encoding.count());
                prop_assert_eq!(encoding.registers(&words).is_some(), enough);
            }
        }
    }

    /// The other way round, written independently: permutes the bytes one by one.
    fn encode(big_endian: &[u8], order: Order) -> Vec<u16> {
        let mut bytes = big_endian.to_vec();
        if matches!(order, Order::Dcba | Order::Cdab) {
            bytes.reverse();
        }
        if matches!(order, Order::Badc | Order::Cdab) {
            bytes.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        }
        bytes.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
    }
}
