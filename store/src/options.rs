//! Bounds of everything that is kept on disk.

use std::time::Duration;

use bellwether_domain::Timestamp;

/// How the store is opened and how much it may keep.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Now, in plant time: names a damaged file that is moved aside.
    pub opened_at: Timestamp,
    /// Bytes that `hist.db` and the sealed segments may take together. Beyond it the oldest raw history goes first,
    /// rollups last; see `retention`.
    pub history_bytes: u64,
    /// Plant time in one sealed segment at most. An hour suits real time; a demo at ×600 takes a day, or it would write
    /// a file every six seconds.
    pub segment: Duration,
    /// Summaries that may wait per uplink. Beyond it the oldest are dropped and counted in one gap message per stream.
    pub summary_rows: u64,
    /// Bytes of summaries (topic and body) that may wait per uplink; the same happens beyond it.
    ///
    /// Alerts have no such bound: they are never dropped. They are rare by design (on-delay, one alarm an asset, kind
    /// and tag), and a disk that is full of them says so with [`StoreError::Full`](crate::StoreError::Full).
    pub summary_bytes: u64,
    /// Alarms that are over and kept for the record; the oldest go first, with their journal.
    pub closed_alarms: u32,
    /// Backups of `core.db` that are kept.
    pub backups: usize,
    /// Pages that a database may have, to simulate a full disk; `None` is SQLite's own limit.
    pub max_pages: Option<u32>,
}

impl StoreOptions {
    /// The ordinary bounds: 2 GiB of history; 50,000 summaries in 64 MiB per uplink, which is more than 72 hours of 100
    /// assets every ten minutes; 20,000 closed alarms; 24 backups.
    pub const fn new(opened_at: Timestamp) -> Self {
        Self {
            opened_at,
            history_bytes: 2 << 30,
            segment: Duration::from_secs(3_600),
            summary_rows: 50_000,
            summary_bytes: 64 << 20,
            closed_alarms: 20_000,
            backups: 24,
            max_pages: None,
        }
    }
}
