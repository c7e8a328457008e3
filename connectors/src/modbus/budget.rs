//! What a line can carry: the time that one poll spends on the wire, and the shortest poll interval that leaves enough
//! of it. Pure. The arithmetic is that of MODBUS over Serial Line 1.02, 2.5.1: characters of ten or eleven bits, and
//! 3.5 characters of silence between frames.
//!
//! A timeout and a retry cost extra; nobody knows beforehand how many there will be, so they are left out, and a line
//! that is nearly full is warned about.

use std::{collections::BTreeSet, time::Duration};

use super::{Block, Span};

/// How a serial line carries bytes, and how the devices on it answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineTiming {
    /// Bits a second.
    pub baud: u32,
    /// Bits of one character on the wire: start, data, parity and stop bits; 11 for 8E1, 10 for 8N1.
    pub character_bits: u32,
    /// How that is written: `8E1`.
    pub format: String,
    /// How long a device takes to begin its answer.
    pub turnaround: Duration,
    /// Shortest silence from an answer to the next request, where that is longer than 3.5 characters.
    pub pause: Duration,
}

/// Bytes of a request: unit, function, address, count, checksum.
const REQUEST_BYTES: u32 = 8;
/// Bytes of an answer besides its data: unit, function, byte count, checksum.
const ANSWER_BYTES: u32 = 5;
/// Above 19200 baud the silence is no longer counted in characters (2.5.1.1).
const FAST_BAUD: u32 = 19_200;
const FAST_SILENCE: Duration = Duration::from_micros(1_750);
/// A line that is busier than this (percent) has no room for a retry.
const NEARLY_FULL: u32 = 80;
/// A round trip that is taken for granted on a network, for want of a better number.
const NETWORK_ROUND_TRIP: Duration = Duration::from_millis(2);

impl LineTiming {
    /// The time of so many characters, a half counted as one.
    pub fn characters(&self, count: u32) -> Duration {
        Duration::from_secs(1) * (count * self.character_bits) / self.baud.max(1)
    }

    /// The silence between two frames: 3.5 characters.
    pub fn silence(&self) -> Duration {
        if self.baud > FAST_BAUD { FAST_SILENCE } else { self.characters(7) / 2 }
    }

    /// From the first bit of a request to the moment when the next may begin.
    pub fn exchange(&self, span: Span) -> Duration {
        let data = if span.table.is_bits() {
            u32::from(span.count).div_ceil(8)
        } else {
            2 * u32::from(span.count)
        };
        self.characters(REQUEST_BYTES + ANSWER_BYTES + data)
            + self.turnaround.max(self.silence())
            + self.pause.max(self.silence())
    }

    /// The time that one poll of these requests takes.
    pub fn poll(&self, blocks: &[Block]) -> Duration {
        blocks.iter().map(|block| self.exchange(block.span)).sum()
    }
}

/// What there is to say about a plan that does not fit its line, or only just.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It cannot work.
    Refused(String),
    /// It works as long as nothing goes wrong.
    Tight(String),
}

/// Whether a serial line can carry these requests at this poll interval; nothing to say if it easily can.
pub fn serial(line: &LineTiming, blocks: &[Block], poll_interval: Duration) -> Option<Verdict> {
    let needed = line.poll(blocks);
    if needed * 100 <= poll_interval * NEARLY_FULL {
        return None;
    }
    let who = who(blocks);
    let requests = requests(blocks);
    let (baud, format) = (line.baud, &line.format);
    let needed_s = seconds(needed);
    let given_ms = poll_interval.as_millis();
    if needed > poll_interval {
        let least_ms = round_up_ms(needed);
        return Some(Verdict::Refused(format!(
            "{who} with {requests} a poll needs {needed_s} s of the line at {baud} baud {format}, more than \
             `poll_interval_ms` = {given_ms}: make it at least {least_ms}, raise the baud rate, or read less"
        )));
    }
    let easy_ms = round_up_ms(needed * 100 / NEARLY_FULL);
    Some(Verdict::Tight(format!(
        "{who} with {requests} a poll needs {needed_s} s of the line at {baud} baud {format}, nearly all of \
         `poll_interval_ms` = {given_ms}: after a timeout or a retry polls are late; {easy_ms} leaves room"
    )))
}

/// Whether a network connection can carry these requests, `pause` apart; an estimate, so never more than a warning.
pub fn network(blocks: &[Block], pause: Duration, poll_interval: Duration) -> Option<String> {
    let each = NETWORK_ROUND_TRIP + pause;
    let needed =
        u32::try_from(blocks.len()).map_or(Duration::MAX, |count| each.saturating_mul(count));
    (needed > poll_interval).then(|| {
        format!(
            "{} a poll, one after the other, take about {} s at {} ms each, more than `poll_interval_ms` = {}: some \
             polls will be skipped; a larger `max_gap` makes fewer requests",
            requests(blocks),
            seconds(needed),
            each.as_millis(),
            poll_interval.as_millis()
        )
    })
}

/// `unit 3`, or `unit 3 and 11 others`.
fn who(blocks: &[Block]) -> String {
    let units: BTreeSet<_> = blocks.iter().map(|block| block.span.unit).collect();
    let first = units.first().copied().unwrap_or_default();
    match units.len() {
        0 | 1 => format!("unit {first}"),
        2 => format!("unit {first} and another"),
        count => format!("unit {first} and {} others", count - 1),
    }
}

fn requests(blocks: &[Block]) -> String {
    let count = blocks.len();
    format!("{count} request{}", if count == 1 { "" } else { "s" })
}

/// Two digits behind the point, rounded up: what is named is enough.
fn seconds(time: Duration) -> String {
    let hundredths = time.as_millis().div_ceil(10);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A round number of milliseconds that is not less.
fn round_up_ms(time: Duration) -> u128 {
    let ms = time.as_micros().div_ceil(1_000);
    let step = match ms {
        0..100 => 1,
        100..1_000 => 10,
        1_000..10_000 => 100,
        _ => 1_000,
    };
    ms.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::modbus::Table;

    fn line(baud: u32) -> LineTiming {
        LineTiming {
            baud,
            character_bits: 11,
            format: "8E1".to_owned(),
            turnaround: Duration::from_millis(10),
            pause: Duration::ZERO,
        }
    }

    fn holding(unit: u8, count: u16) -> Span {
        Span { unit, table: Table::Holding, address: 0, count }
    }

    fn blocks(count: u8, registers: u16) -> Vec<Block> {
        (1..=count).map(|unit| Block { span: holding(unit, registers), members: vec![] }).collect()
    }

    #[test]
    fn an_exchange_is_two_frames_two_silences_and_the_time_to_think() {
        // 8 + 5 + 2 × 10 characters of 11 bits at 9600 baud, 10 ms, and 3.5 characters.
        let exchange = line(9_600).exchange(holding(1, 10));
        assert_eq!(exchange.as_micros(), 37_812 + 10_000 + 4_010);
        // At 115200 baud the silence is 1.75 ms.
        let exchange = line(115_200).exchange(holding(1, 10));
        assert_eq!(exchange.as_micros(), 3_151 + 10_000 + 1_750);
        // Coils come eight in a byte.
        let coils = Span { table: Table::Coil, ..holding(1, 17) };
        assert_eq!(line(9_600).exchange(coils).as_micros(), 18_333 + 10_000 + 4_010);
        // A device that answers faster than the silence must wait it out.
        let quick = LineTiming { turnaround: Duration::ZERO, ..line(9_600) };
        assert_eq!(quick.exchange(holding(1, 10)).as_micros(), 37_812 + 2 * 4_010 + 1);
        let slow = LineTiming { pause: Duration::from_millis(50), ..line(9_600) };
        assert_eq!(slow.exchange(holding(1, 10)).as_micros(), 37_812 + 10_000 + 50_000);
    }

    #[test]
    fn a_plan_that_a_line_cannot_carry_is_refused_with_the_shortest_interval_that_works() {
        let blocks = blocks(12, 50);
        let line = line(9_600);
        let refused = serial(&line, &blocks, Duration::from_secs(1));
        assert_eq!(
            refused,
            Some(Verdict::Refused(
                "unit 1 and 11 others with 12 requests a poll needs 1.73 s of the line at 9600 baud 8E1, more than \
                 `poll_interval_ms` = 1000: make it at least 1800, raise the baud rate, or read less"
                    .to_owned()
            ))
        );
        let tight = serial(&line, &blocks, Duration::from_millis(1_800));
        assert_eq!(
            tight,
            Some(Verdict::Tight(
                "unit 1 and 11 others with 12 requests a poll needs 1.73 s of the line at 9600 baud 8E1, nearly all \
                 of `poll_interval_ms` = 1800: after a timeout or a retry polls are late; 2200 leaves room"
                    .to_owned()
            ))
        );
        assert_eq!(serial(&line, &blocks, Duration::from_millis(2_200)), None);
        assert_eq!(serial(&line, &[], Duration::from_millis(1)), None);
    }

    #[test]
    fn a_network_is_only_warned_about() {
        let blocks = blocks(200, 10);
        let warning = network(&blocks, Duration::ZERO, Duration::from_millis(100));
        assert_eq!(
            warning.as_deref(),
            Some(
                "200 requests a poll, one after the other, take about 0.40 s at 2 ms each, more than \
                 `poll_interval_ms` = 100: some polls will be skipped; a larger `max_gap` makes fewer requests"
            )
        );
        assert_eq!(network(&blocks, Duration::ZERO, Duration::from_secs(1)), None);
        assert!(network(&blocks, Duration::from_millis(20), Duration::from_secs(1)).is_some());
    }

    proptest! {
        #[test]
        fn the_interval_that_is_named_works(
            units in 1..60_u8, registers in 1..=125_u16, baud in 1_200..=115_200_u32,
        ) {
            let (line, blocks) = (line(baud), blocks(units, registers));
            let needed = line.poll(&blocks);
            let least = round_up_ms(needed);
            let named = Duration::from_millis(u64::try_from(least).expect("minutes at most"));
            prop_assert!(!matches!(serial(&line, &blocks, named), Some(Verdict::Refused(_))));
            let easy = u64::try_from(round_up_ms(needed * 100 / NEARLY_FULL)).expect("minutes at most");
            prop_assert_eq!(serial(&line, &blocks, Duration::from_millis(easy)), None);
        }
    }
}
