//! What the engine knows, as one value to be kept over a restart. Assets are found again by path and tag names, because
//! ids are of one plant only.

use bellwether_domain::{AssetId, Plant, Role, TagId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::asset::{AssetState, Layout};

/// Raised whenever the meaning of the bytes changes; an engine refuses other versions and learns anew.
const VERSION: u32 = 1;

/// Everything the engine has learnt and every alarm that stands. Serialised with postcard it is restored bit for bit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    version: u32,
    pub(crate) now: Option<Timestamp>,
    pub(crate) last_alarm: u64,
    pub(crate) assets: Vec<SavedAsset>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self::new(None, 0, Vec::new())
    }
}

impl Snapshot {
    pub(crate) const fn new(
        now: Option<Timestamp>,
        last_alarm: u64,
        assets: Vec<SavedAsset>,
    ) -> Self {
        Self { version: VERSION, now, last_alarm, assets }
    }

    /// Whether this version of the engine understands it.
    pub const fn is_readable(&self) -> bool {
        self.version == VERSION
    }

    /// Plant time of the last step.
    pub const fn at(&self) -> Option<Timestamp> {
        self.now
    }
}

/// One tag as it was when the asset's state was saved. A change of any of these makes what was learnt worthless.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedTag {
    name: String,
    unit: String,
    role: Role,
    is_waveform: bool,
}

/// One asset with the names of what its numbers are about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedAsset {
    path: String,
    tags: Vec<SavedTag>,
    ids: Vec<TagId>,
    state: AssetState,
}

impl SavedAsset {
    pub(crate) fn new(plant: &Plant, layout: &Layout, state: AssetState) -> Self {
        Self {
            path: plant.asset(layout.asset).path.to_string(),
            tags: saved_tags(plant, layout),
            ids: layout.tags.clone(),
            state,
        }
    }

    /// Takes the state of this asset out of `saved`, if it is there and still fits.
    pub(crate) fn take(
        saved: &mut Vec<Self>,
        plant: &Plant,
        layout: &Layout,
    ) -> Option<AssetState> {
        let path = plant.asset(layout.asset).path.to_string();
        let index = saved.iter().position(|asset| asset.path == path)?;
        let Self { tags, ids, mut state, .. } = saved.swap_remove(index);
        if tags != saved_tags(plant, layout) || !state.fits(layout) {
            return None;
        }
        renumber(&mut state, layout.asset, &ids, &layout.tags);
        state.watch_limits(layout, plant);
        Some(state)
    }
}

fn renumber(state: &mut AssetState, asset: AssetId, old: &[TagId], new: &[TagId]) {
    state.renumber(asset, |tag| {
        old.iter().position(|&id| id == tag).and_then(|local| new.get(local).copied())
    });
}

fn saved_tags(plant: &Plant, layout: &Layout) -> Vec<SavedTag> {
    let saved = |&id: &TagId| {
        let tag = plant.tag(id);
        SavedTag {
            name: tag.name.clone(),
            unit: tag.unit.clone(),
            role: tag.role,
            is_waveform: tag.is_waveform,
        }
    };
    layout.tags.iter().map(saved).collect()
}
