//! Which of an asset's tags play which part: worked out once from the plant, never stored.

use std::{collections::BTreeMap, time::Duration};

use bellwether_domain::{AssetId, Plant, Role, TagId};

use crate::detection::drivers::MAX_DRIVERS;

/// UCUM units of temperature, and what people write instead.
const TEMPERATURE_UNITS: [&str; 6] = ["Cel", "K", "[degF]", "°C", "degC", "°F"];

/// The parts an asset's tags play. "Local" is an index into `tags`.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) asset: AssetId,
    pub(crate) tags: Vec<TagId>,
    /// Local indices of the signals that are judged.
    pub(crate) signals: Vec<usize>,
    /// By signal: a temperature of an asset that starts, stops or changes load. It follows load and weather with hours of
    /// lag, which a first day of learning does not show.
    pub(crate) is_thermal: Vec<bool>,
    /// By local index: which signal it is.
    pub(crate) signal_of: Vec<Option<usize>>,
    /// Local indices of the drivers.
    pub(crate) drivers: Vec<usize>,
    /// By local index: comes at its own pace, so that frames wait for it.
    pub(crate) is_live: Vec<bool>,
    /// By local index: its sensor can be called sick.
    pub(crate) is_sensor: Vec<bool>,
    /// The asset starts and stops: the local index of the deciding tag (if it is one of ours) and its level.
    pub(crate) running_above: Option<(Option<usize>, f64)>,
    pub(crate) period: Duration,
}

impl Layout {
    /// Place of the machine alarm.
    pub(crate) const MACHINE: usize = 0;
    /// Place of the alarm that no data arrives.
    pub(crate) const NO_DATA: usize = 1;

    /// The layout of an asset of this plant. Tags that `former` names come first and in its order, so that what was
    /// learnt about them keeps its place however a person has rearranged the file.
    pub(crate) fn arranged(plant: &Plant, asset: AssetId, former: &[String]) -> Self {
        let about = plant.asset(asset);
        let mut tags: Vec<TagId> =
            about.tags.iter().copied().filter(|tag| tag.index() < plant.tags.len()).collect();
        let place: BTreeMap<&str, usize> =
            former.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let place_of = |tag: &TagId| place.get(plant.tag(*tag).name.as_str()).copied();
        tags.sort_by_key(|tag| place_of(tag).unwrap_or(usize::MAX));
        let having = |role: Role| {
            tags.iter().enumerate().filter_map(move |(local, &id)| {
                let tag = plant.tag(id);
                (tag.role == role && !tag.is_waveform).then_some(local)
            })
        };
        let signals: Vec<usize> = having(Role::Condition).collect();
        let drivers: Vec<usize> = having(Role::Driver).take(MAX_DRIVERS).collect();
        let is_moved = !drivers.is_empty() || about.running_when.is_some();
        let is_temperature =
            |local: usize| TEMPERATURE_UNITS.contains(&plant.tag(tags[local]).unit.as_str());
        let of_tags = |test: &dyn Fn(&bellwether_domain::Tag) -> bool| {
            tags.iter().map(|&id| test(plant.tag(id))).collect::<Vec<bool>>()
        };
        Self {
            asset,
            signal_of: (0..tags.len())
                .map(|local| signals.iter().position(|&signal| signal == local))
                .collect(),
            is_thermal: signals.iter().map(|&local| is_moved && is_temperature(local)).collect(),
            signals,
            drivers,
            is_live: of_tags(&|tag| !tag.is_waveform && tag.derived.is_none()),
            is_sensor: of_tags(&|tag| !tag.is_waveform && tag.role != Role::Information),
            running_above: about
                .running_when
                .map(|running| (tags.iter().position(|&tag| tag == running.tag), running.above)),
            period: about.frame_period.max(Duration::from_micros(1)),
            tags,
        }
    }

    /// Place of the alarm that a tag is beyond its failure limit.
    pub(crate) const fn limit_slot(local: usize) -> usize {
        2 + 2 * local
    }

    /// Place of the alarm that a sensor is sick.
    pub(crate) const fn sensor_slot(local: usize) -> usize {
        3 + 2 * local
    }

    /// Number of places.
    pub(crate) const fn slot_count(&self) -> usize {
        2 + 2 * self.tags.len()
    }
}
