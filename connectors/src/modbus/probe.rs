//! Asks a device that is not configured yet what is there. Reads only, one request at a time; how many and how fast is
//! the caller's business.

use std::time::Duration;

use tokio_modbus::{Request, Response, prelude::ReadCode};

use super::{
    Pace, Span, Table, Transport,
    diagnosis::exception_in_words,
    link::{Answer, Fault, Link, drain, millis},
};
use crate::SessionError;

/// More objects than this no device tells of itself; one that says more is going round in circles.
const MOST_OBJECTS: usize = 64;

/// What is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it is and how it is spoken to.
    pub transport: Transport,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long setting up the connection may take.
    pub connect_timeout: Duration,
}

/// Why there are no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Somebody is there and refuses.
    #[error("the unit refuses: {} (exception {code:02X})", exception_in_words(*code))]
    Exception {
        /// Exception code.
        code: u8,
    },
    /// Nobody has answered in time.
    #[error("nobody answered within {timeout_ms} ms")]
    Silent {
        /// How long was waited.
        timeout_ms: u64,
    },
    /// What came is no answer to the request, or the connection has broken; the next request begins with a new one.
    #[error("{detail}")]
    Broken {
        /// What is wrong.
        detail: String,
    },
}

/// An open connection to a device. Opens itself anew after an error, at the next request.
pub struct Probe {
    target: Target,
    link: Option<Link>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Probe").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Connects.
///
/// # Errors
/// If the transport cannot be opened.
pub async fn open(target: Target) -> Result<Probe, SessionError> {
    let link = connect(&target).await?;
    Ok(Probe { target, link: Some(link) })
}

async fn connect(target: &Target) -> Result<Link, SessionError> {
    Link::connect(&target.transport, target.connect_timeout, Pace::default()).await
}

impl Probe {
    /// Reads registers, or bits as 0 and 1.
    ///
    /// # Errors
    /// If there is no whole answer to exactly this.
    pub async fn read(
        &mut self,
        unit: u8,
        table: Table,
        address: u16,
        count: u16,
    ) -> Result<Vec<u16>, ProbeError> {
        let span = Span { unit, table, address, count };
        let limit = self.target.timeout;
        let answer = self.link().await?.read(span, limit).await.answer;
        match answer {
            Ok(Answer::Registers(words)) => Ok(words),
            Ok(Answer::Bits(bits)) => {
                let wanted = bits.into_iter().take(usize::from(count));
                Ok(wanted.map(u16::from).collect())
            }
            Ok(Answer::Exception(code)) => Err(ProbeError::Exception { code }),
            Err(fault) => Err(self.broken(fault).await),
        }
    }

    /// What the unit says about itself (0x2B/0x0E, basic and regular): object id and text. 0 is the maker, 1 the
    /// product code, 2 the version, 3 the address of the maker, 4 the product's name, 5 the model.
    ///
    /// # Errors
    /// If there is no whole answer; [`ProbeError::Exception`] 01 from a device that does not know the function.
    pub async fn device_identification(
        &mut self,
        unit: u8,
    ) -> Result<Vec<(u8, String)>, ProbeError> {
        let limit = self.target.timeout;
        let mut objects = Vec::new();
        let mut next = 0;
        while objects.len() < MOST_OBJECTS {
            let request = Request::ReadDeviceIdentification(ReadCode::Regular, next);
            let (answer, _) = self.link().await?.call(unit, request, limit).await;
            let identification = match answer {
                Ok(Ok(Response::ReadDeviceIdentification(identification))) => identification,
                Ok(Ok(_)) => {
                    let detail = "it is the answer to another function".to_owned();
                    return Err(self.broken(Fault::OutOfStep(detail)).await);
                }
                Ok(Err(code)) => return Err(ProbeError::Exception { code }),
                Err(fault) => return Err(self.broken(fault).await),
            };
            let told = identification.device_id_objects.iter();
            objects.extend(told.map(|it| (it.id, String::from_utf8_lossy(&it.value).into_owned())));
            let following = identification.next_object_id;
            // A device that sends the reader back would be read for ever.
            if !identification.more_follows || following <= next {
                break;
            }
            next = following;
        }
        Ok(objects)
    }

    async fn link(&mut self) -> Result<&mut Link, ProbeError> {
        let link = match self.link.take() {
            Some(link) => link,
            None => connect(&self.target)
                .await
                .map_err(|error| ProbeError::Broken { detail: error.in_words() })?,
        };
        Ok(self.link.insert(link))
    }

    async fn broken(&mut self, fault: Fault) -> ProbeError {
        self.link = None;
        drain(&self.target.transport, self.target.timeout).await;
        match fault {
            Fault::Timeout(limit) => ProbeError::Silent { timeout_ms: millis(limit) },
            Fault::OutOfStep(detail) => {
                ProbeError::Broken { detail: format!("the answer does not fit: {detail}") }
            }
            Fault::Broken(cause) => {
                ProbeError::Broken { detail: format!("the connection broke: {cause}") }
            }
        }
    }
}
