//! `register` of a tag: from what is written to registers and their encoding, or to sentences that say what is wrong.

use serde::Deserialize;

use super::{Address, Addressing, Encoding, Order, Span, ValueType, address::Place, plan::Table};

/// `register = { address = "40101", type = "f32", order = "CDAB" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterConfig {
    /// Which table, where the address does not name one.
    pub kind: Option<Table>,
    /// `holding:100`, `40101`, `400101`, `4x101`, or a plain number beside `kind`; a bit follows a dot.
    pub address: Address,
    /// What the bits mean; `bool` for coils and discrete inputs, `bit` where the address names one, needed otherwise.
    #[serde(rename = "type")]
    pub value_type: Option<ValueType>,
    /// Order of bytes, if not that of the section.
    pub order: Option<Order>,
    /// Which bit of the register, for type `bit`; 0 is the lowest.
    pub bit: Option<u8>,
    /// How many characters, for type `string`.
    pub length: Option<u16>,
}

/// The longest text: as many characters as one request can carry.
const LONGEST_TEXT: u16 = 250;

/// How a device writes addresses and numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    pub(super) addressing: Addressing,
    pub(super) order: Order,
}

impl RegisterConfig {
    /// Where its value lies in this unit, and how it is coded.
    ///
    /// # Errors
    /// Everything that is wrong with it, a sentence each.
    pub(super) fn resolve(
        &self,
        unit: u8,
        habits: Habits,
    ) -> Result<(Span, Encoding), Vec<String>> {
        let place = self.address.place(self.kind, habits.addressing).map_err(|it| vec![it])?;
        let problems = [self.type_problem(place), self.bit_problem(place), self.length_problem()];
        let problems: Vec<_> = problems.into_iter().flatten().collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let order = self.order.unwrap_or(habits.order);
        let bit = place.bit.or(self.bit).unwrap_or_default();
        let value_type = self.meant_type(place).unwrap_or_default();
        let encoding = Encoding { value_type, order, bit };
        let count = self.length.map_or(encoding.count(), |characters| characters.div_ceil(2));
        let span = Span { unit, table: place.table, address: place.address, count };
        if span.end() > 65_536 {
            return Err(vec![format!(
                "address {} with {} registers goes beyond the last address 65535: check `address` (this one counts \
                 from 0)",
                span.address, span.count
            )]);
        }
        Ok((span, encoding))
    }

    /// The type as written, or as it follows from the address.
    fn meant_type(&self, place: Place) -> Option<ValueType> {
        match self.value_type {
            None if place.table.is_bits() => Some(ValueType::Bool),
            None if place.bit.is_some() => Some(ValueType::Bit),
            value_type => value_type,
        }
    }

    fn type_problem(&self, place: Place) -> Option<String> {
        let kind = place.table.as_str();
        match (self.meant_type(place), place.bit) {
            (None, _) => {
                let [types @ .., last] = ValueType::ALL.map(ValueType::as_str);
                let types = types.join(", ");
                Some(format!(
                    "`type` is missing for this {kind} register: write one of {types} or {last}"
                ))
            }
            (Some(value_type), _) if place.table.is_bits() && value_type != ValueType::Bool => {
                Some(format!(
                    "a {kind} is a single bit and cannot be {}: leave `type` out, or read a register",
                    value_type.as_str()
                ))
            }
            (Some(value_type), Some(bit)) if value_type != ValueType::Bit => Some(format!(
                "`address` names bit {bit}, which cannot be {}: leave `type` out, or the dot and what follows",
                value_type.as_str()
            )),
            _ => None,
        }
    }

    fn bit_problem(&self, place: Place) -> Option<String> {
        match (self.meant_type(place), self.bit, place.bit) {
            (_, Some(_), Some(_)) => {
                Some("both `address` and `bit` name a bit: leave one of them out".to_owned())
            }
            (Some(ValueType::Bit), None, None) => Some(
                "type bit needs `bit`, 0 for the lowest to 15, or a dot in `address`, as in 40010.3"
                    .to_owned(),
            ),
            (Some(ValueType::Bit), Some(bit), None) if bit > 15 => {
                Some(format!("`bit` = {bit}: a register has bits 0 to 15"))
            }
            (Some(ValueType::Bit), ..) | (_, None, _) => None,
            (_, Some(_), None) => {
                Some("`bit` is for type bit only: remove it, or set type bit".to_owned())
            }
        }
    }

    fn length_problem(&self) -> Option<String> {
        match (self.value_type == Some(ValueType::String), self.length) {
            (true, None) => Some(
                "type string needs `length`: how many characters, two in each register".to_owned(),
            ),
            (true, Some(length)) if !(1..=LONGEST_TEXT).contains(&length) => {
                Some(format!("`length` = {length}: a text has 1 to {LONGEST_TEXT} characters"))
            }
            (false, Some(_)) => {
                Some("`length` is for type string only: remove it, or set type string".to_owned())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(register: &str, habits: Habits) -> Result<(Span, Encoding), Vec<String>> {
        let register: RegisterConfig = toml::from_str(register).expect("the form is right");
        register.resolve(7, habits)
    }

    #[track_caller]
    fn check(register: &str, table: Table, address: u16, count: u16, value_type: ValueType) {
        let (span, encoding) = resolve(register, Habits::default()).expect(register);
        assert_eq!(span, Span { unit: 7, table, address, count }, "{register}");
        assert_eq!(encoding.value_type, value_type, "{register}");
    }

    #[test]
    fn an_address_and_a_type_are_a_register() {
        use Table::*;
        use ValueType::*;
        check("kind = 'holding'\naddress = 256\ntype = 'f32'", Holding, 256, 2, F32);
        check("address = '40257'\ntype = 'f32'", Holding, 256, 2, F32);
        check("address = 40257\ntype = 'bcd32'", Holding, 256, 2, Bcd32);
        check("address = '3x1'\ntype = 'u64'", Input, 0, 4, U64);
        check("address = 'coil:3'", Coil, 3, 1, Bool);
        check("address = 10004", Discrete, 3, 1, Bool);
        check("address = '40010.3'", Holding, 9, 1, Bit);
        check("address = 'holding:9'\ntype = 'bit'\nbit = 3", Holding, 9, 1, Bit);
        check("address = 'holding:9'\ntype = 'string'\nlength = 15", Holding, 9, 8, String);
    }

    #[test]
    fn a_register_takes_the_habits_of_its_device_unless_it_says_otherwise() {
        let habits = Habits { addressing: Addressing::OneBased, order: Order::Cdab };
        let order = |register| resolve(register, habits).expect(register).1.order;
        assert_eq!(order("address = 'holding:1'\ntype = 'f32'"), Order::Cdab);
        assert_eq!(order("address = 'holding:1'\ntype = 'f64'\norder = 'HGFEDCBA'"), Order::Dcba);
        let (span, encoding) = resolve("address = 'holding:10.3'", habits).expect("right");
        assert_eq!((span.address, encoding.bit), (9, 3));
    }

    #[track_caller]
    fn refused(register: &str, expected: &[&str]) {
        let problems = resolve(register, Habits::default()).expect_err(register);
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "`{problem}` should contain `{expected}`");
        }
    }

    #[test]
    fn a_register_that_cannot_be_is_refused_with_what_would_be_right() {
        refused("address = 101\ntype = 'u16'", &["write holding:101"]);
        refused(
            "address = '40001'",
            &["`type` is missing for this holding register: write one of u16"],
        );
        refused("address = '40001.2'\ntype = 'u16'", &["names bit 2, which cannot be u16"]);
        refused("address = '40001.2'\nbit = 2", &["leave one of them out"]);
        refused("address = '40001'\ntype = 'bit'", &["type bit needs `bit`"]);
        refused("address = '40001'\ntype = 'bit'\nbit = 16", &["bits 0 to 15"]);
        refused("address = '40001'\ntype = 'string'", &["needs `length`"]);
        refused("address = '40001'\ntype = 'string'\nlength = 251", &["1 to 250 characters"]);
        refused("address = '40001'\ntype = 'u16'\nlength = 2", &["for type string only"]);
        refused("address = '465536'\ntype = 'u32'", &["goes beyond the last address"]);
        refused(
            "address = 'coil:1'\ntype = 'f32'\nbit = 2",
            &["a coil is a single bit and cannot be f32", "`bit` is for type bit only"],
        );
    }
}
