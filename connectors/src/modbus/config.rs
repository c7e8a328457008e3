//! `[[modbus]]` of `bellwether.toml`, and the way to a validated [`Source`].

use std::{collections::BTreeMap, time::Duration};

use bellwether_domain::{Meaning, Role, TagId};
use serde::Deserialize;

use super::{
    Addressing, Block, Encoding, Framing, Limits, Order, Pace, RegisterConfig, Sentinel,
    SerialLine, Source, SourceTag, Span, TlsFiles, Transport, ValueType, plan, problems,
    register::Habits,
};
use crate::TagMeta;

/// One `[[modbus]]`: a device, or a gateway with units behind it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModbusConfig {
    /// Name of the source, unique.
    pub name: String,
    /// `host:port`; the port is ordinarily 502, with TLS 802. Needed unless there is `serial`.
    #[serde(default)]
    pub endpoint: String,
    /// What is spoken at `endpoint`.
    #[serde(default)]
    pub transport: Framing,
    /// Trust, for transport `tls`.
    pub tls: Option<TlsFiles>,
    /// The serial line the units are on, instead of `endpoint`.
    pub serial: Option<SerialLine>,
    /// Wall time from one poll to the next.
    #[serde(default = "default_poll_interval_ms")]
    pub poll_interval_ms: u64,
    /// How long an answer may take.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Shortest an answer is waited for: a unit that has been quick is given up after eight times its slowest answer of
    /// late, but not before this, and not after `timeout_ms`. As long as `timeout_ms`, that is always waited for.
    #[serde(default = "default_min_timeout_ms")]
    pub min_timeout_ms: u64,
    /// So many more times a unit that has not answered is asked before it is left alone for a while.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// From one request to the next at least, for devices that cannot keep up.
    #[serde(default)]
    pub min_request_interval_ms: u64,
    /// From an answer to the next request at least; on a serial line never less than 3.5 characters.
    pub turnaround_ms: Option<u64>,
    /// How long setting up the connection may take.
    #[serde(default = "default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// After how long without a value a tag is stale; by default three polls and two timeouts.
    pub stale_after_ms: Option<u64>,
    /// Unit asked, unless a tag names another: 1 for most devices, 255 or 0 for some that speak TCP natively.
    #[serde(default = "default_unit_id")]
    pub unit_id: u8,
    /// How the device counts its addresses; references such as 40101 count from 1 in any case.
    #[serde(default)]
    pub addressing: Addressing,
    /// Order of bytes of all its values that do not name another; `ABCD` (big-endian) if absent.
    #[serde(default)]
    pub order: Order,
    /// Two values are read with one request if no more addresses than this lie between them.
    #[serde(default = "default_max_gap")]
    pub max_gap: u16,
    /// Whether addresses that no tag names may be read to save a request; with `false`, `max_gap` counts as 0.
    #[serde(default = "default_allow_holes")]
    pub allow_holes: bool,
    /// Most registers one request may ask for; some devices allow fewer than the 125 of the standard.
    #[serde(default = "default_max_registers")]
    pub max_registers: u16,
    /// Most coils or discrete inputs one request may ask for.
    #[serde(default = "default_max_bits")]
    pub max_bits: u16,
    /// Name of a tag that counts samples: a poll is delivered only if it has changed since the last one delivered.
    pub sample_counter: Option<String>,
    /// What is read.
    #[serde(default)]
    pub tag: Vec<ModbusTagConfig>,
}

/// One `[[modbus.tag]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModbusTagConfig {
    /// Unique in the plant, for example `pump-1.vibration`.
    pub name: String,
    /// Path of the asset it observes.
    pub asset: String,
    /// UCUM text.
    #[serde(default)]
    pub unit: String,
    /// Unit asked, if not that of the section.
    pub unit_id: Option<u8>,
    /// Plausible range `[low, high]`.
    pub range: Option<[f64; 2]>,
    /// What it tells about its asset; `information` for a state or a text, `condition` for all else, if absent.
    pub role: Option<Role>,
    /// The asset has failed when the tag is above this.
    pub failure_above: Option<f64>,
    /// The asset has failed when the tag is below this.
    pub failure_below: Option<f64>,
    /// Where the value lies and what its bits mean.
    pub register: RegisterConfig,
    /// Value = raw × scale + offset.
    #[serde(default = "default_scale")]
    pub scale: f64,
    /// Value = raw × scale + offset.
    #[serde(default)]
    pub offset: f64,
    /// Raw values by which the device says that it has none.
    #[serde(default)]
    pub sentinels: Vec<Sentinel>,
    /// Names of the codes of a state: `{ 0 = "stopped", 1 = "running" }`.
    #[serde(default)]
    pub states: BTreeMap<String, String>,
}

const fn default_poll_interval_ms() -> u64 {
    1_000
}

const fn default_timeout_ms() -> u64 {
    1_000
}

const fn default_min_timeout_ms() -> u64 {
    200
}

const fn default_retries() -> u32 {
    1
}

/// What is left between two frames on a serial line, unless told otherwise: more than 3.5 characters, because many
/// devices need longer to turn their transmitters around.
const SERIAL_TURNAROUND_MS: u64 = 5;

const fn default_connect_timeout_ms() -> u64 {
    3_000
}

const fn default_unit_id() -> u8 {
    1
}

const fn default_max_gap() -> u16 {
    8
}

const fn default_allow_holes() -> bool {
    true
}

const fn default_max_registers() -> u16 {
    Limits::STANDARD.max_registers
}

const fn default_max_bits() -> u16 {
    Limits::STANDARD.max_bits
}

const fn default_scale() -> f64 {
    1.0
}

impl ModbusTagConfig {
    /// What the number stands for.
    pub(super) fn meaning(&self) -> Meaning {
        if self.register.value_type == Some(ValueType::String) {
            return Meaning::Text;
        }
        if self.states.is_empty() {
            return Meaning::Measurement;
        }
        let states = self.states.iter();
        Meaning::States(states.filter_map(|(it, name)| Some((code(it)?, name.clone()))).collect())
    }

    fn role(&self) -> Role {
        let usual = match self.meaning() {
            Meaning::Measurement => Role::Condition,
            Meaning::States(_) | Meaning::Text => Role::Information,
        };
        self.role.unwrap_or(usual)
    }
}

/// The code of a state, as written.
pub(super) fn code(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

impl ModbusConfig {
    /// After how long without a value a tag is stale, in wall time.
    pub fn stale_after_ms(&self) -> u64 {
        let polls = self.poll_interval_ms.saturating_mul(3);
        self.stale_after_ms
            .unwrap_or_else(|| polls.saturating_add(self.timeout_ms.saturating_mul(2)))
    }

    /// Its tags, in the order of the file.
    pub fn tags(&self) -> impl Iterator<Item = TagMeta> {
        self.tag.iter().map(|tag| TagMeta {
            name: tag.name.clone(),
            asset: tag.asset.clone(),
            unit: tag.unit.clone(),
            range: tag.range,
            role: tag.role(),
            meaning: tag.meaning(),
            failure_above: tag.failure_above,
            failure_below: tag.failure_below,
            waveform: None,
        })
    }

    /// Everything that is wrong with the section, each with the name of the thing and what to do.
    pub fn problems(&self) -> Vec<String> {
        problems::of(self)
    }

    /// What is wrong with several sections taken together.
    pub fn problems_together(sections: &[Self]) -> Vec<String> {
        problems::shared_lines(sections)
    }

    /// What is not wrong, but hardly meant, or likely to go wrong one day.
    pub fn warnings(&self) -> Vec<String> {
        let line = self.serial.as_ref().and_then(SerialLine::warning);
        let line = line.map(|warning| format!("modbus `{}`: {warning}", self.name));
        line.into_iter().chain(problems::warnings(self)).collect()
    }

    /// The validated source; `ids[i]` belongs to tag `i`. Only once [`Self::problems`] finds nothing.
    pub fn source(&self, ids: &[TagId]) -> Source {
        let tags = self.tag.iter().zip(ids).filter_map(|(tag, id)| self.source_tag(tag, *id));
        let counter = self.sample_counter.as_ref();
        Source {
            name: self.name.clone(),
            endpoint: self.transport().endpoint(),
            transport: self.transport(),
            pace: self.pace(),
            poll_interval: Duration::from_millis(self.poll_interval_ms),
            timeout: Duration::from_millis(self.timeout_ms),
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            limits: self.limits(),
            tags: tags.collect(),
            sample_counter: counter
                .and_then(|name| self.tag.iter().position(|tag| tag.name == *name)),
        }
    }

    /// What leads to the device.
    pub fn transport(&self) -> Transport {
        let endpoint = self.endpoint.clone();
        match (&self.serial, self.transport, &self.tls) {
            (Some(line), _, _) => Transport::Serial(line.clone()),
            (None, Framing::Tls, Some(files)) => Transport::Tls(endpoint, files.clone()),
            (None, Framing::RtuOverTcp, _) => Transport::RtuOverTcp(endpoint),
            (None, Framing::Tcp | Framing::Tls, _) => Transport::Tcp(endpoint),
        }
    }

    fn pace(&self) -> Pace {
        let turnaround_ms = if self.serial.is_some() { SERIAL_TURNAROUND_MS } else { 0 };
        Pace {
            min_request_interval: Duration::from_millis(self.min_request_interval_ms),
            turnaround: Duration::from_millis(self.turnaround_ms.unwrap_or(turnaround_ms)),
            min_timeout: Duration::from_millis(self.min_timeout_ms.min(self.timeout_ms)),
            retries: self.retries,
        }
    }

    /// A validated tag; `None` only for one that [`Self::problems`] complains about.
    fn source_tag(&self, tag: &ModbusTagConfig, id: TagId) -> Option<SourceTag> {
        let (span, encoding) = self.resolve(tag).ok()?;
        let bits = |sentinel: &Sentinel| sentinel.bits(encoding.value_type).ok();
        Some(SourceTag {
            id,
            span,
            encoding,
            sentinels: tag.sentinels.iter().filter_map(bits).collect(),
            scale: tag.scale,
            offset: tag.offset,
        })
    }

    /// Where the value of one of its tags lies and how it is coded.
    ///
    /// # Errors
    /// What is wrong with its `register`, a sentence each.
    pub(super) fn resolve(&self, tag: &ModbusTagConfig) -> Result<(Span, Encoding), Vec<String>> {
        let habits = Habits { addressing: self.addressing, order: self.order };
        tag.register.resolve(tag.unit_id.unwrap_or(self.unit_id), habits)
    }

    /// The requests of one poll; as far as its tags can be resolved.
    pub(super) fn plan(&self) -> Vec<Block> {
        let span = |tag| self.resolve(tag).ok().map(|(span, _)| span);
        plan(
            self.tag.iter().map(span).enumerate().filter_map(|(tag, span)| Some((tag, span?))),
            self.limits(),
        )
    }

    pub(super) fn limits(&self) -> Limits {
        let max_gap = if self.allow_holes { self.max_gap } else { 0 };
        Limits { max_gap, max_registers: self.max_registers, max_bits: self.max_bits }
    }
}
