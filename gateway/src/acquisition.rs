//! The sources that run: starts them, and replaces those whose configuration has changed while the others go on.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use bellwether_connectors::{Batch, Sink, StatusCell, opcua::Pki};
use bellwether_domain::{ConnectorStatus, Plant};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{clock::Clock, config::SourceSetup, sources, tasks::Tasks};

/// How long a source may take to end. Its session is dropped, so this is ample.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A source that runs.
#[derive(Debug)]
struct Running {
    status: StatusCell,
    stop: CancellationToken,
}

/// All sources that run, by name.
#[derive(Debug)]
pub struct Acquisition {
    clock: Clock,
    /// Whom OPC UA sources trust.
    pki: Pki,
    tasks: Tasks,
    running: BTreeMap<String, Running>,
    /// Where those that start put what they read; dropped at the stop, so that the pump sees the last source go.
    batches: mpsc::Sender<Batch>,
    /// In the order of the configuration.
    cells: watch::Sender<Vec<StatusCell>>,
    stop: CancellationToken,
    /// Seeds of the back-offs, so that sources do not come back in step.
    seed: u64,
}

impl Acquisition {
    /// None yet. All of them end with `stop`.
    pub fn new(
        clock: Clock,
        pki: Pki,
        batches: mpsc::Sender<Batch>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            clock,
            pki,
            tasks: Tasks::new(),
            running: BTreeMap::new(),
            batches,
            cells: watch::Sender::new(Vec::new()),
            stop,
            seed: 0,
        }
    }

    /// What each source says about itself, in the order of the configuration.
    pub fn statuses(&self) -> watch::Receiver<Vec<StatusCell>> {
        self.cells.subscribe()
    }

    /// Sources that start from now on put what they read here.
    pub fn change_queue(&mut self, batches: mpsc::Sender<Batch>) {
        self.batches = batches;
    }

    /// Starts a source.
    pub fn start(&mut self, source: SourceSetup) {
        let initial = ConnectorStatus { since: self.clock.now(), ..source.status() };
        let name = initial.name.clone();
        let status = StatusCell::new(initial);
        let sink = Sink::new(self.batches.clone(), status.clone());
        let stop = self.stop.child_token();
        self.seed += 1;
        self.tasks.spawn(
            task(&name),
            sources::run(
                source,
                self.pki.clone(),
                sink,
                status.clone(),
                self.clock.as_fn(),
                self.seed,
                stop.clone(),
            ),
        );
        self.running.insert(name, Running { status, stop });
    }

    /// Ends a source and waits until it has: many devices serve one connection only.
    ///
    /// # Errors
    /// If it does not end, or another source has failed meanwhile.
    pub async fn end(&mut self, name: &str) -> anyhow::Result<()> {
        let Some(running) = self.running.remove(name) else { return Ok(()) };
        running.stop.cancel();
        let wanted = task(name);
        let ended = async {
            let Some((name, result)) = self.tasks.next_end().await else { return Ok(()) };
            result.with_context(|| format!("{name} failed"))?;
            anyhow::ensure!(name == wanted, "{name} ended without being asked to");
            Ok(())
        };
        timeout(STOP_LIMIT, ended)
            .await
            .with_context(|| format!("source {name} did not end within {STOP_LIMIT:?}"))?
    }

    /// Tells who runs now, in this order.
    /// Sources that go on speak in the ids they began with; where their tags lie is told in those of the running plant.
    pub fn tell(&self, sources: &[SourceSetup]) {
        let status = |source: &SourceSetup| {
            let running = self.running.get(source.name())?;
            running.status.update(|status| status.addresses = source.status().addresses);
            Some(running.status.clone())
        };
        self.cells.send_replace(sources.iter().filter_map(status).collect());
    }

    /// Waits until a source ends that nobody asked to, which is a failure; for ever if none does.
    pub async fn failure(&mut self) -> anyhow::Error {
        match self.tasks.next_end().await {
            Some((name, Err(error))) => error.context(format!("{name} failed")),
            Some((name, Ok(()))) if !self.stop.is_cancelled() => {
                anyhow::anyhow!("{name} ended without being asked to")
            }
            // Stopping, or there are no sources: whoever asks is told by other means.
            _ => std::future::pending().await,
        }
    }

    /// Waits until all sources have ended after the stop.
    ///
    /// # Errors
    /// The first failure, or who did not end.
    pub async fn drain(mut self) -> anyhow::Result<()> {
        self.tasks.drain(STOP_LIMIT).await
    }
}

fn task(name: &str) -> String {
    format!("source {name}")
}

/// Whether a session of `old` can go on as one of `new`: everything it works with is the same, and its tags have the same
/// names, whatever their ids.
pub fn is_same_session(
    (old_plant, old): (&Plant, &SourceSetup),
    (new_plant, new): (&Plant, &SourceSetup),
) -> bool {
    let names = |plant: &Plant, source: &SourceSetup| {
        source.tag_ids().iter().map(|id| plant.tag(*id).name.clone()).collect::<Vec<_>>()
    };
    names(old_plant, old) == names(new_plant, new) && old.with_ids(&new.tag_ids()) == *new
}
