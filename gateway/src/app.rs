//! The composition root: builds the channels, starts the tasks, waits, and stops them in the direction of the data.
//!
//! ```text
//!  sources ──batches──▶ pump ──commits──▶ writer ──outbox, bell──▶ uplinks
//!     ▲                  │ ▲                                          │
//!     │           status ▼ │ commands                                 ▼
//!  configuration ◀─────── web                                       broker
//! ```
//! The configuration owns the sources, and gives the pump another plant when a person changes it.
//!
//! Stopping is channel closure running downstream: the sources stop, the pump drains and saves what was learnt, the
//! writer commits, the uplinks get a little time to deliver, and the process ends.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use anyhow::{Context as _, bail};
use bellwether_analytics::{Engine, Snapshot};
use bellwether_connectors::{Batch, StatusCell, opcua};
use bellwether_domain::{
    AssetPath, GapStatus, GatewayStatus, Plant, PlantStatus, StoreStatus, Timestamp, UplinkStatus,
};
use bellwether_store::{Store, StoreOptions};
use bellwether_web::{CertificateDesk, CommandRequest, ConfigRequest, WebState};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, mpsc, watch},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    acquisition::Acquisition,
    clock::Clock,
    config::{Config, Loaded, Setup},
    configuration::{self, Configuration, Surroundings},
    northbound::{self, Uplink},
    pump::{self, Channels, Commit, PlantChange, Pump},
    security,
    status::Parts,
    systemd,
    tasks::Tasks,
    upkeep::Upkeep,
    writer::Writer,
};

/// Plant time that one sealed file of raw history covers.
const SEGMENT: Duration = Duration::from_secs(3_600);

/// How long stopping may take in all before the process ends anyway.
const GRACE: Duration = Duration::from_millis(4_500);

/// How the gateway is to run.
#[derive(Debug)]
pub struct Options {
    /// Where the databases live.
    pub data_dir: PathBuf,
    /// Address of dashboard and API.
    pub http: SocketAddr,
    /// How much faster than the wall clock plant time runs; 1 outside the demo.
    pub speed: f64,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Where the dashboard listens.
    pub http: SocketAddr,
    /// Plant time.
    pub clock: Clock,
    /// Everything about it, renewed every second.
    pub status: watch::Receiver<Arc<GatewayStatus>>,
    /// What the engine knows, renewed at once when an alarm changes.
    pub state: watch::Receiver<Arc<PlantStatus>>,
    /// What each uplink says about itself, in the order of the configuration.
    pub uplinks: Vec<watch::Receiver<UplinkStatus>>,
    /// The engine's ear, as the dashboard has it.
    pub commands: mpsc::Sender<CommandRequest>,
    /// The owner of the configuration, as the dashboard has it.
    pub configs: mpsc::Sender<ConfigRequest>,
    store: Store,
    tasks: Tasks,
    /// Stops the sources and everything behind them.
    stop: CancellationToken,
    /// Stops the uplinks, once the last row has been written.
    stop_uplinks: CancellationToken,
}

/// The databases and the clock: what must be there before sources are configured, because plant time continues where
/// the databases end.
#[derive(Debug)]
pub struct Ground {
    store: Store,
    data_dir: PathBuf,
    /// Plant time.
    pub clock: Clock,
    notices: Vec<String>,
    is_resumed: bool,
    pki: opcua::Pki,
}

impl Ground {
    /// Opens the databases and starts the clock.
    ///
    /// # Errors
    /// If the data directory cannot be used.
    pub async fn open(config: &Config, data_dir: &Path, speed: f64) -> anyhow::Result<Self> {
        let options = StoreOptions {
            history_bytes: config.store.history_max_mib << 20,
            summary_rows: config.store.outbox_max_summaries,
            // A demo that runs faster than real time must not leave thousands of small files.
            segment: SEGMENT.mul_f64(speed.clamp(1.0, 24.0)),
            ..StoreOptions::new(Clock::start(None, 1.0).now())
        };
        let store = Store::open(data_dir, options).await?;
        let floor = store.core.last_plant_time();
        let notices = store.notices.clone();
        for notice in &notices {
            warn!("{notice}");
        }
        Ok(Self {
            store,
            data_dir: data_dir.to_owned(),
            clock: Clock::start(floor, speed),
            notices,
            is_resumed: floor.is_some(),
            pki: opcua::Pki::below(data_dir),
        })
    }

    /// Whether the databases hold anything from before.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }
}

impl Gateway {
    /// Starts everything; the dashboard can be asked when this returns.
    ///
    /// # Errors
    /// If the dashboard's address cannot be used, or what was learnt cannot be read for a reason of the disk.
    pub async fn start(loaded: Loaded, ground: Ground, http: SocketAddr) -> anyhow::Result<Self> {
        let Ground { store, data_dir, clock, mut notices, pki, .. } = ground;
        let (config, setup) = (&loaded.config, &loaded.setup);
        notices.extend(security::notices(config, &pki, clock.now()));
        let listener = TcpListener::bind(http).await.with_context(|| {
            format!(
                "the dashboard cannot listen on {http}: free the port, or choose another in [http] listen or with --http"
            )
        })?;
        let http = listener.local_addr().context("the dashboard's address is unknown")?;
        let engine = restore(config, setup, &store, clock.now()).await?;
        let (picture_sender, picture) = watch::channel(Arc::new(GatewayStatus::default()));

        let plant = Arc::clone(&setup.plant);
        let mut wiring = Wiring::new(config, plant, &store, clock.clone());
        let ends = wiring.pump(engine, store.core.last_plant_time());
        let (configs, config_requests) = mpsc::channel(configuration::CONFIG_QUEUE);
        let stop = wiring.stop.clone();
        let owner = Surroundings {
            clock: clock.clone(),
            acquisition: Acquisition::new(clock.clone(), pki.clone(), ends.batches, stop.clone()),
            plants: ends.plants,
            requests: config_requests,
            hangups: hangups(&loaded),
            data_dir,
            is_locked: !http.ip().is_loopback(),
            stop,
        };
        let connectors = wiring.configuration(loaded.clone(), owner);
        let uplinks = wiring.uplinks(&setup.gateway_path, &picture, &ends.raw_equivalent_bytes);
        let disk = wiring.writer(ends.commits, ends.state.clone(), notices);
        let parts = Parts {
            device: config.gateway.device.clone(),
            clock: clock.clone(),
            state: ends.state.clone(),
            gaps: ends.gaps,
            connectors,
            uplinks: uplinks.clone(),
            store: disk,
            raw_equivalent_bytes: ends.raw_equivalent_bytes,
            thinned: ends.thinned,
        };
        wiring.status(parts, picture_sender);
        let desk = security::desk(pki);
        wiring.web(listener, picture.clone(), ends.commands.clone(), configs.clone(), desk);

        let Wiring { tasks, stop, stop_uplinks, .. } = wiring;
        let (state, commands) = (ends.state, ends.commands);
        Ok(Self {
            http,
            clock,
            status: picture,
            state,
            uplinks,
            commands,
            configs,
            store,
            tasks,
            stop,
            stop_uplinks,
        })
    }

    /// Waits until `asked` completes or a task ends unasked, then stops everything.
    ///
    /// # Errors
    /// The failure of the task that ended unasked, or what went wrong while stopping.
    pub async fn run_until(mut self, asked: impl Future<Output = ()>) -> anyhow::Result<()> {
        let failure = tokio::select! {
            () = asked => None,
            ended = self.tasks.next_end() => ended,
        };
        systemd::stopping();
        self.stop.cancel();
        if let Some((name, result)) = failure {
            // Give the others a chance to save what they have; the process fails in any case.
            self.stop_uplinks.cancel();
            let drained = self.tasks.drain(GRACE).await;
            let Err(error) = result else { bail!("{name} ended without being asked to") };
            drained.unwrap_or_else(|error| {
                warn!(error = format!("{error:#}"), "stopping after a failure")
            });
            return Err(error.context(format!("{name} failed")));
        }
        let drained = self.tasks.drain(GRACE).await;
        // Last of all: the uplinks have been deleting what they delivered until now.
        self.store.close().await;
        drained
    }
}

/// `SIGHUP`, if there is a file that can be read again.
fn hangups(loaded: &Loaded) -> Option<Signal> {
    loaded.file.as_ref()?;
    match signal(SignalKind::hangup()) {
        Ok(signal) => Some(signal),
        Err(error) => {
            warn!(%error, "cannot listen for SIGHUP: a changed configuration needs a restart");
            None
        }
    }
}

/// The engine with what it had learnt before, if that can be read.
async fn restore(
    config: &Config,
    setup: &Setup,
    store: &Store,
    now: Timestamp,
) -> anyhow::Result<Engine> {
    let saved = match store.core.load_snapshot().await? {
        None => None,
        Some((at, bytes)) => match postcard::from_bytes::<Snapshot>(&bytes) {
            Ok(snapshot) => {
                info!(%at, "resuming what was learnt");
                Some(snapshot)
            }
            Err(error) => {
                warn!(%error, %at, "what was learnt comes from another version and cannot be read: learning begins anew");
                None
            }
        },
    };
    let engine = Engine::new(Arc::clone(&setup.plant), config.analytics.clone(), saved);
    let watched: Vec<_> = engine.status(now).alarms.iter().map(|alarm| alarm.id).collect();
    let orphans = store.core.close_orphaned_alarms(&watched, now).await?;
    if orphans > 0 {
        warn!(
            orphans,
            "alarms from before were closed: what the engine knew of them could not be read"
        );
    }
    Ok(engine)
}

/// The ends of the pump's channels that others hold.
struct PumpEnds {
    batches: mpsc::Sender<Batch>,
    commands: mpsc::Sender<CommandRequest>,
    plants: mpsc::Sender<PlantChange>,
    commits: mpsc::Receiver<Commit>,
    state: watch::Receiver<Arc<PlantStatus>>,
    gaps: watch::Receiver<Arc<GapStatus>>,
    raw_equivalent_bytes: Arc<AtomicU64>,
    thinned: Arc<AtomicU64>,
}

/// What the tasks have in common while they are being started.
struct Wiring<'a> {
    config: &'a Config,
    plant: Arc<Plant>,
    store: &'a Store,
    clock: Clock,
    tasks: Tasks,
    stop: CancellationToken,
    stop_uplinks: CancellationToken,
    bell: Arc<Notify>,
}

impl<'a> Wiring<'a> {
    fn new(config: &'a Config, plant: Arc<Plant>, store: &'a Store, clock: Clock) -> Self {
        Self {
            config,
            plant,
            store,
            clock,
            tasks: Tasks::new(),
            stop: CancellationToken::new(),
            stop_uplinks: CancellationToken::new(),
            bell: Arc::new(Notify::new()),
        }
    }

    fn pump(&mut self, engine: Engine, stopped_since: Option<Timestamp>) -> PumpEnds {
        let (batches, batch_receiver) = mpsc::channel(pump::SOURCE_QUEUE);
        let (commands, command_receiver) = mpsc::channel(pump::COMMAND_QUEUE);
        let (commit_sender, commits) = mpsc::channel(pump::COMMIT_QUEUE);
        let (plants, plant_receiver) = mpsc::channel(pump::PLANT_QUEUE);
        let (status, state) = watch::channel(Arc::new(engine.status(self.clock.now())));
        let (gap_sender, gaps) = watch::channel(Arc::new(GapStatus::default()));
        let raw_equivalent_bytes = Arc::new(AtomicU64::new(0));
        let thinned = Arc::new(AtomicU64::new(0));
        let channels = Channels {
            batches: batch_receiver,
            commands: command_receiver,
            plants: plant_receiver,
            commits: commit_sender,
            status,
            gaps: gap_sender,
            raw_equivalent_bytes: Arc::clone(&raw_equivalent_bytes),
            thinned: Arc::clone(&thinned),
        };
        let (plant, clock) = (Arc::clone(&self.plant), self.clock.clone());
        let pump = Pump::new(engine, plant, clock, channels, stopped_since);
        self.tasks.spawn("pump", pump.run());
        PumpEnds { batches, commands, plants, commits, state, gaps, raw_equivalent_bytes, thinned }
    }

    /// The configuration, and the sources with it. The pump ends when the last source has dropped its end of the queue.
    fn configuration(
        &mut self,
        loaded: Loaded,
        mut owner: Surroundings,
    ) -> watch::Receiver<Vec<StatusCell>> {
        for source in &loaded.setup.sources {
            owner.acquisition.start(source.clone());
        }
        owner.acquisition.tell(&loaded.setup.sources);
        let statuses = owner.acquisition.statuses();
        self.tasks.spawn("configuration", Configuration::new(loaded, owner).run());
        statuses
    }

    fn uplinks(
        &mut self,
        gateway_path: &AssetPath,
        picture: &watch::Receiver<Arc<GatewayStatus>>,
        raw_equivalent_bytes: &Arc<AtomicU64>,
    ) -> Vec<watch::Receiver<UplinkStatus>> {
        let mut receivers = Vec::new();
        for mqtt in &self.config.mqtt {
            let (status, receiver) = watch::channel(UplinkStatus {
                name: mqtt.name.clone(),
                endpoint: mqtt.url.clone(),
                ..UplinkStatus::default()
            });
            receivers.push(receiver);
            let uplink = Uplink {
                config: mqtt.clone(),
                device: self.config.gateway.device.clone(),
                gateway_path: gateway_path.clone(),
                core: self.store.core.clone(),
                bell: Arc::clone(&self.bell),
                gateway: picture.clone(),
                raw_equivalent_bytes: Arc::clone(raw_equivalent_bytes),
                clock: self.clock.clone(),
                status,
                stop: self.stop_uplinks.clone(),
            };
            self.tasks.spawn(format!("uplink {}", mqtt.name), northbound::run(uplink));
        }
        receivers
    }

    fn writer(
        &mut self,
        commits: mpsc::Receiver<Commit>,
        state: watch::Receiver<Arc<PlantStatus>>,
        notices: Vec<String>,
    ) -> watch::Receiver<StoreStatus> {
        let (status, receiver) =
            watch::channel(StoreStatus { healthy: true, notices, ..StoreStatus::default() });
        let upkeep = Upkeep {
            core: self.store.core.clone(),
            history: self.store.history.clone(),
            state: state.clone(),
            status: status.clone(),
        };
        self.tasks.spawn("upkeep", upkeep.run(self.stop.clone()));
        let writer = Writer {
            core: self.store.core.clone(),
            history: self.store.history.clone(),
            plant: Arc::clone(&self.plant),
            uplinks: self.config.mqtt.iter().map(|mqtt| mqtt.name.clone()).collect(),
            bell: Arc::clone(&self.bell),
            state,
            status,
        };
        let written = self.stop_uplinks.clone();
        self.tasks.spawn("store writer", async move {
            let result = writer.run(commits).await;
            written.cancel();
            result
        });
        receiver
    }

    fn status(&mut self, parts: Parts, picture: watch::Sender<Arc<GatewayStatus>>) {
        picture.send_replace(Arc::new(parts.assemble()));
        self.tasks.spawn("status", parts.run(picture, self.stop.clone()));
    }

    fn web(
        &mut self,
        listener: TcpListener,
        status: watch::Receiver<Arc<GatewayStatus>>,
        commands: mpsc::Sender<CommandRequest>,
        configs: mpsc::Sender<ConfigRequest>,
        certificates: CertificateDesk,
    ) {
        let reader = self.store.reader();
        let web = WebState { status, reader, commands, configs, certificates };
        let stop = self.stop.clone();
        self.tasks.spawn("web", async move {
            bellwether_web::serve(listener, web, stop).await.context("the dashboard has failed")
        });
    }
}
