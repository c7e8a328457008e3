//! `[[opcua]]` of `bellwether.toml`, and the way to a validated [`Source`].

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use bellwether_domain::{Meaning, Role, TagId};
use serde::Deserialize;

use super::{
    Deadband, EndpointUrl, NodeAddress, PathAddress, Place, Security, SecurityPolicy, Source,
    SourceTag,
};
use crate::{TagMeta, WaveformMeta};

/// Longest time a live server is quiet: it is asked to say so at least this often.
const LONGEST_KEEP_ALIVE_MS: u64 = 10_000;
/// Shortest time between signs of life worth asking for.
const SHORTEST_KEEP_ALIVE_MS: u64 = 1_000;
/// Signs of life missed before a server counts as dead.
pub(super) const MISSED_KEEP_ALIVES: u32 = 3;
/// Source times farther away than this are not believed.
const CLOCK_SKEW_LIMIT: Duration = Duration::from_secs(300);

/// One `[[opcua]]`: a server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpcuaConfig {
    /// Name of the source, unique.
    pub name: String,
    /// `opc.tcp://host:port/path`.
    pub endpoint: String,
    /// How often the server tells what has changed.
    #[serde(default = "default_publishing_interval_ms")]
    pub publishing_interval_ms: u64,
    /// How often the server looks at the values; the publishing interval if absent.
    pub sampling_interval_ms: Option<u64>,
    /// How long a service call may take.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Values the server keeps for each item between two notifications.
    #[serde(default = "default_queue_size")]
    pub queue_size: u32,
    /// After how long without a sign of life a tag is stale; by default three keep-alives.
    pub stale_after_ms: Option<u64>,
    /// Must be written out: `"none"` sends everything in the clear.
    pub security: Security,
    /// With which algorithms; `"basic256sha256"` if absent.
    pub security_policy: Option<SecurityPolicy>,
    /// User of the server; anonymous if absent.
    pub username: Option<String>,
    /// File that holds the user's password (mode 0600), or the bare name of a systemd credential.
    pub password_file: Option<PathBuf>,
    /// X.509 certificate of a user (`.der` or `.pem`), instead of name and password.
    pub user_certificate_file: Option<PathBuf>,
    /// Private key of that certificate (PEM, mode 0600), or the bare name of a systemd credential.
    pub user_key_file: Option<PathBuf>,
    /// What is read.
    #[serde(default)]
    pub tag: Vec<OpcuaTagConfig>,
}

/// One `[[opcua.tag]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpcuaTagConfig {
    /// Unique in the plant, for example `spindle-7.vibration`.
    pub name: String,
    /// Path of the asset it observes.
    pub asset: String,
    /// UCUM text.
    #[serde(default)]
    pub unit: String,
    /// Plausible range `[low, high]`.
    pub range: Option<[f64; 2]>,
    /// What it tells about its asset.
    #[serde(default)]
    pub role: Role,
    /// The asset has failed when the tag is above this.
    pub failure_above: Option<f64>,
    /// The asset has failed when the tag is below this.
    pub failure_below: Option<f64>,
    /// `nsu=<namespace URI>;s=<identifier>`. This or `path`.
    #[serde(default)]
    pub node: Option<String>,
    /// Browse path, `/Objects/{<namespace URI>}Spindle/{<namespace URI>}Speed`, for servers that give nodes new ids.
    #[serde(default)]
    pub path: Option<String>,
    /// Changes up to this, in the tag's unit, are not told.
    pub deadband: Option<f64>,
    /// Changes up to this many percent of the server's `EURange` are not told.
    pub deadband_percent: Option<f64>,
    /// Set if the value is an array of samples.
    pub waveform: Option<WaveformConfig>,
}

/// `waveform = { sample_rate_hz = 12800 }`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveformConfig {
    /// Samples per second.
    pub sample_rate_hz: f64,
    /// Wall time from one burst to the next; after three without a burst its features count as stale.
    #[serde(default = "default_burst_period_ms")]
    pub period_ms: u64,
}

const fn default_burst_period_ms() -> u64 {
    60_000
}

const fn default_publishing_interval_ms() -> u64 {
    1_000
}

/// Enough for samples ten times as fast as the notifications.
const fn default_queue_size() -> u32 {
    10
}

const fn default_timeout_ms() -> u64 {
    10_000
}

impl OpcuaConfig {
    fn keep_alive_ms(&self) -> u64 {
        let quiet = self.publishing_interval_ms.saturating_mul(10);
        quiet.clamp(SHORTEST_KEEP_ALIVE_MS, LONGEST_KEEP_ALIVE_MS).max(self.publishing_interval_ms)
    }

    /// After how long without a sign of life a tag is stale, in wall time. A value that does not change is not told
    /// again by the server, but it is confirmed with every sign of life.
    pub fn stale_after_ms(&self) -> u64 {
        let quiet = self.keep_alive_ms().saturating_mul(MISSED_KEEP_ALIVES.into());
        self.stale_after_ms.unwrap_or(quiet)
    }

    /// Its tags, in the order of the file.
    pub fn tags(&self) -> impl Iterator<Item = TagMeta> {
        self.tag.iter().map(|tag| TagMeta {
            name: tag.name.clone(),
            asset: tag.asset.clone(),
            unit: tag.unit.clone(),
            range: tag.range,
            role: tag.role,
            meaning: Meaning::Measurement,
            failure_above: tag.failure_above,
            failure_below: tag.failure_below,
            waveform: tag.waveform.map(|WaveformConfig { sample_rate_hz, period_ms }| {
                WaveformMeta { sample_rate_hz, period_ms }
            }),
        })
    }

    /// Everything that is wrong with the section, each with the name of the thing and what to do.
    pub fn problems(&self) -> Vec<String> {
        let place = format!("opcua `{}`", self.name);
        let mut problems = Vec::new();
        let mut report = |problem: Option<String>| {
            problems.extend(problem.map(|problem| format!("{place}: {problem}")));
        };
        self.section_problems(&mut report);
        let mut times = BTreeMap::<&str, u32>::new();
        self.tag.iter().for_each(|tag| *times.entry(&tag.name).or_default() += 1);
        for (name, times) in times {
            report((times > 1).then(|| {
                format!("tag `{name}` is there {times} times: give each tag a name of its own")
            }));
        }
        for tag in &self.tag {
            let found = tag.problems();
            problems
                .extend(found.map(|problem| {
                    format!("opcua `{}`, tag `{}`: {problem}", self.name, tag.name)
                }));
        }
        problems
    }

    fn section_problems(&self, report: &mut impl FnMut(Option<String>)) {
        let name_is_missing = self.name.trim().is_empty();
        report(name_is_missing.then(|| "`name` is empty: give the server a name".to_owned()));
        let endpoint = EndpointUrl::parse(&self.endpoint);
        report(endpoint.is_none().then(|| {
            format!(
                "`endpoint` = `{}`: write it as opc.tcp://host:port/path, for example opc.tcp://10.0.3.20:4840",
                self.endpoint
            )
        }));
        self.security_problems().for_each(|problem| report(Some(problem.to_owned())));
        let mut outside = |key: &str, value: u64, low: u64, high: u64| {
            let is_inside = (low..=high).contains(&value);
            report(
                (!is_inside)
                    .then(|| format!("`{key}` = {value}: give a number from {low} to {high}")),
            );
        };
        outside("publishing_interval_ms", self.publishing_interval_ms, 10, 3_600_000);
        outside("timeout_ms", self.timeout_ms, 100, 60_000);
        outside("queue_size", self.queue_size.into(), 1, 1_000);
        if let Some(sampling) = self.sampling_interval_ms {
            outside("sampling_interval_ms", sampling, 0, self.publishing_interval_ms);
        }
        if let Some(stale) = self.stale_after_ms {
            outside("stale_after_ms", stale, self.keep_alive_ms(), u64::MAX);
        }
        let no_tags = self.tag.is_empty();
        report(no_tags.then(|| "there are no tags: add an [[opcua.tag]], or remove it".to_owned()));
    }

    /// Things that work, but that a person should know.
    pub fn warnings(&self) -> Vec<String> {
        let is_numbered =
            |tag: &&OpcuaTagConfig| tag.place().is_some_and(|place| place.is_numbered());
        let numbered = self.tag.iter().filter(is_numbered);
        let open = self.security_warnings();
        let mut warnings: Vec<_> =
            open.map(|warning| format!("opcua `{}`: {warning}", self.name)).collect();
        warnings.extend(numbered.map(|tag| {
            format!(
                "opcua `{}`, tag `{}`: {} names its namespace by number, which servers may change: write \
                 {} instead",
                self.name,
                tag.name,
                tag.written(),
                if tag.path.is_some() { "{<namespace URI>}" } else { "nsu=<namespace URI>" },
            )
        }));
        warnings
    }

    /// The validated source; `ids[i]` belongs to tag `i`. Only once [`Self::problems`] finds nothing.
    pub fn source(&self, ids: &[TagId]) -> Source {
        let tags = self.tag.iter().zip(ids).filter_map(|(tag, id)| {
            Some(SourceTag {
                id: *id,
                name: tag.name.clone(),
                place: tag.place()?,
                deadband: tag.deadband(),
                range: tag.range,
                sample_rate_hz: tag.waveform.map(|waveform| waveform.sample_rate_hz),
            })
        });
        let sampling = self.sampling_interval_ms.unwrap_or(self.publishing_interval_ms);
        Source {
            name: self.name.clone(),
            endpoint: self.endpoint.clone(),
            protection: self.protection(),
            publishing_interval: Duration::from_millis(self.publishing_interval_ms),
            sampling_interval: Duration::from_millis(sampling),
            timeout: Duration::from_millis(self.timeout_ms),
            keep_alive: Duration::from_millis(self.keep_alive_ms()),
            clock_skew_limit: CLOCK_SKEW_LIMIT,
            queue_size: self.queue_size,
            tags: tags.collect(),
        }
    }
}

impl OpcuaTagConfig {
    /// Where its value is, if that is written in exactly one way and the right one.
    fn place(&self) -> Option<Place> {
        match (&self.node, &self.path) {
            (Some(node), None) => NodeAddress::parse(node).map(Place::Node),
            (None, Some(path)) => PathAddress::parse(path).map(Place::Path),
            _ => None,
        }
    }

    /// The same as it stands in the file.
    fn written(&self) -> String {
        match (&self.node, &self.path) {
            (Some(node), _) => format!("node `{node}`"),
            (None, Some(path)) => format!("path `{path}`"),
            (None, None) => "nothing".to_owned(),
        }
    }

    fn deadband(&self) -> Deadband {
        match (self.deadband, self.deadband_percent) {
            (Some(width), _) => Deadband::Absolute(width),
            (None, Some(percent)) => {
                Deadband::Percent { percent, span: self.range.map(|[low, high]| high - low) }
            }
            (None, None) => Deadband::None,
        }
    }

    fn place_problem(&self) -> Option<String> {
        if self.place().is_some() {
            return None;
        }
        Some(match (&self.node, &self.path) {
            (Some(_), Some(_)) => "`node` and `path` are both there: leave one out".to_owned(),
            (None, None) => "neither `node` nor `path` is there: say where its value is".to_owned(),
            (Some(node), None) => format!(
                "node = `{node}`: write it as nsu=<namespace URI>;s=<identifier> (or i=, g=, b=)"
            ),
            (None, Some(path)) => format!(
                "path = `{path}`: write it as /Objects/{{<namespace URI>}}Name/{{<namespace URI>}}Name"
            ),
        })
    }

    fn deadband_problem(&self) -> Option<String> {
        let is_width = |width: f64| width.is_finite() && width > 0.0;
        match (self.deadband, self.deadband_percent) {
            (Some(_), Some(_)) => {
                Some("`deadband` and `deadband_percent` are both there: leave one out".to_owned())
            }
            (Some(width), None) if !is_width(width) => {
                Some(format!("`deadband` = {width}: give a number above 0, in the tag's unit"))
            }
            (None, Some(percent)) if !is_width(percent) || percent > 100.0 => {
                Some(format!("`deadband_percent` = {percent}: give a number above 0, up to 100"))
            }
            _ => None,
        }
    }

    fn problems(&self) -> impl Iterator<Item = String> {
        let (node, deadband) = (self.place_problem(), self.deadband_problem());
        let rate = self.waveform.map(|waveform| waveform.sample_rate_hz);
        let rate = rate.filter(|rate| !rate.is_finite() || *rate <= 0.0).map(|rate| {
            format!("`sample_rate_hz` = {rate}: give the samples per second, a number above 0")
        });
        [node, deadband, rate].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(head: &str, tags: &str) -> OpcuaConfig {
        toml::from_str(&format!("name = \"s\"\nsecurity = \"none\"\n{head}\n{tags}"))
            .expect("the form is right")
    }

    const TAG: &str =
        "[[tag]]\nname = \"p.flow\"\nasset = \"a/b/c\"\nnode = \"nsu=urn:plant;s=Flow\"\n";

    #[test]
    fn a_sound_section_has_no_problems() {
        let config = config("endpoint = \"opc.tcp://plc:4840/x\"", TAG);
        assert_eq!(config.problems(), [""; 0]);
        let source = config.source(&[TagId(9)]);
        assert_eq!(source.tags[0].id, TagId(9));
        assert_eq!(source.keep_alive, Duration::from_secs(10));
        assert_eq!(config.stale_after_ms(), 30_000);
        assert_eq!(config.warnings().len(), 1);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let tags = format!(
            "{TAG}{}[[tag]]\nname = \"p.wave\"\nasset = \"a\"\nnode = \"ns=2;s=W\"\nwaveform = {{ sample_rate_hz = 0.0 }}\n",
            TAG.replace("nsu=urn:plant;s=Flow", "Flow")
        );
        let config = config(
            "endpoint = \"plc\"\npublishing_interval_ms = 1\nsampling_interval_ms = 5",
            &tags,
        );
        assert_eq!(
            config.problems(),
            [
                "opcua `s`: `endpoint` = `plc`: write it as opc.tcp://host:port/path, for example opc.tcp://10.0.3.20:4840",
                "opcua `s`: `publishing_interval_ms` = 1: give a number from 10 to 3600000",
                "opcua `s`: `sampling_interval_ms` = 5: give a number from 0 to 1",
                "opcua `s`: tag `p.flow` is there 2 times: give each tag a name of its own",
                "opcua `s`, tag `p.flow`: node = `Flow`: write it as nsu=<namespace URI>;s=<identifier> (or i=, g=, b=)",
                "opcua `s`, tag `p.wave`: `sample_rate_hz` = 0: give the samples per second, a number above 0",
            ]
        );
        assert!(config.warnings()[1].contains("`p.wave`"));
    }

    #[track_caller]
    fn check(keys: &str, expected: Option<&str>) {
        let head = "endpoint = \"opc.tcp://plc\"";
        let tag = TAG.replace("node = \"nsu=urn:plant;s=Flow\"", keys);
        let problems = config(head, &tag).problems();
        let expected: Vec<_> = expected
            .map(|problem| format!("opcua `s`, tag `p.flow`: {problem}"))
            .into_iter()
            .collect();
        assert_eq!(problems, expected, "{keys}");
    }

    #[test]
    fn a_tag_is_found_in_one_way_and_has_one_deadband() {
        let node = "node = \"nsu=urn:plant;s=Flow\"";
        let path = "path = \"/Objects/{urn:plant}Flow\"";
        check(node, None);
        check(path, None);
        check(&format!("{node}\n{path}"), Some("`node` and `path` are both there: leave one out"));
        check("", Some("neither `node` nor `path` is there: say where its value is"));
        check(
            "path = \"Flow\"",
            Some("path = `Flow`: write it as /Objects/{<namespace URI>}Name/{<namespace URI>}Name"),
        );
        check(&format!("{node}\ndeadband = 0.5"), None);
        check(&format!("{node}\ndeadband_percent = 100.0"), None);
        check(
            &format!("{node}\ndeadband = 0.5\ndeadband_percent = 1.0"),
            Some("`deadband` and `deadband_percent` are both there: leave one out"),
        );
        check(
            &format!("{node}\ndeadband = -1.0"),
            Some("`deadband` = -1: give a number above 0, in the tag's unit"),
        );
        check(
            &format!("{node}\ndeadband_percent = 101.0"),
            Some("`deadband_percent` = 101: give a number above 0, up to 100"),
        );
    }

    #[test]
    fn security_must_be_written_out() {
        let error = toml::from_str::<OpcuaConfig>("name = \"s\"\nendpoint = \"opc.tcp://plc\"\n");
        assert!(error.expect_err("security is missing").to_string().contains("security"));
    }
}
