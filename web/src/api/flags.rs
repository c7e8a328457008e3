//! What is suspicious about single tags: read twice, frozen, out of range. The engine's validation judges values; only
//! what it cannot see, two tags at one address and a source that repeats its time, is found here.

use std::collections::HashMap;

use bellwether_domain::{GatewayStatus, Reason, TagId, TagStatus};
use serde::Serialize;
use utoipa::ToSchema;

/// What is suspicious about a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FlagCode {
    /// Another tag reads the same address.
    DuplicateAddress,
    /// The source sends the same source time again and again.
    DuplicateTime,
    /// The value no longer changes as it did while healthy.
    Frozen,
    /// The value is outside its plausible range.
    OutOfRange,
}

/// One thing that is suspicious about a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Flag {
    code: FlagCode,
    /// In words, with what to look at.
    words: String,
}

/// Addresses of all tags, and who shares them.
#[derive(Debug)]
pub(crate) struct Flags<'a> {
    status: &'a GatewayStatus,
    address_of: HashMap<TagId, &'a str>,
    /// By endpoint and address.
    tags_at: HashMap<(&'a str, &'a str), Vec<TagId>>,
    endpoint_of: HashMap<TagId, &'a str>,
}

impl<'a> Flags<'a> {
    pub(crate) fn of(status: &'a GatewayStatus) -> Self {
        let (mut address_of, mut endpoint_of) = (HashMap::new(), HashMap::new());
        let mut tags_at = HashMap::<_, Vec<_>>::new();
        for source in &status.connectors {
            for (tag, address) in source.addresses.iter() {
                address_of.insert(*tag, address.as_str());
                endpoint_of.insert(*tag, source.endpoint.as_str());
                let place = (source.endpoint.as_str(), address.as_str());
                tags_at.entry(place).or_default().push(*tag);
            }
        }
        Self { status, address_of, tags_at, endpoint_of }
    }

    /// Where the tag lies, in words.
    pub(crate) fn address(&self, tag: TagId) -> Option<&'a str> {
        self.address_of.get(&tag).copied()
    }

    /// Everything suspicious about a tag.
    pub(crate) fn tag(&self, now: &TagStatus) -> Vec<Flag> {
        let flag = |code, words: String| Flag { code, words };
        let judged = match now.quality.reason() {
            Some(Reason::Stuck) => Some(flag(
                FlagCode::Frozen,
                "the value has not changed for far longer than it ever did: check the sensor"
                    .to_owned(),
            )),
            Some(Reason::OutOfRange) => Some(flag(
                FlagCode::OutOfRange,
                "the value is outside its plausible range: check `range`, type and byte order"
                    .to_owned(),
            )),
            _ => None,
        };
        let repeats = self.status.gaps.repeating.contains(&now.tag).then(|| {
            let words = "the source sends the same source time again and again: check that its program runs";
            flag(FlagCode::DuplicateTime, words.to_owned())
        });
        self.duplicate(now.tag).into_iter().chain(repeats).chain(judged).collect()
    }

    fn duplicate(&self, tag: TagId) -> Option<Flag> {
        let address = self.address(tag)?;
        let place = (*self.endpoint_of.get(&tag)?, address);
        let other = self.tags_at.get(&place)?.iter().find(|other| **other != tag)?;
        let other = &self.status.plant.tags.get(other.index())?.name;
        let words = format!("reads the same address as {other} ({address}): correct one of them");
        Some(Flag { code: FlagCode::DuplicateAddress, words })
    }
}
