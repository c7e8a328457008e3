//! The store writer: the one task that writes to disk. Alarms with their outbox rows go at once, in one transaction;
//! raw history goes every few seconds.
//!
//! A failing disk never stops acquisition and alarms: what must not be lost is kept and tried again, raw history is
//! given up and counted, and the status says so.

mod faults;

use std::{sync::Arc, time::Duration};

use bellwether_domain::{
    AssetId, Loss, LossCause, Plant, PlantStatus, Quality, StoreStatus, Timestamp,
};
use bellwether_store::{Core, CoreCommit, History, HistoryBatch, Names, Outgoing, StoreError};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{error, info};

use self::faults::{Database, Faults, News};
use crate::{northbound::json, pump::Commit};

/// At most this much raw history is lost in a power cut.
const HISTORY_PERIOD: Duration = Duration::from_secs(5);

/// History is written earlier when this many readings wait.
const HISTORY_READINGS: usize = 20_000;

/// Raw readings that may wait while the disk fails; beyond that the newest are given up and counted.
const MAX_WAITING_READINGS: usize = 200_000;

/// The writer's surroundings.
#[derive(Debug)]
pub struct Writer {
    /// Alarms, messages and what was learnt.
    pub core: Core,
    /// Raw history and health history.
    pub history: History,
    /// What ids are called, until a commit brings another plant.
    pub plant: Arc<Plant>,
    /// The uplinks that get alerts and summaries.
    pub uplinks: Vec<String>,
    /// Rung when the outbox has new rows.
    pub bell: Arc<Notify>,
    /// The engine's picture, for the quality of what is sent.
    pub state: watch::Receiver<Arc<PlantStatus>>,
    /// What is said about the disk.
    pub status: watch::Sender<StoreStatus>,
}

/// What waits for the disk.
#[derive(Debug, Default)]
struct Waiting {
    core: CoreCommit,
    history: HistoryBatch,
    faults: Faults,
}

impl Waiting {
    fn is_core_written(&self) -> bool {
        self.core == CoreCommit { at: self.core.at, ..CoreCommit::default() }
    }
}

impl Writer {
    /// Writes until the pump is gone, then writes what is left.
    ///
    /// # Errors
    /// If what must not be lost could not be written at the end.
    pub async fn run(mut self, mut commits: mpsc::Receiver<Commit>) -> anyhow::Result<()> {
        let mut names = Names::of(&self.plant);
        let mut waiting = Waiting::default();
        let mut history_due = interval(HISTORY_PERIOD);
        history_due.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let received = tokio::select! {
                biased;
                commit = commits.recv() => Some(commit),
                _ = history_due.tick() => None,
            };
            let is_history_due = received.is_none();
            match received {
                Some(Some(mut commit)) => {
                    let next_plant = commit.next_plant.take();
                    self.take(commit, &mut waiting);
                    if let Some(plant) = next_plant {
                        self.settle(&names, &mut waiting, &commits).await?;
                        names = Names::of(&plant);
                        self.plant = plant;
                    }
                }
                Some(None) => break,
                None => {}
            }
            self.write_core(&names, &mut waiting).await;
            if is_history_due || waiting.history.readings.len() >= HISTORY_READINGS {
                self.write_history(&names, &mut waiting).await;
            }
        }
        self.write_core(&names, &mut waiting).await;
        self.write_history(&names, &mut waiting).await;
        let lost = waiting.core.alerts.len();
        anyhow::ensure!(
            lost == 0,
            "{lost} alarm transitions could not be written: see the disk errors above"
        );
        info!("everything is on disk");
        Ok(())
    }

    /// Writes everything that speaks in the ids of the plant that is left, however long the disk takes: meanwhile
    /// commits wait in their queue, and when that is full the pump thins raw history as for any slow disk.
    async fn settle(
        &self,
        names: &Names,
        waiting: &mut Waiting,
        commits: &mpsc::Receiver<Commit>,
    ) -> anyhow::Result<()> {
        loop {
            self.write_core(names, waiting).await;
            self.write_history(names, waiting).await;
            if waiting.is_core_written() && waiting.history == HistoryBatch::default() {
                return Ok(());
            }
            anyhow::ensure!(
                !commits.is_closed(),
                "what was to be written before the configuration changed could not be: see the disk errors above"
            );
            sleep(HISTORY_PERIOD).await;
        }
    }

    fn take(&self, commit: Commit, waiting: &mut Waiting) {
        for alert in &commit.alerts {
            let quality = self.quality(alert.alarm.asset);
            waiting.core.outgoing.extend(
                self.each_uplink(|uplink| json::alert(&self.plant, uplink, alert, quality)),
            );
        }
        for summary in &commit.summaries {
            let quality = self.quality(summary.asset);
            waiting.core.outgoing.extend(
                self.each_uplink(|uplink| json::summary(&self.plant, uplink, summary, quality)),
            );
        }
        waiting.core.at = commit.at;
        waiting.core.alerts.extend(commit.alerts);
        waiting.core.maintenance.extend(commit.maintenance);
        // The newest state knows of every transition that waits with it.
        waiting.core.snapshot = commit.snapshot.or(waiting.core.snapshot.take());
        let room = MAX_WAITING_READINGS.saturating_sub(waiting.history.readings.len());
        let given_up = commit.readings.len().saturating_sub(room);
        waiting.history.readings.extend(commit.readings.into_iter().take(room));
        waiting.history.health.extend(commit.health);
        waiting.history.losses.extend(commit.losses);
        waiting.history.open_losses = commit.open_losses.or(waiting.history.open_losses.take());
        if given_up > 0 {
            give_up(&mut waiting.history, commit.at, given_up as u64);
            self.status.send_modify(|status| status.thinned += given_up as u64);
        }
    }

    fn each_uplink(&self, row: impl Fn(&str) -> Outgoing) -> impl Iterator<Item = Outgoing> {
        self.uplinks.iter().map(move |uplink| row(uplink))
    }

    /// The worst quality among the asset's tags.
    fn quality(&self, asset: AssetId) -> Quality {
        let state = self.state.borrow();
        // The state may be of another plant already, or still.
        let path = &self.plant.asset(asset).path;
        let own = state
            .tags
            .iter()
            .filter(|tag| state.plant.asset(state.plant.tag(tag.tag).asset).path == *path);
        own.map(|tag| tag.quality).fold(Quality::Good, Quality::worst)
    }

    async fn write_core(&self, names: &Names, waiting: &mut Waiting) {
        if waiting.is_core_written() {
            return;
        }
        match self.core.commit(names, &waiting.core).await {
            Ok(()) => {
                let has_rows = !waiting.core.outgoing.is_empty();
                waiting.core = CoreCommit::default();
                self.succeeded(&mut waiting.faults, Database::Core);
                if has_rows {
                    self.bell.notify_waiters();
                }
            }
            Err(error) => self.failed(&mut waiting.faults, Database::Core, &error),
        }
    }

    async fn write_history(&self, names: &Names, waiting: &mut Waiting) {
        if waiting.history == HistoryBatch::default() {
            return;
        }
        match self.history.append(names, &waiting.history).await {
            Ok(()) => {
                waiting.history = HistoryBatch::default();
                self.succeeded(&mut waiting.faults, Database::History);
            }
            Err(error) => self.failed(&mut waiting.faults, Database::History, &error),
        }
    }

    fn succeeded(&self, faults: &mut Faults, database: Database) {
        let news = faults.note(database, None);
        self.tell(faults);
        if news == News::Recovered {
            info!("the disk takes data");
        }
    }

    /// Reports a failing disk when it begins to fail, not at each attempt.
    fn failed(&self, faults: &mut Faults, database: Database, cause: &StoreError) {
        let consequence = match database {
            Database::Core => "alarms and messages wait in memory",
            Database::History => "history waits in memory",
        };
        let news = faults.note(database, Some(format!("{cause}: {consequence}")));
        self.tell(faults);
        if news == News::Failing {
            error!(error = %cause, "the disk does not take data: {consequence}");
        }
    }

    /// The disk is well if both databases write; the last error stays for people to read.
    fn tell(&self, faults: &Faults) {
        self.status.send_if_modified(|status| {
            let error = faults.error();
            let is_healthy = error.is_none();
            let has_changed = status.healthy != is_healthy
                || (!is_healthy && status.last_error.as_deref() != error);
            status.healthy = is_healthy;
            if has_changed && let Some(error) = error {
                status.last_error = Some(error.to_owned());
            }
            has_changed
        });
    }
}

/// Readings that the failing disk will never see are a gap, one as long as the disk fails.
fn give_up(history: &mut HistoryBatch, at: Timestamp, count: u64) {
    match history.losses.iter_mut().find(|loss| loss.cause == LossCause::StoreBehind) {
        Some(loss) => {
            loss.to = loss.to.max(at);
            loss.count += count;
        }
        None => history.losses.push(Loss::of_plant(at, at, LossCause::StoreBehind, count)),
    }
}
