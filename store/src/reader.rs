//! Skeleton.

use bellwether_domain::{Loss, Timestamp};

use crate::{
    AlarmFilter, AlarmRecord, HealthPoint, Level, Maintenance, Mark, StoreError, TagHistory,
};

/// Read-only access for the dashboard and the API.
#[derive(Clone, Debug)]
pub struct Reader;

impl Reader {
    /// A tag from `from` to `to`, both included, in at most `2 × points` points.
    pub async fn tag_history(
        &self,
        _tag: &str,
        _from: Timestamp,
        _to: Timestamp,
        _points: usize,
    ) -> Result<TagHistory, StoreError> {
        Ok(TagHistory::empty(Level::Raw))
    }

    /// An asset's health from `from` to `to`, oldest first, in at most `points` points.
    pub async fn health_history(
        &self,
        _asset: &str,
        _from: Timestamp,
        _to: Timestamp,
        _points: usize,
    ) -> Result<Vec<HealthPoint>, StoreError> {
        Ok(Vec::new())
    }

    /// Alarms, newest first.
    pub async fn alarms(
        &self,
        _filter: &AlarmFilter,
        _limit: u32,
    ) -> Result<Vec<AlarmRecord>, StoreError> {
        Ok(Vec::new())
    }

    /// Marks for an asset's charts, oldest first.
    pub async fn alarm_marks(
        &self,
        _asset: &str,
        _from: Timestamp,
        _to: Timestamp,
    ) -> Result<Vec<Mark>, StoreError> {
        Ok(Vec::new())
    }

    /// Repairs of an asset, newest first.
    pub async fn maintenance(
        &self,
        _asset: &str,
        _limit: u32,
    ) -> Result<Vec<Maintenance>, StoreError> {
        Ok(Vec::new())
    }

    /// Gaps in the data that overlap the stretch, newest first.
    pub async fn losses(
        &self,
        _from: Timestamp,
        _to: Timestamp,
        _limit: u32,
    ) -> Result<Vec<Loss>, StoreError> {
        Ok(Vec::new())
    }
}
