//! The job that tidies up the databases: seals and thins old history, backs up alarms, notes how large the files are.
//! A failure is logged and shown; nothing waits for it, because the store takes its writer for short transactions only.

use std::{sync::Arc, time::Duration};

use bellwether_domain::{PlantStatus, StoreStatus};
use bellwether_store::{Core, History};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How often old history is sealed, thinned and deleted.
const PERIOD: Duration = Duration::from_secs(60);

/// Every how many periods the alarm database is backed up and bounded: once an hour.
const CORE_EVERY: u32 = 60;

/// What the job works on.
#[derive(Debug)]
pub struct Upkeep {
    /// Alarms, messages and what was learnt.
    pub core: Core,
    /// Raw history and health history.
    pub history: History,
    /// Where plant time stands.
    pub state: watch::Receiver<Arc<PlantStatus>>,
    /// What is said about the disk.
    pub status: watch::Sender<StoreStatus>,
}

impl Upkeep {
    /// Tidies up until `stop`; a round that has begun is finished.
    ///
    /// # Errors
    /// None: what failed is tried again in the next round.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut due = interval(PERIOD);
        due.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut round = 0_u32;
        while stop.run_until_cancelled(due.tick()).await.is_some() {
            if round > 0 {
                self.tidy_up(round.is_multiple_of(CORE_EVERY)).await;
            }
            self.status.send_modify(|status| {
                status.core_bytes = self.core.bytes();
                status.history_bytes = self.history.bytes();
            });
            round = round.wrapping_add(1);
        }
        Ok(())
    }

    async fn tidy_up(&self, is_core_due: bool) {
        let now = self.state.borrow().at;
        if let Err(error) = self.history.maintain(now).await {
            warn!(%error, "old history could not be tidied up");
        }
        if is_core_due && let Err(error) = self.core.maintain().await {
            warn!(%error, "the alarm database could not be tidied up");
        }
    }
}
