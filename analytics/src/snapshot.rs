//! What the engine knows, as one value to be kept over a restart. Assets are found again by path and tag names, because
//! ids are of one plant only.

use bellwether_domain::{AssetId, Plant, Role, Tag, TagId, Timestamp};
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

impl SavedTag {
    fn of(tag: &Tag) -> Self {
        Self {
            name: tag.name.clone(),
            unit: tag.unit.clone(),
            role: tag.role,
            is_waveform: tag.is_waveform,
        }
    }

    /// What was learnt is about it. Tags that are only stored and shown come and go as they like.
    fn is_judged(&self) -> bool {
        self.role != Role::Information
    }
}

impl SavedAsset {
    pub(crate) fn new(plant: &Plant, layout: &Layout, state: AssetState) -> Self {
        Self {
            path: plant.asset(layout.asset).path.to_string(),
            tags: layout.tags.iter().map(|&id| SavedTag::of(plant.tag(id))).collect(),
            ids: layout.tags.clone(),
            state,
        }
    }

    /// Takes what was saved of this asset out of `saved`.
    pub(crate) fn take(saved: &mut Vec<Self>, plant: &Plant, asset: AssetId) -> Option<Self> {
        let path = plant.asset(asset).path.to_string();
        let index = saved.iter().position(|asset| asset.path == path)?;
        Some(saved.swap_remove(index))
    }

    /// The names of its tags in the order of its numbers, for [`Layout::arranged`].
    pub(crate) fn order(&self) -> Vec<String> {
        self.tags.iter().map(|tag| tag.name.clone()).collect()
    }

    /// Its state in this layout, which was arranged in its order, if it still fits: the judged tags are the same.
    pub(crate) fn fit(self, plant: &Plant, layout: &Layout) -> Option<AssetState> {
        let now: Vec<_> = layout.tags.iter().map(|&id| SavedTag::of(plant.tag(id))).collect();
        let judged = |tags: &[SavedTag]| {
            tags.iter().filter(|tag| tag.is_judged()).cloned().collect::<Vec<SavedTag>>()
        };
        if judged(&self.tags) != judged(&now) {
            return None;
        }
        let former: Vec<Option<usize>> =
            now.iter().map(|tag| self.tags.iter().position(|known| known == tag)).collect();
        let mut state = self.state;
        if !former.iter().copied().eq((0..self.tags.len()).map(Some)) {
            state = state.rearranged(&former);
        }
        if !state.fits(layout) {
            return None;
        }
        state.renumber(layout.asset, |tag| {
            let place = self.ids.iter().position(|&id| id == tag)?;
            let local = former.iter().position(|&former| former == Some(place))?;
            layout.tags.get(local).copied()
        });
        state.watch_limits(layout, plant);
        Some(state)
    }
}

/// Whether what was learnt about an asset of one plant is kept when it becomes this asset of another one: if it has the
/// same path and the same judged tags, with the same units and roles, in whatever order.
pub fn is_learning_kept(old: &Plant, was: AssetId, new: &Plant, is: AssetId) -> bool {
    let judged = |plant: &Plant, asset: AssetId| {
        let tags = plant.asset(asset).tags.iter().map(|&id| SavedTag::of(plant.tag(id)));
        let mut tags: Vec<_> = tags.filter(SavedTag::is_judged).collect();
        tags.sort_by(|one, other| one.name.cmp(&other.name));
        tags
    };
    old.asset(was).path == new.asset(is).path && judged(old, was) == judged(new, is)
}
