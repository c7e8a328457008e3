//! One Modbus line or socket with a deadline on every request. Whatever is not a whole answer to the request just made
//! is a [`Fault`], after which the link must not be used again: a late answer would be taken for the next one.
//!
//! On TCP that means a new connection. RTU frames bear no transaction number, so that is not enough for them: the next
//! link first waits until its line is silent, and a unit that owes an answer is first asked for another number of
//! values, which its late answer does not have (see `quarantine`).

use std::{io, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};
use tokio_modbus::{
    Error, ExceptionCode, ExceptionResponse, FunctionCode, ProtocolError, Request, Response, Slave,
    client::{Client as _, Context, rtu, tcp},
    slave::SlaveContext as _,
};

use super::{
    Pace, Span, Table, Transport,
    file_record::{self, FileSpan},
    tap::{Recorder, Tap},
    timing::Pacing,
    transport,
};
use crate::SessionError;

/// How long a serial line must have been silent before it is used again after a fault: the timeout, but no longer.
const LONGEST_DRAIN: Duration = Duration::from_millis(200);

pub(super) struct Link {
    context: Context,
    pacing: Pacing,
    recorder: Recorder,
}

/// A whole answer.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Registers(Vec<u16>),
    Bits(Vec<bool>),
    /// The device refuses; the link is healthy.
    Exception(u8),
}

/// Why the link is of no further use.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing whole within so long.
    Timeout(Duration),
    OutOfStep(String),
    Broken(io::Error),
}

/// One request and what came of it.
pub(super) struct Exchanged {
    pub(super) answer: Result<Answer, Fault>,
    pub(super) round_trip: Duration,
    /// Bytes received meanwhile.
    pub(super) bytes: u64,
}

impl Link {
    /// Opens the transport.
    pub(super) async fn connect(
        transport: &Transport,
        connect_timeout: Duration,
        pace: Pace,
    ) -> Result<Self, SessionError> {
        let wire = transport::open(transport, connect_timeout).await?;
        let (tap, recorder) = Tap::new(wire, transport.is_serial());
        let context = if transport.is_rtu() { rtu::attach(tap) } else { tcp::attach(tap) };
        Ok(Self { context, pacing: Pacing::new(transport, pace), recorder })
    }

    /// What has gone over the wire with the last request.
    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Reads a span, as soon as the pace allows it.
    pub(super) async fn read(&mut self, span: Span, limit: Duration) -> Exchanged {
        let request = match span.table {
            Table::Coil => Request::ReadCoils(span.address, span.count),
            Table::Discrete => Request::ReadDiscreteInputs(span.address, span.count),
            Table::Holding => Request::ReadHoldingRegisters(span.address, span.count),
            Table::Input => Request::ReadInputRegisters(span.address, span.count),
        };
        let (answer, round_trip) = self.call(span.unit, request, limit).await;
        let answer = answer.and_then(|answer| checked(span, answer));
        Exchanged { answer, round_trip, bytes: self.recorder.lock().bytes }
    }

    /// Reads a part of a file, as soon as the pace allows it.
    pub(super) async fn read_file(&mut self, part: FileSpan, limit: Duration) -> Exchanged {
        let request = Request::Custom(file_record::FUNCTION, part.request().to_vec().into());
        let (answer, round_trip) = self.call(part.unit, request, limit).await;
        let answer = answer.and_then(|answer| match answer {
            Ok(Response::Custom(file_record::FUNCTION, bytes)) => {
                part.registers(&bytes).map(Answer::Registers).map_err(Fault::OutOfStep)
            }
            answer => checked(part.place(), answer),
        });
        Exchanged { answer, round_trip, bytes: self.recorder.lock().bytes }
    }

    /// Any request; also says how long it took.
    pub(super) async fn call(
        &mut self,
        unit: u8,
        request: Request<'_>,
        limit: Duration,
    ) -> (Result<Result<Response, u8>, Fault>, Duration) {
        if let Some(earliest) = self.pacing.earliest() {
            sleep_until(earliest).await;
        }
        self.context.set_slave(Slave(unit));
        self.recorder.begin();
        let asked_at = Instant::now();
        self.pacing.asked(asked_at);
        let answer = timeout(limit, self.context.call(request)).await;
        let ended_at = Instant::now();
        self.pacing.ended(ended_at);
        let answer = match answer {
            Ok(answer) => in_step(answer, self.recorder.lock().is_unsolicited),
            Err(_) => Err(Fault::Timeout(limit)),
        };
        (answer, ended_at - asked_at)
    }
}

/// Waits, on a serial line, until a late answer has gone by. A socket is closed instead, at once.
pub(super) async fn drain(transport: &Transport, timeout: Duration) {
    if transport.is_serial() {
        // The port is closed meanwhile, and what has come in is thrown away when it is opened again.
        sleep_until(Instant::now() + timeout.min(LONGEST_DRAIN)).await;
    }
}

/// A duration as it stands in messages.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn in_step(
    answer: Result<Result<Response, ExceptionCode>, Error>,
    is_unsolicited: bool,
) -> Result<Result<Response, u8>, Fault> {
    match answer {
        Ok(answer) => Ok(answer.map_err(u8::from)),
        Err(Error::Protocol(ProtocolError::HeaderMismatch { message, .. })) => {
            Err(Fault::OutOfStep(message))
        }
        // The library knows the code of an exception to this function by name, and ours as a custom one.
        Err(Error::Protocol(ProtocolError::FunctionCodeMismatch {
            request: FunctionCode::Custom(file_record::FUNCTION),
            result: Err(ExceptionResponse { function: FunctionCode::ReadFileRecord, exception }),
        })) => Ok(Err(exception.into())),
        Err(Error::Protocol(ProtocolError::FunctionCodeMismatch { .. })) => {
            Err(Fault::OutOfStep("it is the answer to another function".to_owned()))
        }
        Err(Error::Transport(_)) if is_unsolicited => {
            Err(Fault::OutOfStep("it came before the request".to_owned()))
        }
        // The library reports the end of the stream as whatever errno was last, so the kind says nothing.
        Err(Error::Transport(cause)) => Err(Fault::Broken(cause)),
    }
}

fn checked(span: Span, answer: Result<Response, u8>) -> Result<Answer, Fault> {
    match answer {
        Ok(response) => match (span.table, response) {
            (Table::Holding, Response::ReadHoldingRegisters(words))
            | (Table::Input, Response::ReadInputRegisters(words)) => {
                let length = words.len();
                whole(Answer::Registers(words), length, span)
            }
            (Table::Coil, Response::ReadCoils(bits))
            | (Table::Discrete, Response::ReadDiscreteInputs(bits)) => {
                // Bits come in whole bytes; more bytes than asked for are somebody else's answer.
                let length = if bits.len() < usize::from(span.count) + 8 {
                    bits.len().min(span.count.into())
                } else {
                    bits.len()
                };
                whole(Answer::Bits(bits), length, span)
            }
            _ => Err(Fault::OutOfStep("it is the answer to another function".to_owned())),
        },
        Err(exception) => Ok(Answer::Exception(exception)),
    }
}

fn whole(answer: Answer, length: usize, span: Span) -> Result<Answer, Fault> {
    if length == usize::from(span.count) {
        return Ok(answer);
    }
    Err(Fault::OutOfStep(format!("it has {length} values instead of {}", span.count)))
}
