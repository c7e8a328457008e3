//! Ids inside, names outside: what the ids of the running plant are called on disk.

use bellwether_domain::{AssetId, Plant, TagId};

/// Names of all assets and tags of one plant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    assets: Vec<String>,
    tags: Vec<String>,
}

impl Names {
    /// The names of this plant: an asset is called by its path, a tag by its name.
    pub fn of(plant: &Plant) -> Self {
        Self {
            assets: plant.assets.iter().map(|asset| asset.path.to_string()).collect(),
            tags: plant.tags.iter().map(|tag| tag.name.clone()).collect(),
        }
    }

    /// Path of an asset. An id of another plant is a mistake of the caller: it is kept under a name that shows it
    /// rather than lost.
    pub fn asset(&self, id: AssetId) -> &str {
        self.assets.get(id.index()).map_or("?", String::as_str)
    }

    /// Name of a tag; see [`asset`](Self::asset).
    pub fn tag(&self, id: TagId) -> &str {
        self.tags.get(id.index()).map_or("?", String::as_str)
    }
}
