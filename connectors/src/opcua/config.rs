//! `[[opcua]]` of `bellwether.toml`, and the way to a validated [`Source`].

use std::{collections::BTreeMap, time::Duration};

use bellwether_domain::{Meaning, Role, TagId};
use serde::Deserialize;

use super::{EndpointUrl, NodeAddress, Source, SourceTag};
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
    /// After how long without a sign of life a tag is stale; by default three keep-alives.
    pub stale_after_ms: Option<u64>,
    /// Must be written out: `"none"` sends everything in the clear.
    pub security: Security,
    /// What is read.
    #[serde(default)]
    pub tag: Vec<OpcuaTagConfig>,
}

/// `security` of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// Neither signed nor encrypted: anybody on the network can read and change the values.
    None,
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
    /// `nsu=<namespace URI>;s=<identifier>`.
    pub node: String,
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
        let mut outside = |key: &str, value: u64, low: u64, high: u64| {
            let is_inside = (low..=high).contains(&value);
            report(
                (!is_inside)
                    .then(|| format!("`{key}` = {value}: give a number from {low} to {high}")),
            );
        };
        outside("publishing_interval_ms", self.publishing_interval_ms, 10, 3_600_000);
        outside("timeout_ms", self.timeout_ms, 100, 60_000);
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
        let is_numbered = |tag: &&OpcuaTagConfig| {
            NodeAddress::parse(&tag.node).is_some_and(|node| node.is_numbered())
        };
        let numbered = self.tag.iter().filter(is_numbered);
        let mut warnings = vec![format!(
            "opcua `{}`: security none: values travel in the clear and can be changed on the way",
            self.name
        )];
        warnings.extend(numbered.map(|tag| {
            format!(
                "opcua `{}`, tag `{}`: node `{}` names its namespace by number, which servers may change: write \
                 nsu=<namespace URI> instead",
                self.name, tag.name, tag.node
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
                node: NodeAddress::parse(&tag.node)?,
                sample_rate_hz: tag.waveform.map(|waveform| waveform.sample_rate_hz),
            })
        });
        let sampling = self.sampling_interval_ms.unwrap_or(self.publishing_interval_ms);
        Source {
            name: self.name.clone(),
            endpoint: self.endpoint.clone(),
            publishing_interval: Duration::from_millis(self.publishing_interval_ms),
            sampling_interval: Duration::from_millis(sampling),
            timeout: Duration::from_millis(self.timeout_ms),
            keep_alive: Duration::from_millis(self.keep_alive_ms()),
            clock_skew_limit: CLOCK_SKEW_LIMIT,
            tags: tags.collect(),
        }
    }
}

impl OpcuaTagConfig {
    fn problems(&self) -> impl Iterator<Item = String> {
        let node = NodeAddress::parse(&self.node).is_none().then(|| {
            format!(
                "node = `{}`: write it as nsu=<namespace URI>;s=<identifier> (or i=, g=, b=)",
                self.node
            )
        });
        let rate = self.waveform.map(|waveform| waveform.sample_rate_hz);
        let rate = rate.filter(|rate| !rate.is_finite() || *rate <= 0.0).map(|rate| {
            format!("`sample_rate_hz` = {rate}: give the samples per second, a number above 0")
        });
        [node, rate].into_iter().flatten()
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

    #[test]
    fn security_must_be_written_out() {
        let error = toml::from_str::<OpcuaConfig>("name = \"s\"\nendpoint = \"opc.tcp://plc\"\n");
        assert!(error.expect_err("security is missing").to_string().contains("security"));
    }
}
