//! Skeleton.

use bellwether_domain::Timestamp;

use crate::{HistoryBatch, Names, StoreError};

/// `hist.db` and its sealed segments.
#[derive(Clone, Debug)]
pub struct History;

impl History {
    /// Writes everything in one transaction.
    pub async fn append(&self, _names: &Names, _batch: &HistoryBatch) -> Result<(), StoreError> {
        Ok(())
    }

    /// Every few seconds to a minute: seals, thins, checkpoints. A job.
    pub async fn maintain(&self, _now: Timestamp) -> Result<Maintained, StoreError> {
        Ok(Maintained::default())
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        0
    }
}

/// What one round of maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Readings sealed into segments.
    pub sealed_rows: u64,
    /// Segments written.
    pub segments: u64,
    /// Segments deleted because history outgrew its budget.
    pub dropped_segments: u64,
}
