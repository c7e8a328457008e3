//! Addresses as people write them. A manual says `40101` or `400101` (the digit 4 names the holding registers and
//! counting begins at 1), a tool says `4x101`, a programmer `holding:100` (counting from 0). All of them mean one
//! register, and this file says which; whatever could mean two is refused.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::Table;

/// How a device counts its addresses, in everything but references such as `40101`, which always count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// From 0, as on the wire.
    #[default]
    ZeroBased,
    /// From 1, as in many manuals.
    OneBased,
}

/// An address as written. What it means depends on `kind` beside it and on how its device counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    form: Form,
    bit: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// `holding:100`.
    Named(Table, u32),
    /// `4x101`: counts from 1.
    Reference(Table, u32),
    /// `100`, or `40101`. The digits matter, as `00001` is the first coil and `1` is nothing by itself.
    Plain { number: u32, digits: usize },
}

/// Where a value begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which table.
    pub table: Table,
    /// As on the wire, from 0.
    pub address: u16,
    /// Which bit of the register, if the address named one; 0 is the lowest.
    pub bit: Option<u8>,
}

const FORMS: &str = "write holding:100, input:100, coil:100 or discrete:100, a reference such as 40101, 400101 or \
                     4x101, or a plain number beside `kind`; a bit follows a dot, as in 40010.3";

/// Addresses of one table: 0 to 65535.
const ADDRESSES: u32 = 65_536;

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// If it is none, in words that say how to write one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("`address` = \"{text}\" is no address: {FORMS}");
        let (place, bit) = match text.split_once('.') {
            None => (text, None),
            Some((place, bit)) => (place, Some(number(bit).ok_or_else(wrong)?)),
        };
        let bit = match bit {
            None => None,
            Some(bit) => match u8::try_from(bit) {
                Ok(bit @ 0..=15) => Some(bit),
                _ => {
                    return Err(format!(
                        "`address` = \"{text}\" names bit {bit}: a register has bits 0 (the lowest) to 15"
                    ));
                }
            },
        };
        let form = if let Some((name, rest)) = place.split_once(':') {
            let table = Table::ALL.into_iter().find(|table| table.as_str() == name);
            Form::Named(table.ok_or_else(wrong)?, number(rest).ok_or_else(wrong)?)
        } else if let Some((digit, rest)) = place.split_once(['x', 'X']) {
            let table = number(digit).filter(|_| digit.len() == 1).and_then(Table::of_digit);
            Form::Reference(table.ok_or_else(wrong)?, number(rest).ok_or_else(wrong)?)
        } else {
            Form::Plain { number: number(place).ok_or_else(wrong)?, digits: place.len() }
        };
        Ok(Self { form, bit })
    }

    /// The number as written, without what names the table.
    pub const fn number(self) -> u32 {
        match self.form {
            Form::Named(_, number) | Form::Reference(_, number) | Form::Plain { number, .. } => {
                number
            }
        }
    }

    /// Where that is, given the `kind` beside it and how the device counts.
    ///
    /// # Errors
    /// If it is nowhere, or could be in two places, in words that say what would be right.
    pub fn place(self, kind: Option<Table>, addressing: Addressing) -> Result<Place, String> {
        let (table, address) = match (self.form, kind) {
            (Form::Named(table, number), _) => (table, counted(table, number, addressing)?),
            (Form::Reference(table, number), _) => (table, referred(table, number)?),
            (Form::Plain { number, .. }, Some(table)) => {
                (table, counted(table, number, addressing)?)
            }
            (Form::Plain { number, digits }, None) => reference(number, digits)?,
        };
        if let Some(kind) = kind.filter(|kind| *kind != table) {
            let (kind, table) = (kind.as_str(), table.as_str());
            return Err(format!(
                "`address` names a {table} and `kind` says {kind}: leave `kind` out, or correct one of them"
            ));
        }
        if table.is_bits() && self.bit.is_some() {
            let table = table.as_str();
            return Err(format!(
                "`address` names a bit of a {table}, which is a single bit: leave out the dot and what follows"
            ));
        }
        Ok(Place { table, address, bit: self.bit })
    }

    /// Whether it is a plain number that a person would take for a reference: `kind = "holding"` beside `40101`.
    pub fn looks_like_reference(self, kind: Option<Table>) -> bool {
        match (self.form, kind) {
            (Form::Plain { number, digits }, Some(kind)) => reference(number, digits)
                .is_ok_and(|(table, _)| table == kind && table != Table::Coil),
            _ => false,
        }
    }
}

/// An address on the wire as a manual would write it: holding register 100 is `40101`, holding register 20000 `420001`.
pub fn as_reference(table: Table, address: u16) -> String {
    let (digit, number) = (table.digit(), u32::from(address) + 1);
    if number <= 9_999 { format!("{digit}{number:04}") } else { format!("{digit}{number:05}") }
}

/// Digits only; a sign or a blank is no number.
fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// `40101` or `400101`: a digit for the table, and a number that counts from 1.
fn reference(written: u32, digits: usize) -> Result<(Table, u16), String> {
    let split = match digits {
        5 => 10_000,
        6 => 100_000,
        _ => {
            return Err(format!(
                "`address` = {written} does not say in which table: write holding:{written}, a reference of five or \
                 six digits such as 40101, or set `kind`"
            ));
        }
    };
    let (digit, number) = (written / split, written % split);
    let Some(table) = Table::of_digit(digit) else {
        return Err(format!(
            "`address` = {written} begins with {digit}, which is no table: references begin with 4 (holding), 3 \
             (input), 1 (discrete) or 0 (coil); if it is a plain number, set `kind`"
        ));
    };
    Ok((table, referred(table, number)?))
}

/// The address on the wire of a number that counts from 1.
fn referred(table: Table, number: u32) -> Result<u16, String> {
    let address = number.checked_sub(1).filter(|address| *address < ADDRESSES);
    address.and_then(|address| u16::try_from(address).ok()).ok_or_else(|| {
        let digit = table.digit();
        format!(
            "`address` names number {number} of the table {digit}x: references count from 1 to {ADDRESSES}, as in \
             {digit}0001 or {digit}65536"
        )
    })
}

/// The address on the wire of a number that counts as its device does.
fn counted(table: Table, number: u32, addressing: Addressing) -> Result<u16, String> {
    if addressing == Addressing::OneBased && number == 0 {
        return Err(format!(
            "`address` = 0 does not exist where `addressing` = \"one_based\": the first {} address is 1",
            table.as_str()
        ));
    }
    let first = u32::from(addressing == Addressing::OneBased);
    u16::try_from(number - first).map_err(|_| {
        format!(
            "`address` = {number} is too large: addresses go from {first} to {}",
            65_535 + first
        )
    })
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl de::Visitor<'_> for Written {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as \"holding:100\", \"40101\" or 100")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
        Address::parse(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Address, E> {
        Address::parse(&number.to_string()).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Address, E> {
        Address::parse(&number.to_string()).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Address, E> {
        Err(E::custom(format!(
            "`address` = {number} must stand in quotes, as in \"40010.3\": as a number, bit 10 would be bit 1"
        )))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Addressing::*, Table::*, *};

    fn place(
        text: &str,
        kind: Option<Table>,
        addressing: Addressing,
    ) -> Result<(Table, u16, Option<u8>), String> {
        let place = Address::parse(text)?.place(kind, addressing)?;
        Ok((place.table, place.address, place.bit))
    }

    #[track_caller]
    fn check(text: &str, table: Table, address: u16) {
        assert_eq!(place(text, None, ZeroBased), Ok((table, address, None)), "{text}");
    }

    #[test]
    fn every_way_to_write_an_address_finds_its_register() {
        check("holding:100", Holding, 100);
        check("input:0", Input, 0);
        check("coil:65535", Coil, 65_535);
        check("discrete:7", Discrete, 7);
        check("40101", Holding, 100);
        check("400101", Holding, 100);
        check("4x101", Holding, 100);
        check("4X101", Holding, 100);
        check("40001", Holding, 0);
        check("49999", Holding, 9_998);
        check("410000", Holding, 9_999);
        check("465536", Holding, 65_535);
        check("30005", Input, 4);
        check("300005", Input, 4);
        check("3x5", Input, 4);
        check("10001", Discrete, 0);
        check("1x1", Discrete, 0);
        check("00001", Coil, 0);
        check("000017", Coil, 16);
        check("0x17", Coil, 16);
        check(" 40101 ", Holding, 100);
    }

    #[test]
    fn a_bit_follows_a_dot() {
        assert_eq!(place("40010.3", None, ZeroBased), Ok((Holding, 9, Some(3))));
        assert_eq!(place("holding:9.15", None, ZeroBased), Ok((Holding, 9, Some(15))));
        assert_eq!(place("9.0", Some(Input), ZeroBased), Ok((Input, 9, Some(0))));
    }

    #[test]
    fn a_plain_number_counts_as_its_device_does_and_a_reference_from_1() {
        assert_eq!(place("100", Some(Holding), ZeroBased), Ok((Holding, 100, None)));
        assert_eq!(place("100", Some(Holding), OneBased), Ok((Holding, 99, None)));
        assert_eq!(place("holding:100", None, OneBased), Ok((Holding, 99, None)));
        assert_eq!(place("65536", Some(Coil), OneBased), Ok((Coil, 65_535, None)));
        assert_eq!(place("40101", None, OneBased), Ok((Holding, 100, None)));
        assert_eq!(place("4x101", Some(Holding), OneBased), Ok((Holding, 100, None)));
        // Beside `kind` it is a number like any other.
        assert_eq!(place("40101", Some(Holding), ZeroBased), Ok((Holding, 40_101, None)));
    }

    #[track_caller]
    fn refused(text: &str, kind: Option<Table>, addressing: Addressing, expected: &str) {
        let problem = place(text, kind, addressing).expect_err(text);
        assert!(problem.starts_with("`address`"), "{text}: {problem}");
        assert!(problem.contains(expected), "{text}: `{problem}` should contain `{expected}`");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be_right() {
        refused("", None, ZeroBased, "write holding:100");
        refused("abc", None, ZeroBased, "write holding:100");
        refused("-5", None, ZeroBased, "write holding:100");
        refused("holding:", None, ZeroBased, "write holding:100");
        refused("register:5", None, ZeroBased, "write holding:100");
        refused("holding:99999999999", None, ZeroBased, "write holding:100");
        refused("40010.", None, ZeroBased, "a bit follows a dot");
        refused("40010.16", None, ZeroBased, "bits 0 (the lowest) to 15");
        refused("101", None, ZeroBased, "write holding:101");
        refused("50001", None, ZeroBased, "references begin with 4");
        refused("40000", None, ZeroBased, "references count from 1");
        refused("465537", None, ZeroBased, "references count from 1 to 65536");
        refused("4x0", None, ZeroBased, "references count from 1");
        refused("5x1", None, ZeroBased, "write holding:100");
        refused("0x1F", None, ZeroBased, "write holding:100");
    }

    #[test]
    fn a_contradiction_is_refused() {
        refused("holding:100", Some(Input), ZeroBased, "leave `kind` out");
        refused("4x100", Some(Coil), ZeroBased, "leave `kind` out");
        refused("coil:5.1", None, ZeroBased, "a single bit");
        refused("holding:0", None, OneBased, "the first holding address is 1");
        refused("65536", Some(Holding), ZeroBased, "from 0 to 65535");
        refused("65537", Some(Holding), OneBased, "from 1 to 65536");
    }

    #[test]
    fn a_number_beside_kind_that_looks_like_a_reference_is_noticed() {
        let looks =
            |text: &str, kind| Address::parse(text).expect("right").looks_like_reference(kind);
        assert!(looks("40101", Some(Holding)) && looks("30001", Some(Input)));
        assert!(
            !looks("40101", Some(Input)) && !looks("40101", None) && !looks("4x1", Some(Holding))
        );
        assert!(!looks("101", Some(Holding)) && !looks("00001", Some(Coil)));
    }

    proptest! {
        #[test]
        fn a_reference_finds_back_to_its_address(address: u16) {
            for table in Table::ALL {
                let text = as_reference(table, address);
                prop_assert_eq!(place(&text, None, ZeroBased), Ok((table, address, None)), "{}", text);
                prop_assert!(text.len() == 5 || text.len() == 6);
            }
        }

        #[test]
        fn any_text_is_an_address_or_a_problem(text in "[0-9a-zX:.\\- ]{0,12}") {
            for kind in [None, Some(Coil), Some(Holding)] {
                if let Err(problem) = place(&text, kind, OneBased) {
                    prop_assert!(problem.starts_with("`address`"), "{}", problem);
                }
            }
        }
    }
}
