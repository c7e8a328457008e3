//! From [`Config`] to the validated [`Plant`] and its sources. Every problem of meaning is collected; nothing past this
//! file ever sees the raw configuration of a tag or an asset.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bellwether_connectors::{TagMeta, modbus, opcua};
use bellwether_domain::{
    Asset, AssetId, AssetPath, ConnectorStatus, Derived, Limit, Plant, Range, Role, RunningWhen,
    Tag, TagId, WaveformFeature,
};

use super::{AssetConfig, Config, MqttConfig};

/// A validated configuration, ready to run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Assets and tags.
    pub plant: Arc<Plant>,
    /// Where the gateway itself stands.
    pub gateway_path: AssetPath,
    /// What to read.
    pub sources: Vec<SourceSetup>,
}

/// One validated source.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceSetup {
    /// A Modbus TCP device.
    Modbus(modbus::Source),
    /// An OPC UA server.
    Opcua(opcua::Source),
}

impl SourceSetup {
    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        match self {
            Self::Modbus(source) => &source.name,
            Self::Opcua(source) => &source.name,
        }
    }

    /// The ids of its tags.
    pub fn tag_ids(&self) -> Vec<TagId> {
        match self {
            Self::Modbus(source) => source.tag_ids().collect(),
            Self::Opcua(source) => source.tag_ids().collect(),
        }
    }

    /// The same source with other ids, in the order of its tags.
    #[must_use]
    pub fn with_ids(&self, ids: &[TagId]) -> Self {
        let mut source = self.clone();
        match &mut source {
            Self::Modbus(source) => {
                source.tags.iter_mut().zip(ids).for_each(|(tag, id)| tag.id = *id);
            }
            Self::Opcua(source) => {
                source.tags.iter_mut().zip(ids).for_each(|(tag, id)| tag.id = *id);
            }
        }
        source
    }

    /// What is known about the source before it has begun.
    pub fn status(&self) -> ConnectorStatus {
        let (name, protocol, endpoint, tags) = match self {
            Self::Modbus(s) => (&s.name, "modbus", &s.endpoint, s.tag_ids().count()),
            Self::Opcua(s) => (&s.name, "opcua", &s.endpoint, s.tags.len()),
        };
        let (name, endpoint) = (name.clone(), endpoint.clone());
        let addresses = match self {
            Self::Modbus(s) => s.addresses(),
            Self::Opcua(s) => s.tags.iter().map(|tag| (tag.id, tag.address())).collect(),
        };
        let addresses = Arc::new(addresses);
        ConnectorStatus { name, protocol, endpoint, tags, addresses, ..ConnectorStatus::default() }
    }
}

/// Tags of one source as they stand in the file, with what the source says about all of them.
struct SourceTags {
    source: String,
    period_ms: u64,
    stale_after_ms: u64,
    tags: Vec<TagMeta>,
}

pub(super) fn setup(config: &Config, speed: f64) -> Result<Setup, Vec<String>> {
    let mut problems = config.analytics.problems();
    problems.extend(config.modbus.iter().flat_map(modbus::ModbusConfig::problems));
    problems.extend(modbus::ModbusConfig::problems_together(&config.modbus));
    problems.extend(config.opcua.iter().flat_map(opcua::OpcuaConfig::problems));
    problems.extend(config.mqtt.iter().flat_map(mqtt_problems));
    unique("source", source_names(config), &mut problems);
    unique("mqtt uplink", config.mqtt.iter().map(|mqtt| mqtt.name.as_str()), &mut problems);
    unique("asset", config.asset.iter().map(|asset| asset.path.as_str()), &mut problems);

    let sources = source_tags(config);
    // A name that is there twice within one source is that source's own problem, reported above.
    let names = |s: &SourceTags| s.tags.iter().map(|tag| tag.name.clone()).collect::<BTreeSet<_>>();
    let names: Vec<_> = sources.iter().flat_map(names).collect();
    unique("tag", names.iter().map(String::as_str), &mut problems);
    let gateway_path = asset_path(config, &config.gateway.path, "[gateway] path", &mut problems);
    let paths: Vec<_> = config
        .asset
        .iter()
        .map(|asset| asset_path(config, &asset.path, "[[asset]] path", &mut problems))
        .collect();
    if config.asset.is_empty() {
        problems.push("there is no [[asset]]: name at least one machine to watch".to_owned());
    }

    let (tags, ids) = tags(config, &sources, speed, &mut problems);
    let assets = config
        .asset
        .iter()
        .zip(paths)
        .zip(0..)
        .map(|((asset, path), id)| {
            build_asset(asset, path, AssetId(id), &tags, speed, &mut problems)
        })
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let plant = Arc::new(Plant { generation: 1, assets, tags });
    Ok(Setup { plant, gateway_path, sources: build_sources(config, &ids, speed) })
}

fn source_names(config: &Config) -> impl Iterator<Item = &str> {
    let modbus = config.modbus.iter().map(|source| source.name.as_str());
    modbus.chain(config.opcua.iter().map(|source| source.name.as_str()))
}

fn source_tags(config: &Config) -> Vec<SourceTags> {
    let modbus = config.modbus.iter().map(|source| SourceTags {
        source: source.name.clone(),
        period_ms: source.poll_interval_ms,
        stale_after_ms: source.stale_after_ms(),
        tags: source.tags().collect(),
    });
    let opcua = config.opcua.iter().map(|source| SourceTags {
        source: source.name.clone(),
        period_ms: source.publishing_interval_ms,
        stale_after_ms: source.stale_after_ms(),
        tags: source.tags().collect(),
    });
    modbus.chain(opcua).collect()
}

/// Ids in the order of the file: all Modbus sources, then all OPC UA sources, as in [`source_tags`].
fn build_sources(config: &Config, ids: &[Vec<TagId>], speed: f64) -> Vec<SourceSetup> {
    let (modbus_ids, opcua_ids) = ids.split_at(config.modbus.len());
    let modbus = config.modbus.iter().zip(modbus_ids);
    let opcua = config.opcua.iter().zip(opcua_ids);
    modbus
        .map(|(source, ids)| SourceSetup::Modbus(source.source(ids)))
        .chain(opcua.map(|(source, ids)| {
            let mut source = source.source(ids);
            // A limit in wall time, as every time in the file; the demo's plant time runs faster.
            source.clock_skew_limit = source.clock_skew_limit.mul_f64(speed);
            SourceSetup::Opcua(source)
        }))
        .collect()
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>, problems: &mut Vec<String>) {
    let mut count = BTreeMap::<&str, u32>::new();
    names.for_each(|name| *count.entry(name).or_default() += 1);
    problems.extend(count.into_iter().filter(|(_, count)| *count > 1).map(|(name, count)| {
        format!("{what} `{name}` is there {count} times: give each a name of its own")
    }));
}

/// `area/work_center/work_unit` below the site. Characters that mean something in topics and addresses are refused.
fn asset_path(config: &Config, text: &str, key: &str, problems: &mut Vec<String>) -> AssetPath {
    let segments: Vec<_> = text.split('/').collect();
    let is_name = |name: &str| {
        !name.is_empty() && !name.contains(|c: char| c.is_control() || "+#./ ".contains(c))
    };
    if segments.len() != 3 || !segments.iter().copied().all(is_name) {
        problems.push(format!(
            "{key} = `{text}`: write it as area/work_center/work_unit, three names without blanks, dots, + and #"
        ));
    }
    for (key, name) in [("enterprise", &config.site.enterprise), ("site", &config.site.site)] {
        let problem =
            format!("[site] {key} = `{name}`: write a name without blanks, dots, slashes, + and #");
        if !is_name(name) && !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    let segment = |index: usize| segments.get(index).copied().unwrap_or_default().to_owned();
    AssetPath {
        enterprise: config.site.enterprise.clone(),
        site: config.site.site.clone(),
        area: segment(0),
        work_center: segment(1),
        work_unit: segment(2),
    }
}

/// All tags of the plant, derived ones behind those of the sources, and the ids by source.
fn tags(
    config: &Config,
    sources: &[SourceTags],
    speed: f64,
    problems: &mut Vec<String>,
) -> (Vec<Tag>, Vec<Vec<TagId>>) {
    let mut tags = Vec::new();
    let mut ids = Vec::new();
    for source in sources {
        let first = tags.len();
        for meta in &source.tags {
            tags.push(build_tag(config, source, meta, speed, problems));
        }
        ids.push((first..tags.len()).map(tag_id).collect());
    }
    let waveforms: Vec<_> =
        tags.iter().enumerate().filter(|(_, tag)| tag.is_waveform).map(|(at, _)| at).collect();
    for from in waveforms {
        let derived =
            WaveformFeature::ALL.map(|feature| derive(&tags[from], tag_id(from), feature));
        tags.extend(derived);
    }
    (tags, ids)
}

fn tag_id(index: usize) -> TagId {
    TagId(u32::try_from(index).expect("a configuration file has fewer than 2^32 tags"))
}

fn build_tag(
    config: &Config,
    source: &SourceTags,
    meta: &TagMeta,
    speed: f64,
    problems: &mut Vec<String>,
) -> Tag {
    let place = format!("source `{}`, tag `{}`", source.source, meta.name);
    let asset = config.asset.iter().position(|asset| asset.path == meta.asset);
    if asset.is_none() {
        let known: Vec<_> = config.asset.iter().map(|asset| asset.path.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        problems.push(format!("{place}: unknown asset `{}`: the assets are {known}", meta.asset));
    }
    if meta.name.is_empty() || meta.name.contains(|c: char| c.is_control() || "+#/ ".contains(c)) {
        problems.push(format!("{place}: write a name without blanks, slashes, + and #"));
    }
    let range = meta.range.map(|[low, high]| Range { low, high });
    if range
        .is_some_and(|range| range.low.partial_cmp(&range.high) != Some(std::cmp::Ordering::Less))
    {
        problems.push(format!("{place}: `range` is [low, high] with low below high"));
    }
    let failure = match (meta.failure_above, meta.failure_below) {
        (Some(above), None) => Some(Limit::Above(above)),
        (None, Some(below)) => Some(Limit::Below(below)),
        (None, None) => None,
        (Some(_), Some(_)) => {
            problems.push(format!("{place}: give `failure_above` or `failure_below`, not both"));
            None
        }
    };
    // A burst is rarer than the values around it; its features live until three have been missed.
    let (period_ms, stale_after_ms) = match meta.waveform {
        Some(waveform) => (waveform.period_ms, waveform.period_ms.saturating_mul(3)),
        None => (source.period_ms, source.stale_after_ms),
    };
    Tag {
        name: meta.name.clone(),
        asset: AssetId(u32::try_from(asset.unwrap_or_default()).unwrap_or_default()),
        source: source.source.clone(),
        unit: meta.unit.clone(),
        role: if meta.waveform.is_some() { Role::Information } else { meta.role },
        meaning: meta.meaning.clone(),
        range,
        failure,
        period: plant_time(period_ms, speed),
        stale_after: plant_time(stale_after_ms, speed),
        derived: None,
        is_waveform: meta.waveform.is_some(),
    }
}

fn derive(waveform: &Tag, from: TagId, feature: WaveformFeature) -> Tag {
    Tag {
        name: format!("{}_{}", waveform.name, feature.as_str()),
        unit: if feature == WaveformFeature::Rms { waveform.unit.clone() } else { String::new() },
        role: Role::Condition,
        range: None,
        derived: Some(Derived { from, feature }),
        is_waveform: false,
        ..waveform.clone()
    }
}

/// A wall time from the file as plant time.
fn plant_time(wall_ms: u64, speed: f64) -> Duration {
    Duration::from_millis(wall_ms).mul_f64(speed)
}

fn build_asset(
    config: &AssetConfig,
    path: AssetPath,
    id: AssetId,
    tags: &[Tag],
    speed: f64,
    problems: &mut Vec<String>,
) -> Asset {
    let own: Vec<_> = tags
        .iter()
        .enumerate()
        .filter(|(_, tag)| tag.asset == id)
        .map(|(at, _)| tag_id(at))
        .collect();
    if own.is_empty() {
        problems.push(format!(
            "asset `{}` has no tags: give at least one tag `asset = \"{0}\"`",
            config.path
        ));
    }
    let running_when = config.running_when.as_ref().and_then(|when| {
        let tag = own.iter().copied().find(|tag| tags[tag.index()].name == when.tag);
        if tag.is_none() {
            let names: Vec<_> = own.iter().map(|tag| tags[tag.index()].name.as_str()).collect();
            problems.push(format!(
                "asset `{}`: `running_when` names `{}`, which is no tag of this asset: its tags are {}",
                config.path,
                when.tag,
                names.join(", ")
            ));
        }
        Some(RunningWhen { tag: tag?, above: when.above })
    });
    // Bursts do not set the pace: their features are held between them.
    let paced =
        own.iter().map(|tag| &tags[tag.index()]).filter(|t| !t.is_waveform && t.derived.is_none());
    let slowest = paced.map(|tag| tag.period).max().unwrap_or(Duration::from_secs(1));
    let frame_period = config.frame_period_ms.map_or(slowest, |wall_ms| plant_time(wall_ms, speed));
    if frame_period.is_zero() {
        problems.push(format!("asset `{}`: `frame_period_ms` must be at least 1", config.path));
    }
    Asset { path, kind: config.kind, tags: own, running_when, frame_period }
}

fn mqtt_problems(mqtt: &MqttConfig) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(problem) = crate::northbound::BrokerUrl::parse(&mqtt.url) {
        problems.push(format!("mqtt `{}`: url = `{}`: {problem}", mqtt.name, mqtt.url));
    }
    if mqtt.in_flight == 0 || mqtt.in_flight > 100 {
        problems.push(format!("mqtt `{}`: `in_flight` must be 1 to 100", mqtt.name));
    }
    if mqtt.keep_alive_s < 5 {
        problems.push(format!("mqtt `{}`: `keep_alive_s` must be at least 5", mqtt.name));
    }
    if mqtt.password_file.is_some() && mqtt.username.is_none() {
        problems.push(format!("mqtt `{}`: a `password_file` needs a `username`", mqtt.name));
    }
    problems
}
