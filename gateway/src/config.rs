//! `bellwether.toml`: the whole file as plain structs, and the way from its text to a validated [`Plant`](bellwether_domain::Plant).
//!
//! Keys carry their units, every struct refuses unknown keys, and every problem is reported at once: first those of
//! form (with line and column), then, once the form is right, those of meaning (with the name of the thing).

pub mod diff;
mod place;
mod plant;
mod problems;
pub mod versions;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use bellwether_analytics::AnalyticsConfig;
use bellwether_connectors::{modbus::ModbusConfig, opcua::OpcuaConfig};
use bellwether_domain::{AssetKind, ConfigProblem};
use serde::Deserialize;

pub use plant::{Setup, SourceSetup};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The gateway itself.
    #[serde(default)]
    pub gateway: GatewayConfig,
    /// The upper levels of the equipment hierarchy.
    pub site: SiteConfig,
    /// The local dashboard.
    #[serde(default)]
    pub http: HttpConfig,
    /// What is kept on disk.
    #[serde(default)]
    pub store: StoreConfig,
    /// How machines are judged.
    #[serde(default)]
    pub analytics: AnalyticsConfig,
    /// The machines.
    #[serde(default)]
    pub asset: Vec<AssetConfig>,
    /// Modbus TCP devices.
    #[serde(default)]
    pub modbus: Vec<ModbusConfig>,
    /// OPC UA servers.
    #[serde(default)]
    pub opcua: Vec<OpcuaConfig>,
    /// MQTT brokers.
    #[serde(default)]
    pub mqtt: Vec<MqttConfig>,
}

/// `[gateway]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// The gateway's own name on the wire.
    pub device: String,
    /// Where the gateway itself stands, as `area/work_center/work_unit`: topic of its own status.
    pub path: String,
    /// Where databases live, unless `--data-dir` says otherwise.
    pub data_dir: PathBuf,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            device: "bellwether".to_owned(),
            path: "gateways/edge/bellwether".to_owned(),
            data_dir: PathBuf::from("/var/lib/bellwether"),
        }
    }
}

/// `[site]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// ISA-95 enterprise.
    pub enterprise: String,
    /// ISA-95 site.
    pub site: String,
}

/// `[http]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address of dashboard and API.
    pub listen: SocketAddr,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)) }
    }
}

/// `[store]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Disk space for raw history and rollups; the oldest raw data goes first.
    pub history_max_mib: u64,
    /// Summaries kept for each uplink while its broker is away; beyond that the oldest go. Alerts stay.
    pub outbox_max_summaries: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { history_max_mib: 2_048, outbox_max_summaries: 50_000 }
    }
}

/// One `[[asset]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetConfig {
    /// `area/work_center/work_unit`.
    pub path: String,
    /// What kind of machine.
    #[serde(default)]
    pub kind: AssetKind,
    /// When it counts as running; always, if absent.
    pub running_when: Option<RunningWhenConfig>,
    /// Time between two aligned rows; by default the slowest poll period of its tags.
    pub frame_period_ms: Option<u64>,
}

/// `running_when = { tag = "…", above = … }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunningWhenConfig {
    /// Name of the deciding tag.
    pub tag: String,
    /// In the tag's unit.
    pub above: f64,
}

/// One `[[mqtt]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Name of the uplink, unique.
    pub name: String,
    /// `mqtt://host:port` or `mqtts://host:port`.
    pub url: String,
    /// How messages are written.
    #[serde(default)]
    pub payload: Payload,
    /// Client identifier; if absent `bw-<device>-` and eight hex digits of this gateway and uplink's own.
    pub client_id: Option<String>,
    /// User name, if the broker wants one.
    pub username: Option<String>,
    /// File that holds the password (mode 0600), if the broker wants one.
    pub password_file: Option<PathBuf>,
    /// PEM file with the certificate authorities to trust for `mqtts`; the system's own if absent.
    pub ca_file: Option<PathBuf>,
    /// How long a dead connection may go unnoticed, about.
    #[serde(default = "default_keep_alive_s")]
    pub keep_alive_s: u16,
    /// How many messages may wait for their acknowledgement at once.
    #[serde(default = "default_in_flight")]
    pub in_flight: u16,
}

/// `payload` of an uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// One JSON object a message.
    #[default]
    Json,
}

const fn default_keep_alive_s() -> u16 {
    15
}

const fn default_in_flight() -> u16 {
    16
}

/// A validated configuration and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file; `None` if it is no file that a person edits.
    pub file: Option<PathBuf>,
    /// Its text.
    pub text: String,
    /// The text as structs.
    pub config: Config,
    /// What it amounts to.
    pub setup: Setup,
}

impl Loaded {
    /// Reads, parses and validates a file.
    ///
    /// # Errors
    /// Every problem at once, each with its place.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
            file: file.to_owned(),
            problems: vec![
                format!("cannot be read: {error}: check the path and its permissions").into(),
            ],
        })?;
        let loaded = Self::parse(file, text, 1.0)?;
        Ok(Self { file: Some(file.to_owned()), ..loaded })
    }

    /// Parses and validates a text; `name` is what it is called in messages.
    ///
    /// # Errors
    /// Every problem at once, each with its place.
    pub fn parse(name: &Path, text: String, speed: f64) -> Result<Self, ConfigError> {
        let config = Config::parse(name, &text)?;
        let setup = config.setup_of(name, &text, speed)?;
        Ok(Self { file: None, text, config, setup })
    }
}

/// All that is wrong with a configuration; its exit code is 78.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Each with its place, as far as it has one.
    pub problems: Vec<ConfigProblem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {noun} in {}:", self.file.display())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// Every problem of form at once, each with line and column.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
            file: file.to_owned(),
            problems: vec![
                format!("cannot be read: {error}: check the path and its permissions").into(),
            ],
        })?;
        Self::parse(file, &text)
    }

    /// Parses the text of a file; `file` is its name for messages.
    ///
    /// # Errors
    /// Every problem of form at once, each with line and column.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        problems::parse(text).map_err(|problems| ConfigError { file: file.to_owned(), problems })
    }

    /// Checks the meaning of it all and builds the plant. `speed`: how much faster than the wall clock plant time
    /// runs, 1 outside the demo.
    ///
    /// # Errors
    /// Every problem of meaning at once.
    pub fn setup(&self, file: &Path, speed: f64) -> Result<Setup, ConfigError> {
        plant::setup(self, speed).map_err(|problems| ConfigError {
            file: file.to_owned(),
            problems: problems.into_iter().map(ConfigProblem::from).collect(),
        })
    }

    /// The same, and each problem gets its line in `text`, which this configuration was parsed from.
    ///
    /// # Errors
    /// Every problem of meaning at once.
    pub fn setup_of(&self, file: &Path, text: &str, speed: f64) -> Result<Setup, ConfigError> {
        plant::setup(self, speed).map_err(|problems| ConfigError {
            file: file.to_owned(),
            problems: place::locate(text, problems),
        })
    }

    /// The sections that take effect while the gateway runs from this configuration, the others from `running`.
    #[must_use]
    pub fn hot_part_on(&self, running: &Self) -> Self {
        Self {
            asset: self.asset.clone(),
            modbus: self.modbus.clone(),
            opcua: self.opcua.clone(),
            ..running.clone()
        }
    }
}
