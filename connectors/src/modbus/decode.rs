//! What the bits of registers mean. Faces foreign bytes: total, no indexing; numbers cost no allocation.
#![warn(clippy::indexing_slicing)]

use bellwether_domain::{Reading, Timestamp};
use serde::Deserialize;

use super::SourceTag;

/// How a value is coded.
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
    /// Four decimal digits, one in each half byte.
    Bcd16,
    /// Eight decimal digits, one in each half byte.
    Bcd32,
    /// A coil, or a register that is not zero.
    Bool,
    /// One bit of a register.
    Bit,
    /// Two characters in each register: a text, no number.
    String,
}

impl ValueType {
    /// All, in the order in which messages list them.
    pub const ALL: [Self; 13] = [
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::U64,
        Self::I64,
        Self::F32,
        Self::F64,
        Self::Bcd16,
        Self::Bcd32,
        Self::Bool,
        Self::Bit,
        Self::String,
    ];

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
            Self::Bcd16 => "bcd16",
            Self::Bcd32 => "bcd32",
            Self::Bool => "bool",
            Self::Bit => "bit",
            Self::String => "string",
        }
    }
}

/// Order of the bytes of a number on the wire, A being the most significant; the same pattern holds for 16 and 64 bits.
/// In a text, the orders that swap bytes do so within each register; its registers always follow one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Order {
    /// Big-endian, as the standard has it.
    #[default]
    #[serde(alias = "ABCDEFGH")]
    Abcd,
    /// Words reversed.
    #[serde(alias = "GHEFCDAB")]
    Cdab,
    /// Bytes swapped within each word.
    #[serde(alias = "BADCFEHG")]
    Badc,
    /// Little-endian: words reversed and bytes swapped.
    #[serde(alias = "HGFEDCBA")]
    Dcba,
}

impl Order {
    /// Whether the bytes of each word are swapped.
    const fn swaps_bytes(self) -> bool {
        matches!(self, Self::Badc | Self::Dcba)
    }
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
    /// How many addresses it takes; one for a text, whose length stands beside it.
    pub const fn count(self) -> u16 {
        use ValueType::{Bcd16, Bcd32, Bit, Bool, F32, F64, I16, I32, I64, String, U16, U32, U64};
        match self.value_type {
            U16 | I16 | Bcd16 | Bool | Bit | String => 1,
            U32 | I32 | F32 | Bcd32 => 2,
            U64 | I64 | F64 => 4,
        }
    }

    /// The number in these registers; `None` if there are too few of them, NaN if they hold no number (a BCD digit
    /// beyond 9). The number of a text is how many characters it has.
    pub fn registers(self, words: &[u16]) -> Option<f64> {
        if self.value_type == ValueType::String {
            return (!words.is_empty()).then(|| self.text(words).chars().count() as f64);
        }
        Some(self.number(self.bits(words)?))
    }

    /// The text in these registers, up to the first NUL and without blanks around it. UTF-8, or else Latin-1.
    pub fn text(self, words: &[u16]) -> String {
        let is_swapped = self.order.swaps_bytes();
        let bytes: Vec<u8> = words
            .iter()
            .flat_map(|word| if is_swapped { word.to_le_bytes() } else { word.to_be_bytes() })
            .take_while(|byte| *byte != 0)
            .collect();
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect());
        text.replace(char::is_control, " ").trim().to_owned()
    }

    /// The bits of a number, in the order of the standard.
    pub(super) fn bits(self, words: &[u16]) -> Option<u64> {
        Some(match self.count() {
            1 => {
                let [[high, low]] = bytes::<1>(words, self.order)?;
                u64::from(u16::from_be_bytes([high, low]))
            }
            2 => {
                let [[a, b], [c, d]] = bytes::<2>(words, self.order)?;
                u64::from(u32::from_be_bytes([a, b, c, d]))
            }
            _ => {
                let [[a, b], [c, d], [e, f], [g, h]] = bytes::<4>(words, self.order)?;
                u64::from_be_bytes([a, b, c, d, e, f, g, h])
            }
        })
    }

    /// What bits of this width stand for.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the bits are no wider than the type, see `bits`"
    )]
    fn number(self, bits: u64) -> f64 {
        match self.value_type {
            ValueType::U16 | ValueType::U32 | ValueType::U64 | ValueType::String => bits as f64,
            ValueType::I16 => f64::from((bits as u16).cast_signed()),
            ValueType::I32 => f64::from((bits as u32).cast_signed()),
            ValueType::I64 => bits.cast_signed() as f64,
            ValueType::F32 => f64::from(f32::from_bits(bits as u32)),
            ValueType::F64 => f64::from_bits(bits),
            ValueType::Bcd16 | ValueType::Bcd32 => decimal(bits as u32),
            ValueType::Bool => f64::from(u8::from(bits != 0)),
            ValueType::Bit => {
                let shifted = (bits as u16).checked_shr(u32::from(self.bit));
                f64::from(shifted.unwrap_or_default() & 1)
            }
        }
    }
}

/// The first `N` words as big-endian bytes, most significant word first.
fn bytes<const N: usize>(words: &[u16], order: Order) -> Option<[[u8; 2]; N]> {
    let mut words = *words.first_chunk::<N>()?;
    if matches!(order, Order::Cdab | Order::Dcba) {
        words.reverse();
    }
    let is_swapped = order.swaps_bytes();
    Some(words.map(|word| if is_swapped { word.to_le_bytes() } else { word.to_be_bytes() }))
}

/// Binary coded decimal: a digit in each half byte.
fn decimal(bits: u32) -> f64 {
    let mut number = 0;
    for shift in (0..32).step_by(4).rev() {
        let digit = (bits >> shift) & 0xF;
        if digit > 9 {
            return f64::NAN;
        }
        number = number * 10 + digit;
    }
    f64::from(number)
}

impl SourceTag {
    /// The raw number in the registers that begin with its own; `None` if there are too few of them, NaN if the device
    /// says with them that it has no value.
    pub(super) fn raw(&self, words: &[u16]) -> Option<f64> {
        if self.encoding.value_type == ValueType::String {
            return self.encoding.registers(words.get(..self.span.count.into())?);
        }
        let bits = self.encoding.bits(words)?;
        Some(if self.sentinels.contains(&bits) { f64::NAN } else { self.encoding.number(bits) })
    }

    /// The reading for a raw number.
    pub(super) fn reading(&self, at: Timestamp, raw: f64) -> Reading {
        // Not `mul_add`: without FMA in the target it is a call into the C library for each reading.
        Reading::new(self.id, at, raw * self.scale + self.offset)
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
    fn decimal_digits() {
        use Order::*;
        use ValueType::*;
        check(&[0x1234], Bcd16, Abcd, 1_234.0);
        check(&[0x3412], Bcd16, Badc, 1_234.0);
        check(&[0x0000], Bcd16, Abcd, 0.0);
        check(&[0x9999], Bcd16, Abcd, 9_999.0);
        check(&[0x1234, 0x5678], Bcd32, Abcd, 12_345_678.0);
        check(&[0x5678, 0x1234], Bcd32, Cdab, 12_345_678.0);
        for words in [[0x000a, 0x0000], [0xffff, 0xffff], [0x1234, 0xf678]] {
            let value = Encoding { value_type: Bcd32, ..Encoding::default() }.registers(&words);
            assert!(value.is_some_and(f64::is_nan), "{words:04x?} is no number");
        }
    }

    #[test]
    fn texts_end_at_the_first_nul_and_lose_the_blanks_around_them() {
        let text = |order, words: &[u16]| {
            Encoding { value_type: ValueType::String, order, bit: 0 }.text(words)
        };
        assert_eq!(text(Order::Abcd, &[0x5051, 0x2d34, 0x0000, 0x4141]), "PQ-4");
        assert_eq!(text(Order::Cdab, &[0x5051, 0x2d34]), "PQ-4");
        assert_eq!(text(Order::Badc, &[0x5150, 0x342d]), "PQ-4");
        assert_eq!(text(Order::Dcba, &[0x5150, 0x342d]), "PQ-4");
        assert_eq!(text(Order::Abcd, &[0x2020, 0x4f4b, 0x2020]), "OK");
        assert_eq!(text(Order::Abcd, &[0xc3bc]), "ü", "UTF-8");
        assert_eq!(text(Order::Abcd, &[0xfc20]), "ü", "Latin-1");
        assert_eq!(text(Order::Abcd, &[0x410a, 0x4200]), "A B", "no line breaks");
        assert_eq!(text(Order::Abcd, &[0]), "");
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

    fn tag(value_type: ValueType, count: u16, sentinels: &[u64]) -> SourceTag {
        SourceTag {
            id: TagId(1),
            span: Span { unit: 1, table: Table::Holding, address: 0, count },
            encoding: Encoding { value_type, ..Encoding::default() },
            sentinels: sentinels.into(),
            scale: 1.0,
            offset: 0.0,
        }
    }

    #[test]
    fn a_sentinel_is_no_value_and_its_neighbour_is_one() {
        let tag = tag(ValueType::I16, 1, &[0x8000, 0x7fff]);
        let read = |word| tag.reading(Timestamp::default(), tag.raw(&[word]).expect("one word"));
        for word in [0x8000, 0x7fff] {
            assert_eq!(read(word).quality, Quality::Bad(Reason::SensorFailure), "{word:04x}");
        }
        assert_eq!((read(0x8001).value, read(0x8001).quality), (-32_767.0, Quality::Good));
    }

    #[test]
    fn the_number_of_a_text_is_its_length() {
        let tag = tag(ValueType::String, 2, &[]);
        let words = [0x4f4b, 0x0000, 0x4141];
        assert_eq!(tag.raw(&words), Some(2.0));
        assert_eq!(tag.raw(&words[..1]), None);
    }

    #[test]
    fn what_is_not_finite_is_a_sensor_failure() {
        let tag = SourceTag { scale: 0.1, offset: -5.0, ..tag(ValueType::F32, 2, &[]) };
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
            for value_type in ValueType::ALL {
                let encoding = Encoding { value_type, order: Order::Dcba, bit };
                let enough = words.len() >= usize::from(encoding.count());
                prop_assert_eq!(encoding.registers(&words).is_some(), enough);
                prop_assert!(!encoding.text(&words).contains(char::is_control));
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
