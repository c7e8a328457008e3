//! Which requests read all values: neighbours are read together, no request asks for more than the device allows, and
//! no value is split over two answers. O(n log n).

use serde::Deserialize;

/// One of the four tables of the Modbus data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Single bits, function code 01.
    Coil,
    /// Single bits, read-only, function code 02.
    Discrete,
    /// 16-bit registers, function code 03.
    Holding,
    /// 16-bit registers, read-only, function code 04.
    Input,
}

impl Table {
    /// All four, in the order of their digits.
    pub const ALL: [Self; 4] = [Self::Coil, Self::Discrete, Self::Input, Self::Holding];

    /// The digit that names it in references such as `40101`.
    pub const fn digit(self) -> u32 {
        match self {
            Self::Coil => 0,
            Self::Discrete => 1,
            Self::Input => 3,
            Self::Holding => 4,
        }
    }

    /// The table of this digit.
    pub(super) fn of_digit(digit: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.digit() == digit)
    }

    /// Whether its addresses are single bits.
    pub const fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }

    /// As it stands in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Coil => "coil",
            Self::Discrete => "discrete",
            Self::Holding => "holding",
            Self::Input => "input",
        }
    }
}

/// Where one value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Unit id.
    pub unit: u8,
    /// Table.
    pub table: Table,
    /// First address, from 0.
    pub address: u16,
    /// How many addresses.
    pub count: u16,
}

impl Span {
    /// The address behind its last one.
    pub const fn end(self) -> u32 {
        self.address as u32 + self.count as u32
    }
}

/// What one request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Values are read together if no more addresses than this lie between them.
    pub max_gap: u16,
    /// Most registers.
    pub max_registers: u16,
    /// Most coils or discrete inputs.
    pub max_bits: u16,
}

impl Limits {
    /// What the standard allows (1.1b3, 6.1–6.4).
    pub const STANDARD: Self = Self { max_gap: 8, max_registers: 125, max_bits: 2_000 };

    /// Most addresses of this table.
    pub const fn most(self, table: Table) -> u16 {
        if table.is_bits() { self.max_bits } else { self.max_registers }
    }
}

/// One request, and the values it brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What is asked for.
    pub span: Span,
    /// The values in it, by the keys they were given with.
    pub members: Vec<usize>,
}

/// The requests that read all these values, ordered by unit, table and address. A value that is longer than the limit
/// gets a request of its own.
pub fn plan(spans: impl IntoIterator<Item = (usize, Span)>, limits: Limits) -> Vec<Block> {
    let mut spans: Vec<_> = spans.into_iter().collect();
    spans.sort_unstable_by_key(|(key, span)| (*span, *key));
    let mut blocks: Vec<Block> = Vec::new();
    for (key, span) in spans {
        match blocks.last_mut().and_then(|block| Some((joined(block.span, span, limits)?, block))) {
            Some((joined, block)) => {
                block.span = joined;
                block.members.push(key);
            }
            None => blocks.push(Block { span, members: vec![key] }),
        }
    }
    blocks
}

/// A refused request, cut into smaller ones: along the holes it reads over if it has any, or else in two between values,
/// as near to the middle as can be. Nothing if it cannot be cut: a single value, or several in the same registers.
/// `values` are those of its members, in its order.
pub(super) fn cut(values: &[(usize, Span)]) -> Vec<Block> {
    let unlimited = Limits { max_gap: 0, max_registers: u16::MAX, max_bits: u16::MAX };
    let runs = plan(values.iter().copied(), unlimited);
    let [run] = runs.as_slice() else { return runs };
    let middle = (u32::from(run.span.address) + run.span.end()) / 2;
    let mut reached = 0;
    let mut best: Option<(u32, usize)> = None;
    for (index, (_, span)) in values.iter().enumerate() {
        let begin = u32::from(span.address);
        let distance = begin.abs_diff(middle);
        if index > 0 && begin >= reached && best.is_none_or(|(nearest, _)| distance < nearest) {
            best = Some((distance, index));
        }
        reached = reached.max(span.end());
    }
    if let Some((first, second)) = best.and_then(|(_, index)| values.split_at_checked(index)) {
        return [first, second].into_iter().filter_map(whole).collect();
    }
    // All overlap: the same registers, read as several things.
    let parts = values.chunk_by(|(_, one), (_, other)| one == other);
    let parts: Vec<_> = parts.filter_map(whole).collect();
    if parts.len() > 1 { parts } else { Vec::new() }
}

/// One request for all these values.
fn whole(values: &[(usize, Span)]) -> Option<Block> {
    let (_, first) = *values.first()?;
    let end = values.iter().map(|(_, span)| span.end()).max()?;
    let count = u16::try_from(end - u32::from(first.address)).ok()?;
    let members = values.iter().map(|(key, _)| *key).collect();
    Some(Block { span: Span { count, ..first }, members })
}

/// Both in one request, if gap and length allow it. `next` does not begin before `block`.
fn joined(block: Span, next: Span, limits: Limits) -> Option<Span> {
    let neighbours = block.unit == next.unit
        && block.table == next.table
        && u32::from(next.address) <= block.end() + u32::from(limits.max_gap);
    let count = block.end().max(next.end()) - u32::from(block.address);
    let count = u16::try_from(count).ok()?;
    (neighbours && count <= limits.most(block.table)).then_some(Span { count, ..block })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn holding(address: u16, count: u16) -> Span {
        Span { unit: 1, table: Table::Holding, address, count }
    }

    #[track_caller]
    fn check(spans: &[Span], expected: &[(u16, u16, &[usize])]) {
        let blocks = plan(spans.iter().copied().enumerate(), Limits::STANDARD);
        let blocks: Vec<_> = blocks
            .iter()
            .map(|block| (block.span.address, block.span.count, block.members.as_slice()))
            .collect();
        assert_eq!(blocks, expected);
    }

    #[test]
    fn neighbours_are_read_together_up_to_the_gap_and_the_limit() {
        check(&[], &[]);
        check(&[holding(2, 2), holding(0, 2)], &[(0, 4, &[1, 0])]);
        check(&[holding(0, 2), holding(10, 2)], &[(0, 12, &[0, 1])]);
        check(&[holding(0, 2), holding(11, 2)], &[(0, 2, &[0]), (11, 2, &[1])]);
        check(&[holding(0, 124), holding(124, 1)], &[(0, 125, &[0, 1])]);
        check(&[holding(0, 124), holding(124, 2)], &[(0, 124, &[0]), (124, 2, &[1])]);
        check(&[holding(0, 4), holding(1, 1), holding(4, 1)], &[(0, 5, &[0, 1, 2])]);
        check(&[holding(65_534, 2), holding(65_535, 1)], &[(65_534, 2, &[0, 1])]);
    }

    #[test]
    fn units_and_tables_are_never_mixed() {
        let other_unit = Span { unit: 2, ..holding(1, 1) };
        let other_table = Span { table: Table::Input, ..holding(1, 1) };
        check(
            &[holding(0, 1), other_unit, other_table],
            &[(0, 1, &[0]), (1, 1, &[2]), (1, 1, &[1])],
        );
    }

    #[test]
    fn a_value_longer_than_the_limit_is_still_read() {
        let limits = Limits { max_registers: 1, ..Limits::STANDARD };
        let blocks = plan([(7, holding(3, 4))], limits);
        assert_eq!(blocks, [Block { span: holding(3, 4), members: vec![7] }]);
    }

    #[track_caller]
    fn check_cut(spans: &[Span], expected: &[(u16, u16, &[usize])]) {
        let values: Vec<_> = spans.iter().copied().enumerate().collect();
        let parts = cut(&values);
        let parts: Vec<_> = parts
            .iter()
            .map(|block| (block.span.address, block.span.count, block.members.as_slice()))
            .collect();
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_refused_request_is_cut_along_its_holes_or_in_the_middle() {
        check_cut(&[], &[]);
        check_cut(&[holding(5, 2)], &[]);
        check_cut(&[holding(5, 2), holding(5, 2)], &[]);
        check_cut(&[holding(0, 1), holding(5, 1)], &[(0, 1, &[0]), (5, 1, &[1])]);
        check_cut(&[holding(0, 2), holding(2, 2), holding(4, 1)], &[(0, 2, &[0]), (2, 3, &[1, 2])]);
        // Never through a value: the middle would be 2.
        check_cut(&[holding(0, 1), holding(1, 4)], &[(0, 1, &[0]), (1, 4, &[1])]);
        // Bits of one register stay together.
        check_cut(&[holding(0, 1), holding(0, 1), holding(1, 1)], &[(0, 1, &[0, 1]), (1, 1, &[2])]);
        check_cut(&[holding(0, 1), holding(0, 2)], &[(0, 1, &[0]), (0, 2, &[1])]);
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        let table = prop_oneof![Just(Table::Coil), Just(Table::Holding), Just(Table::Input)];
        let span =
            (0..3_u8, table, 0..400_u16, 1..=4_u16).prop_map(|(unit, table, address, count)| {
                Span { unit, table, address, count: if table.is_bits() { 1 } else { count } }
            });
        vec(span, 0..120)
    }

    proptest! {
        #[test]
        fn every_value_is_read_whole_exactly_once_within_the_limits(
            spans in spans(), max_gap in 0..20_u16, max_registers in 4..=125_u16, max_bits in 1..=50_u16,
        ) {
            let limits = Limits { max_gap, max_registers, max_bits };
            let mut times_read = vec![0; spans.len()];
            let blocks = plan(spans.iter().copied().enumerate(), limits);
            for block in &blocks {
                prop_assert!(block.span.count <= limits.most(block.span.table));
                let mut reached = u32::from(block.span.address);
                let mut members: Vec<_> = block.members.iter().map(|key| spans[*key]).collect();
                members.sort_unstable();
                for (key, span) in block.members.iter().zip(&members) {
                    times_read[*key] += 1;
                    prop_assert_eq!((span.unit, span.table), (block.span.unit, block.span.table));
                    prop_assert!(span.address >= block.span.address && span.end() <= block.span.end());
                    // Nothing is bridged that is wider than the gap.
                    prop_assert!(u32::from(span.address) <= reached + u32::from(max_gap));
                    reached = reached.max(span.end());
                }
                // Nothing is asked for beyond the last value.
                prop_assert_eq!(reached, block.span.end());
            }
            prop_assert!(times_read.iter().all(|times| *times == 1));
        }

        #[test]
        fn requests_are_not_more_than_needed(spans in spans()) {
            let limits = Limits { max_gap: 5, max_registers: 20, max_bits: 20 };
            let blocks = plan(spans.iter().copied().enumerate(), limits);
            for pair in blocks.windows(2) {
                let next = spans[pair[1].members[0]];
                prop_assert_eq!(joined(pair[0].span, next, limits), None);
            }
        }
    }
}
