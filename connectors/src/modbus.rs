//! Modbus (MODBUS Application Protocol 1.1b3, Messaging on TCP/IP 1.0b, Modbus over Serial Line 1.02): polls a device,
//! and the units behind it, over one connection or line: TCP, TCP in TLS, RTU frames over TCP, RTU on a serial line.
//!
//! The plan of requests, the decoding of answers, timing and the memory of silent units and refused addresses are pure;
//! only `session`, `link` and what is below them do I/O. Read function codes (01–04, 2B/0E) only.

mod address;
pub mod budget;
mod burst;
mod config;
mod decode;
mod diagnosis;
mod file_record;

#[cfg(test)]
mod hostile;
mod layout;
mod link;
mod plan;
pub mod probe;
mod problems;
mod quarantine;
mod register;
mod search;
mod sentinel;
mod session;
mod tap;
mod timing;
mod tls;
mod transport;
mod waveform;

use std::time::Duration;

use bellwether_domain::TagId;

pub use address::{Address, Addressing, Place, as_reference};
pub use burst::WaveformSource;
pub use config::{ModbusConfig, ModbusTagConfig};
pub use decode::{Encoding, Order, ValueType};
pub use plan::{Block, Limits, Span, Table, plan};
pub use quarantine::Quarantine;
pub use register::RegisterConfig;
pub use sentinel::Sentinel;
pub use session::run;
pub use timing::{Pace, silence};
pub use transport::{Framing, Parity, SerialLine, TlsFiles, Transport};
pub use waveform::ModbusWaveformConfig;

/// A validated `[[modbus]]` section: all that a session needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Name in the configuration.
    pub name: String,
    /// Where it connects to, in words.
    pub endpoint: String,
    /// How it gets there.
    pub transport: Transport,
    /// The pace of its requests.
    pub pace: Pace,
    /// Wall time from one poll to the next.
    pub poll_interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long setting up the connection may take.
    pub connect_timeout: Duration,
    /// What one request may ask for.
    pub limits: Limits,
    /// In the order of the configuration.
    pub tags: Vec<SourceTag>,
    /// Bursts kept in files, in the order of the configuration.
    pub waveforms: Vec<WaveformSource>,
    /// Index of the tag that says whether there is a new sample.
    pub sample_counter: Option<usize>,
}

/// A tag and how to get its value.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceTag {
    /// Whose value.
    pub id: TagId,
    /// Which registers.
    pub span: Span,
    /// What their bits mean.
    pub encoding: Encoding,
    /// Bits by which the device says that it has no value; in the order of the standard, as the number would be.
    pub sentinels: Box<[u64]>,
    /// Value = raw × scale + offset.
    pub scale: f64,
    /// Value = raw × scale + offset, in the tag's unit.
    pub offset: f64,
}

impl SourceTag {
    /// Where the value lies, in words: `unit 3, holding 256, f32`. Two tags with the same words read the same bits.
    pub fn address(&self) -> String {
        let Span { unit, table, address, count } = self.span;
        let Encoding { value_type, order, bit } = self.encoding;
        let detail = match value_type {
            ValueType::Bit => format!(" {bit}"),
            ValueType::String => format!(" of {count} registers"),
            _ if order == Order::default() => String::new(),
            _ => format!(" {order:?}").to_uppercase(),
        };
        format!("unit {unit}, {} {address}, {}{detail}", table.as_str(), value_type.as_str())
    }
}

impl Source {
    /// Where the values of its tags lie, in words.
    pub fn addresses(&self) -> Vec<(TagId, String)> {
        let tags = self.tags.iter().map(|tag| (tag.id, tag.address()));
        tags.chain(self.waveforms.iter().map(|it| (it.id, it.address()))).collect()
    }

    /// The ids of all its tags.
    pub fn tag_ids(&self) -> impl Iterator<Item = TagId> {
        let waveforms = self.waveforms.iter().map(|waveform| waveform.id);
        self.tags.iter().map(|tag| tag.id).chain(waveforms)
    }

    fn spans(&self) -> impl Iterator<Item = (usize, Span)> {
        self.tags.iter().map(|tag| tag.span).enumerate()
    }
}
