//! One Modbus TCP connection with a deadline on every request. Whatever is not a whole answer to the request just made
//! is a [`Fault`], after which the connection must not be used again: a late answer would be taken for the next one.

use std::{io, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_modbus::{
    Error, ExceptionCode, ExceptionResponse, FunctionCode, ProtocolError, Request, Response, Slave,
    client::{Client as _, Context, tcp},
    slave::SlaveContext as _,
};

use super::{
    Source, Span, Table,
    file_record::{self, FileSpan},
};
use crate::SessionError;

/// Bytes of an answer besides its data: MBAP header, function code, byte count.
const OVERHEAD: u64 = 9;

pub(super) struct Link {
    context: Context,
    timeout: Duration,
}

/// A whole answer.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Registers(Vec<u16>),
    Bits(Vec<bool>),
    /// The device refuses; the link is healthy.
    Exception(u8),
}

impl Answer {
    /// How many bytes it was on the wire.
    pub(super) fn bytes(&self) -> u64 {
        OVERHEAD
            + match self {
                Self::Registers(words) => 2 * words.len() as u64,
                Self::Bits(bits) => bits.len().div_ceil(8) as u64,
                Self::Exception(_) => 0,
            }
    }
}

/// Why the link is of no further use.
#[derive(Debug)]
pub(super) enum Fault {
    Timeout,
    OutOfStep(String),
    Broken(io::Error),
}

impl Link {
    /// Connects, with `TCP_NODELAY`.
    pub(super) async fn connect(source: &Source) -> Result<Self, SessionError> {
        let endpoint = || source.endpoint.clone();
        let connecting = async {
            let stream = TcpStream::connect(&source.endpoint).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = match timeout(source.connect_timeout, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => {
                return Err(SessionError::Connect { endpoint: endpoint(), source: cause });
            }
            Err(_) => {
                let timeout_ms = millis(source.connect_timeout);
                return Err(SessionError::ConnectTimeout { endpoint: endpoint(), timeout_ms });
            }
        };
        Ok(Self { context: tcp::attach(stream), timeout: source.timeout })
    }

    /// Reads a span; also says how long that took.
    pub(super) async fn read(&mut self, span: Span) -> (Result<Answer, Fault>, Duration) {
        self.context.set_slave(Slave(span.unit));
        let request = match span.table {
            Table::Coil => Request::ReadCoils(span.address, span.count),
            Table::Discrete => Request::ReadDiscreteInputs(span.address, span.count),
            Table::Holding => Request::ReadHoldingRegisters(span.address, span.count),
            Table::Input => Request::ReadInputRegisters(span.address, span.count),
        };
        let asked_at = Instant::now();
        let answer = match timeout(self.timeout, self.context.call(request)).await {
            Ok(answer) => checked(span, answer),
            Err(_) => Err(Fault::Timeout),
        };
        (answer, asked_at.elapsed())
    }

    /// Reads a part of a file; also says how long that took.
    pub(super) async fn read_file(&mut self, part: FileSpan) -> (Result<Answer, Fault>, Duration) {
        self.context.set_slave(Slave(part.unit));
        let request = Request::Custom(file_record::FUNCTION, part.request().to_vec().into());
        let asked_at = Instant::now();
        let answer = match timeout(self.timeout, self.context.call(request)).await {
            Ok(Ok(Ok(Response::Custom(file_record::FUNCTION, bytes)))) => {
                part.registers(&bytes).map(Answer::Registers).map_err(Fault::OutOfStep)
            }
            // The library knows the code of an exception to this function by name, and ours as a custom one.
            Ok(Err(Error::Protocol(ProtocolError::FunctionCodeMismatch {
                result: Err(ExceptionResponse { function: FunctionCode::ReadFileRecord, exception }),
                ..
            }))) => Ok(Answer::Exception(exception.into())),
            Ok(answer) => checked(part.place(), answer),
            Err(_) => Err(Fault::Timeout),
        };
        (answer, asked_at.elapsed())
    }
}

/// A duration as it stands in messages.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn checked(
    span: Span,
    answer: Result<Result<Response, ExceptionCode>, Error>,
) -> Result<Answer, Fault> {
    match answer {
        Ok(Ok(response)) => match (span.table, response) {
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
        Ok(Err(exception)) => Ok(Answer::Exception(exception.into())),
        Err(Error::Protocol(ProtocolError::HeaderMismatch { message, .. })) => {
            Err(Fault::OutOfStep(message))
        }
        Err(Error::Protocol(ProtocolError::FunctionCodeMismatch { .. })) => {
            Err(Fault::OutOfStep("it is the answer to another function".to_owned()))
        }
        // The library reports the end of the stream as whatever errno was last, so the kind says nothing.
        Err(Error::Transport(cause)) => Err(Fault::Broken(cause)),
    }
}

fn whole(answer: Answer, length: usize, span: Span) -> Result<Answer, Fault> {
    if length == usize::from(span.count) {
        return Ok(answer);
    }
    Err(Fault::OutOfStep(format!("it has {length} values instead of {}", span.count)))
}
