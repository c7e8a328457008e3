//! Read-only access: connections that cannot write, limits on rows, points and time.

use std::{future::Future, path::PathBuf};

use bellwether_domain::Timestamp;

use crate::{
    AlarmFilter, AlarmRecord, HealthPoint, LossFilter, LossRecord, Maintenance, Mark, StoreError,
    TagHistory, alarms,
    database::{Database, within_limit},
    health, losses, tag_history,
};

/// Most rows of one list.
const ROWS: u32 = 10_000;
/// Most points of a health chart.
const POINTS: usize = 10_000;

/// Read-only access for the dashboard and the API. Clones share a few connections. Each call fails with
/// [`StoreError::Slow`] if it takes more than ten seconds, and with other errors if the database cannot be read.
#[derive(Clone, Debug)]
pub struct Reader {
    core: Database,
    history: Database,
    segments: PathBuf,
}

impl Reader {
    pub(crate) const fn new(core: Database, history: Database, segments: PathBuf) -> Self {
        Self { core, history, segments }
    }

    /// A tag from `from` to `to`, both included, in at most `2 × points` points (at most 10,000): single readings where
    /// they fit, otherwise the finest buckets that do. Empty for a tag that nobody has heard of.
    ///
    /// # Errors
    /// See [`Reader`].
    pub async fn tag_history(
        &self,
        tag: &str,
        from: Timestamp,
        to: Timestamp,
        points: usize,
    ) -> Result<TagHistory, StoreError> {
        let read = tag_history::read(&self.history, &self.segments, tag, (from, to), points);
        within_limit("a tag's history was read", read).await
    }

    /// An asset's health from `from` to `to`, both included, oldest first, in at most `points` points: the worst of
    /// each bucket.
    ///
    /// # Errors
    /// See [`Reader`].
    pub async fn health_history(
        &self,
        asset: &str,
        from: Timestamp,
        to: Timestamp,
        points: usize,
    ) -> Result<Vec<HealthPoint>, StoreError> {
        let points = points.clamp(1, POINTS);
        let read = health::health(self.history.readers(), asset, from, to, points);
        in_time(&self.history, "health history was read", read).await
    }

    /// Alarms, newest first.
    ///
    /// # Errors
    /// See [`Reader`].
    pub async fn alarms(
        &self,
        filter: &AlarmFilter,
        limit: u32,
    ) -> Result<Vec<AlarmRecord>, StoreError> {
        let read = alarms::list(self.core.readers(), filter, limit.min(ROWS));
        in_time(&self.core, "alarms were read", read).await
    }

    /// Marks for an asset's charts from `from` to `to`, both included, oldest first; the newest thousand of alarms and of
    /// repairs.
    ///
    /// # Errors
    /// See [`Reader`].
    pub async fn alarm_marks(
        &self,
        asset: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Mark>, StoreError> {
        let read = alarms::marks(self.core.readers(), asset, from, to);
        in_time(&self.core, "marks were read", read).await
    }

    /// Repairs of an asset, newest first.
    ///
    /// # Errors
    /// See [`Reader`].
    pub async fn maintenance(
        &self,
        asset: &str,
        limit: u32,
    ) -> Result<Vec<Maintenance>, StoreError> {
        let read = alarms::maintenance(self.core.readers(), asset, limit.min(ROWS));
        in_time(&self.core, "repairs were read", read).await
    }

    /// Gaps in the data that have ended and overlap the stretch, newest first.
    ///
    /// # Errors
    /// See [`Reader`].
    pub async fn losses(
        &self,
        filter: &LossFilter,
        limit: u32,
    ) -> Result<Vec<LossRecord>, StoreError> {
        let read = losses::list(self.history.readers(), filter, limit.min(ROWS));
        in_time(&self.history, "losses were read", read).await
    }
}

async fn in_time<T>(
    database: &Database,
    doing: &'static str,
    read: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let sql = database.sql(doing);
    within_limit(doing, async { read.await.map_err(sql) }).await
}
