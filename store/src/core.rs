//! Skeleton.

use bellwether_domain::Timestamp;

use crate::{CoreCommit, Names, OutboxRow, OutboxStats, StoreError};

/// `core.db`: what must not be lost.
#[derive(Clone, Debug)]
pub struct Core;

impl Core {
    /// Writes everything in one transaction.
    pub async fn commit(&self, _names: &Names, _commit: &CoreCommit) -> Result<(), StoreError> {
        Ok(())
    }

    /// Keeps the engine's snapshot; the two newest stay.
    pub async fn save_snapshot(&self, _bytes: &[u8], _at: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    /// The newest undamaged snapshot.
    pub async fn load_snapshot(&self) -> Result<Option<(Timestamp, Vec<u8>)>, StoreError> {
        Ok(None)
    }

    /// Messages to send next: alerts first, then by age, without those `in_flight`.
    pub async fn outbox_pending(
        &self,
        _uplink: &str,
        _in_flight: &[i64],
        _limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        Ok(Vec::new())
    }

    /// Deletes what was acknowledged.
    pub async fn outbox_acknowledge(&self, _ids: &[i64]) -> Result<(), StoreError> {
        Ok(())
    }

    /// What waits.
    pub async fn outbox_stats(&self, _uplink: &str) -> Result<OutboxStats, StoreError> {
        Ok(OutboxStats::default())
    }

    /// Newest plant time that was on disk when the store was opened.
    pub async fn last_plant_time(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// Once an hour of real time: backup, bounds, checkpoint. A job.
    pub async fn maintain(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        0
    }
}
