//! Bursts kept in files, read behind the values of a poll.

use bellwether_domain::{Reading, Waveform};
use tokio::time::Instant;

use super::{Exception, Poll, Session, exception};
use crate::{
    Batch,
    modbus::{
        Span,
        file_record::FileSpan,
        link::{Answer, Fault},
    },
};

/// Parts of bursts that one poll may read: a burst of 2,048 samples of 16 bits takes 17, and its neighbours wait for
/// tens of milliseconds at most.
const BURST_REQUESTS: u32 = 32;

impl Session<'_> {
    /// Reads the bursts that are due, as far as this poll gets, and delivers those that are whole.
    pub(super) async fn read_files(&mut self, poll: &mut Poll) -> Result<(), (Span, Fault)> {
        let sources = &self.source.waveforms;
        for _ in 0..BURST_REQUESTS {
            let now = Instant::now();
            let Some((index, part)) = self.bursts.next(sources, now) else { return Ok(()) };
            let Some(source) = sources.get(index) else { return Ok(()) };
            if !self.quarantine.units.is_due(part.unit, now)
                || poll.unreachable.contains(&part.unit)
            {
                self.bursts.fail(index, source, now);
                continue;
            }
            let answer = self.ask_file(part, poll).await.map_err(|fault| (part.place(), fault))?;
            let at = (self.now)();
            let burst = match answer {
                Answer::Registers(words) => {
                    self.bursts.accept(index, &words, source, at, Instant::now())
                }
                Answer::Exception(code) => {
                    poll.refusals += 1;
                    self.bursts.fail(index, source, Instant::now());
                    let reason = exception(code).reason();
                    self.sink.offer(Batch::Readings(vec![Reading::bad(source.id, at, reason)]));
                    None
                }
                Answer::Bits(_) => None,
            };
            self.deliver_burst(burst);
        }
        Ok(())
    }

    async fn ask_file(&mut self, part: FileSpan, poll: &mut Poll) -> Result<Answer, Fault> {
        poll.requests += 1;
        let exchanged = self.link.read_file(part, self.source.timeout).await;
        let recorder = self.link.recorder();
        let at = (self.now)();
        self.quarantine.diagnosis.note(part.unit, part.in_words(), &exchanged, recorder, at);
        poll.bytes += exchanged.bytes;
        let answer = exchanged.answer?;
        self.round_trips.push(exchanged.round_trip);
        if let Answer::Exception(code) = answer
            && exception(code) == Exception::Unreachable
        {
            poll.unreachable.push(part.unit);
            self.quarantine.units.failed(part.unit, Instant::now(), self.source.pace.retries);
        } else {
            self.quarantine.units.answered(part.unit);
        }
        Ok(answer)
    }

    fn deliver_burst(&self, burst: Option<Waveform>) {
        if let Some(burst) = burst {
            self.sink.offer(Batch::Waveform(burst));
        }
    }
}
