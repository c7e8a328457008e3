//! What is said about a changed configuration of a running gateway: what is wrong with it, or what it changed.

use std::fmt;

use crate::Timestamp;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigProblem {
    /// The file, if it is another one than the configuration itself: a register map.
    pub file: Option<String>,
    /// The line, from 1, as far as there is one.
    pub line: Option<usize>,
    /// The column, from 1, as far as there is one.
    pub column: Option<usize>,
    /// The table it stands in, such as `[[modbus]] `plc-1``, where the message does not name the thing itself.
    pub table: Option<String>,
    /// The key at fault, as far as there is one.
    pub key: Option<String>,
    /// What is wrong, with what, and what to do.
    pub message: String,
}

impl From<String> for ConfigProblem {
    /// A problem that has no place.
    fn from(message: String) -> Self {
        Self { message, ..Self::default() }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, table, message, .. } = self;
        let place = [
            file.clone(),
            line.map(|line| format!("line {line}")),
            column.map(|column| format!("column {column}")),
            table.as_ref().map(|table| format!("in {table}")),
        ];
        let place: Vec<_> = place.into_iter().flatten().collect();
        if !place.is_empty() {
            write!(f, "{}: ", place.join(", "))?;
        }
        f.write_str(message)
    }
}

/// What a new configuration changed, or would change. Names throughout, each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigDiff {
    /// Sources that were started.
    pub sources_added: Vec<String>,
    /// Sources that were stopped.
    pub sources_removed: Vec<String>,
    /// Sources that were stopped and started anew.
    pub sources_changed: Vec<String>,
    /// Sources that went on as if nothing had happened.
    pub sources_unchanged: Vec<String>,
    /// Tags that are new.
    pub tags_added: Vec<String>,
    /// Tags that are gone.
    pub tags_removed: Vec<String>,
    /// Tags of which something other than their place on the device changed: unit, range, role, limit, asset.
    pub tags_changed: Vec<String>,
    /// Paths of assets that are new.
    pub assets_added: Vec<String>,
    /// Paths of assets that are gone.
    pub assets_removed: Vec<String>,
    /// Paths of assets that begin to learn anew, because the tags they are judged by changed.
    pub assets_relearning: Vec<String>,
    /// Settings that take effect at the next start only.
    pub needs_restart: Vec<String>,
}

/// What became of a new configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigApplied {
    /// Number of the version that runs now.
    pub version: u64,
    /// Whether it was applied; not if only a trial was asked for.
    pub is_applied: bool,
    /// What changed, or would.
    pub diff: ConfigDiff,
    /// What should be looked at all the same.
    pub warnings: Vec<String>,
}

/// Why a new configuration changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigRefusal {
    /// There is something wrong with it.
    #[error("{} in the configuration: nothing was changed", problems(.0.len()))]
    Invalid(Vec<ConfigProblem>),
    /// Somebody else was faster.
    #[error(
        "version {running} runs by now, not the one this change was made to: load it, and make the change again"
    )]
    Outdated {
        /// The version that runs.
        running: u64,
    },
    /// The file is not what runs: a person has edited it and not loaded it.
    #[error(
        "{file} was edited and has not been loaded, and this change would overwrite that: reload it first (systemctl reload bellwether), or put it back"
    )]
    Edited {
        /// The file.
        file: String,
    },
    /// The dashboard can be reached by others and has no login.
    #[error(
        "the dashboard can be reached by others and has no login, so the configuration cannot be changed here: edit the file and reload it (systemctl reload bellwether)"
    )]
    Locked,
    /// It could not be written down.
    #[error("the configuration cannot be kept ({0}): nothing was changed")]
    Disk(String),
    /// The engine cannot change over now.
    #[error("{0}: nothing was changed; try again in a minute")]
    Busy(&'static str),
}

fn problems(count: usize) -> String {
    format!("{count} problem{}", if count == 1 { "" } else { "s" })
}

/// Who put a version into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOrigin {
    /// It was there when the process began.
    Start,
    /// A person edited the file and reloaded it.
    Reload,
    /// It came through the API.
    Api,
}

impl ConfigOrigin {
    /// All.
    pub const ALL: [Self; 3] = [Self::Start, Self::Reload, Self::Api];

    /// Stable code for file names and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reload => "reload",
            Self::Api => "api",
        }
    }
}

/// One version of the configuration that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigVersion {
    /// Counts from 1 and never starts over.
    pub version: u64,
    /// When it came into force, in plant time.
    pub at: Timestamp,
    /// By whom.
    pub origin: ConfigOrigin,
    /// How large its text is.
    pub bytes: u64,
}

/// A version with its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigText {
    /// Its number.
    pub version: u64,
    /// TOML.
    pub text: String,
}
