//! Waveforms that a device keeps in a file: which part to ask for next, and the burst once all parts are there. Pure:
//! time is an argument.
//!
//! A burst is longer than a request, so it is read in several; a device that overwrites its file meanwhile mixes two
//! bursts, and no client can see that. Most keep the last burst until the next trigger.

use std::time::Duration;

use bellwether_domain::{TagId, Timestamp, Waveform};
use tokio::time::Instant;

use super::{
    Encoding,
    file_record::{FileSpan, MOST_REGISTERS},
};

/// A validated `[[modbus.waveform]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveformSource {
    /// Whose waveform.
    pub id: TagId,
    /// Unit id.
    pub unit: u8,
    /// Number of the file, from 1.
    pub file: u16,
    /// First record, from 0.
    pub record: u16,
    /// How many samples.
    pub samples: u16,
    /// How each is coded.
    pub encoding: Encoding,
    /// Value = raw × scale + offset.
    pub scale: f64,
    /// Value = raw × scale + offset, in the tag's unit.
    pub offset: f64,
    /// Samples per second.
    pub sample_rate_hz: f64,
    /// Wall time from one burst to the next.
    pub period: Duration,
}

impl WaveformSource {
    /// Where the burst lies, in words.
    pub(super) fn address(&self) -> String {
        let Self { unit, file, record, samples, encoding, .. } = self;
        format!(
            "unit {unit}, file {file} from {record}, {samples} of {}",
            encoding.value_type.as_str()
        )
    }

    /// How many registers the burst takes.
    pub(super) fn registers(&self) -> u32 {
        u32::from(self.samples) * u32::from(self.encoding.count())
    }

    /// The burst in these registers; its last sample has just been taken, as far as anybody knows.
    fn waveform(&self, words: &[u16], at: Timestamp) -> Waveform {
        let value = |raw: f64| {
            #[expect(clippy::cast_possible_truncation, reason = "samples are singles")]
            let sample = (raw * self.scale + self.offset) as f32;
            sample
        };
        let samples: Vec<f32> = words
            .chunks_exact(self.encoding.count().into())
            .filter_map(|words| self.encoding.registers(words))
            .map(value)
            .collect();
        let length = Duration::from_secs_f64(f64::from(self.samples) / self.sample_rate_hz);
        Waveform {
            tag: self.id,
            at: at.saturating_sub(length),
            sample_rate_hz: self.sample_rate_hz,
            samples,
        }
    }
}

/// How far the bursts of one device have come.
#[derive(Debug)]
pub(super) struct Bursts {
    each: Vec<Progress>,
}

#[derive(Debug)]
struct Progress {
    due_at: Instant,
    words: Vec<u16>,
}

impl Bursts {
    /// All are due at once.
    pub(super) fn new(sources: &[WaveformSource], now: Instant) -> Self {
        let progress = |_| Progress { due_at: now, words: Vec::new() };
        Self { each: sources.iter().map(progress).collect() }
    }

    /// Which part of which waveform to ask for now; nothing if none is due.
    pub(super) fn next(
        &self,
        sources: &[WaveformSource],
        now: Instant,
    ) -> Option<(usize, FileSpan)> {
        let due = self.each.iter().zip(sources).enumerate();
        let (index, (progress, source)) = due.into_iter().find(|(_, (it, _))| it.due_at <= now)?;
        let read = u32::try_from(progress.words.len()).ok()?;
        let left = source.registers().checked_sub(read)?;
        let count = u16::try_from(left).unwrap_or(u16::MAX).min(MOST_REGISTERS);
        let record = u16::try_from(u32::from(source.record) + read).ok()?;
        Some((index, FileSpan { unit: source.unit, file: source.file, record, count }))
    }

    /// A part has come; the burst, if it was the last one. A burst with a sample that is no number is none.
    pub(super) fn accept(
        &mut self,
        index: usize,
        words: &[u16],
        source: &WaveformSource,
        at: Timestamp,
        now: Instant,
    ) -> Option<Waveform> {
        let progress = self.each.get_mut(index)?;
        progress.words.extend(words);
        if progress.words.len() < usize::try_from(source.registers()).ok()? {
            return None;
        }
        let waveform = source.waveform(&progress.words, at);
        progress.words.clear();
        progress.due_at = now + source.period;
        waveform.samples.iter().all(|sample| sample.is_finite()).then_some(waveform)
    }

    /// The device refuses a part: the burst is given up until its next turn.
    pub(super) fn fail(&mut self, index: usize, source: &WaveformSource, now: Instant) {
        if let Some(progress) = self.each.get_mut(index) {
            progress.words.clear();
            progress.due_at = now + source.period;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::ValueType;

    fn source(samples: u16, value_type: ValueType) -> WaveformSource {
        WaveformSource {
            id: TagId(3),
            unit: 7,
            file: 4,
            record: 100,
            samples,
            encoding: Encoding { value_type, ..Encoding::default() },
            scale: 0.5,
            offset: 1.0,
            sample_rate_hz: 1_000.0,
            period: Duration::from_secs(60),
        }
    }

    #[test]
    fn a_burst_is_read_in_parts_and_delivered_once_it_is_whole() {
        let sources = [source(150, ValueType::I16)];
        let now = Instant::now();
        let at = Timestamp::from_secs(100);
        let mut bursts = Bursts::new(&sources, now);
        let first = FileSpan { unit: 7, file: 4, record: 100, count: 121 };
        assert_eq!(bursts.next(&sources, now), Some((0, first)));
        assert_eq!(bursts.accept(0, &[2; 121], &sources[0], at, now), None);
        let second = FileSpan { record: 221, count: 29, ..first };
        assert_eq!(bursts.next(&sources, now), Some((0, second)));
        let waveform = bursts.accept(0, &[0xfffe; 29], &sources[0], at, now).expect("it is whole");
        assert_eq!((waveform.tag, waveform.samples.len()), (TagId(3), 150));
        assert_eq!((waveform.samples[0], waveform.samples[149]), (2.0, 0.0));
        assert_eq!(
            waveform.at,
            at.saturating_sub(Duration::from_millis(150)),
            "when the first sample was taken"
        );
        assert_eq!(bursts.next(&sources, now), None);
        assert!(bursts.next(&sources, now + Duration::from_secs(60)).is_some());
    }

    #[test]
    fn a_refused_part_gives_the_burst_up_until_its_next_turn() {
        let sources = [source(200, ValueType::I16), source(1, ValueType::F32)];
        let now = Instant::now();
        let mut bursts = Bursts::new(&sources, now);
        assert_eq!(bursts.accept(0, &[0; 121], &sources[0], Timestamp::default(), now), None);
        bursts.fail(0, &sources[0], now);
        let next = bursts.next(&sources, now).map(|(index, span)| (index, span.count));
        assert_eq!(next, Some((1, 2)), "the other one has its turn");
        let broken = bursts.accept(1, &[0x7fc0, 0], &sources[1], Timestamp::default(), now);
        assert_eq!(broken, None, "a sample that is no number");
        let later = now + Duration::from_secs(60);
        let again = bursts.next(&sources, later).map(|(index, span)| (index, span.record));
        assert_eq!(again, Some((0, 100)), "from the beginning");
    }
}
