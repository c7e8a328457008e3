//! The plant as configured: assets by their ISA-95 path, and the tags that observe them. Immutable while it runs; a
//! changed configuration is a new `Plant` of a higher generation.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Index of a tag in [`Plant::tags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TagId(pub u32);

/// Index of an asset in [`Plant::assets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AssetId(pub u32);

impl TagId {
    /// The id as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl AssetId {
    /// The id as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where an asset stands in the equipment hierarchy of ISA-95 (IEC 62264-1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssetPath {
    /// The company.
    pub enterprise: String,
    /// The plant.
    pub site: String,
    /// Part of the plant.
    pub area: String,
    /// Line or cell.
    pub work_center: String,
    /// The machine itself; its short name in sentences.
    pub work_unit: String,
}

impl fmt::Display for AssetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { enterprise, site, area, work_center, work_unit } = self;
        write!(f, "{enterprise}/{site}/{area}/{work_center}/{work_unit}")
    }
}

/// What kind of machine, for presets and icons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// Rotodynamic pump.
    Pump,
    /// Fan or blower.
    Fan,
    /// Electric motor.
    Motor,
    /// Gearbox.
    Gearbox,
    /// Machine tool spindle.
    Spindle,
    /// Compressor.
    Compressor,
    /// Anything else.
    #[default]
    Machine,
}

/// The asset counts as running while this tag is above this level; everything else about it is judged only then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunningWhen {
    /// The deciding tag.
    pub tag: TagId,
    /// In the tag's unit.
    pub above: f64,
}

/// One machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asset {
    /// Unique in the plant.
    pub path: AssetPath,
    /// What it is.
    pub kind: AssetKind,
    /// The tags that observe it, in ascending order.
    pub tags: Vec<TagId>,
    /// When it counts as running; always, if absent.
    pub running_when: Option<RunningWhen>,
    /// Plant time between two frames, the aligned rows that multivariate detectors see.
    pub frame_period: Duration,
}

impl Asset {
    /// The short name for sentences: the work unit.
    pub fn name(&self) -> &str {
        &self.path.work_unit
    }
}

/// What a tag tells about its asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Shows the asset's condition: judged.
    #[default]
    Condition,
    /// Shows what the asset is asked to do (speed, load, set point): explains the others and is not judged itself.
    Driver,
    /// Stored and shown, never judged (a counter, a state).
    Information,
}

/// What the number of a tag stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// A measurement, in the tag's unit.
    #[default]
    Measurement,
    /// A state: a code, and the names of the codes. Shown as the name, never judged.
    States(BTreeMap<i64, String>),
    /// A text. The number is its length; the text itself is in the status of its source. Shown, never judged.
    Text,
}

impl Meaning {
    /// The state of this code, in the words of the configuration, if it has a name.
    pub fn state(&self, code: f64) -> Option<&str> {
        let Self::States(states) = self else { return None };
        #[expect(clippy::cast_possible_truncation, reason = "codes are far smaller than 2^53")]
        let code = code as i64;
        states.get(&code).map(String::as_str)
    }
}

/// Plausible range of a tag, in its unit (OPC UA `EURange`). Values outside are bad.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Lowest plausible value.
    pub low: f64,
    /// Highest plausible value.
    pub high: f64,
}

impl Range {
    /// Whether the value lies in the range, ends included.
    pub fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Level at which the asset counts as failed, in the tag's unit: from ISO 20816-3 zone C/D or from the maker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Failed when above.
    Above(f64),
    /// Failed when below.
    Below(f64),
}

/// A number computed from each waveform of another tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Derived {
    /// The waveform tag.
    pub from: TagId,
    /// What is computed.
    pub feature: WaveformFeature,
}

/// Condition-monitoring numbers of a burst (ISO 13373-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaveformFeature {
    /// Root mean square, in the waveform's unit.
    Rms,
    /// Peak over RMS.
    Crest,
    /// Fourth moment over squared second moment; 3 for Gaussian noise.
    Kurtosis,
}

impl WaveformFeature {
    /// All, in the order in which derived tags are made.
    pub const ALL: [Self; 3] = [Self::Rms, Self::Crest, Self::Kurtosis];

    /// The suffix of the derived tag's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rms => "rms",
            Self::Crest => "crest",
            Self::Kurtosis => "kurtosis",
        }
    }
}

/// One signal of one asset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tag {
    /// Unique in the plant, for example `pump-1.vibration`.
    pub name: String,
    /// The asset it observes.
    pub asset: AssetId,
    /// Name of the source it comes from.
    pub source: String,
    /// UCUM text, for example `mm/s`; empty for a bare number.
    pub unit: String,
    /// What it tells.
    pub role: Role,
    /// What its number stands for.
    pub meaning: Meaning,
    /// Plausible range.
    pub range: Option<Range>,
    /// Level at which the asset has failed.
    pub failure: Option<Limit>,
    /// Plant time between two values at the source's ordinary pace.
    pub period: Duration,
    /// Plant time after which the last value no longer counts.
    pub stale_after: Duration,
    /// Set for tags that the gateway computes from a waveform.
    pub derived: Option<Derived>,
    /// The tag carries waveforms, not numbers.
    pub is_waveform: bool,
}

impl Tag {
    /// The signal in words, for sentences: the name behind its last dot, underscores as blanks.
    pub fn signal(&self) -> String {
        self.name
            .rsplit_once('.')
            .map_or(self.name.as_str(), |(_, signal)| signal)
            .replace('_', " ")
    }
}

/// All assets and tags of one configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plant {
    /// Rises with each changed configuration.
    pub generation: u64,
    /// By [`AssetId`].
    pub assets: Vec<Asset>,
    /// By [`TagId`].
    pub tags: Vec<Tag>,
}

impl Plant {
    /// The asset of this id; ids come from this plant, so it exists.
    pub fn asset(&self, id: AssetId) -> &Asset {
        &self.assets[id.index()]
    }

    /// The tag of this id; ids come from this plant, so it exists.
    pub fn tag(&self, id: TagId) -> &Tag {
        &self.tags[id.index()]
    }

    /// All assets with their ids.
    pub fn assets(&self) -> impl Iterator<Item = (AssetId, &Asset)> {
        (0..).map(AssetId).zip(&self.assets)
    }

    /// All tags with their ids.
    pub fn tags(&self) -> impl Iterator<Item = (TagId, &Tag)> {
        (0..).map(TagId).zip(&self.tags)
    }

    /// The tag of this name.
    pub fn tag_named(&self, name: &str) -> Option<TagId> {
        self.tags().find(|(_, tag)| tag.name == name).map(|(id, _)| id)
    }

    /// The asset of this path (`enterprise/site/area/work_center/work_unit`).
    pub fn asset_at(&self, path: &str) -> Option<AssetId> {
        self.assets().find(|(_, asset)| asset.path.to_string() == path).map(|(id, _)| id)
    }
}
