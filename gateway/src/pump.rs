//! Receive → `Engine::step` → hand on. The only caller of the engine.
//!
//! Nothing here waits for the disk, the browser or the broker: what the engine says goes into a bounded channel to the
//! store writer, and if that is full, raw history is thinned while alarm transitions wait in memory.

mod inlets;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bellwether_analytics::{Engine, Input, Output, waveform_feature};
use bellwether_connectors::Batch;
use bellwether_domain::{
    Alert, Command, CommandError, GapStatus, HealthReport, Loss, LossCause, Outcome, Plant,
    PlantStatus, Reading, Summary, Timestamp, Transition, Waveform,
};
use bellwether_store::Maintenance;
use bellwether_web::CommandRequest;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{error, warn};

use self::inlets::Inlets;
use crate::{clock::Clock, gaps::Gaps, northbound::json, systemd};

/// Batches that may wait between the sources and the engine. When full, a source drops its batch, counts it and records
/// a loss.
pub const SOURCE_QUEUE: usize = 256;

/// Commands that may wait. When full, the dashboard answers 503.
pub const COMMAND_QUEUE: usize = 16;

/// Commits that may wait for the store writer. When full, raw history is thinned; alarm transitions wait in memory.
pub const COMMIT_QUEUE: usize = 1_024;

/// How often the engine hears that time has passed.
const TICK: Duration = Duration::from_millis(100);

/// How often the dashboard's picture is renewed.
const STATUS_PERIOD: Duration = Duration::from_millis(500);

/// How often the engine's state is saved, besides at each alarm transition and at the stop.
const SNAPSHOT_PERIOD: Duration = Duration::from_secs(60);

/// Changes of the plant that may wait; the one who asks waits for the answer, so there is never more than one.
pub const PLANT_QUEUE: usize = 1;

/// Another plant for the engine, and where its sources put what they read.
#[derive(Debug)]
pub struct PlantChange {
    /// The plant from now on.
    pub plant: Arc<Plant>,
    /// From the sources that speak in its ids. Those that were left alone go on with theirs.
    pub batches: mpsc::Receiver<Batch>,
    /// Whether the engine has changed over; if not, nothing has happened.
    pub reply: oneshot::Sender<Result<(), &'static str>>,
}

/// What one cycle of the pump gives the store writer.
#[derive(Debug, Default)]
pub struct Commit {
    /// Plant time of the cycle.
    pub at: Timestamp,
    /// Raw history.
    pub readings: Vec<Reading>,
    /// Health history.
    pub health: Vec<HealthReport>,
    /// Alarm transitions.
    pub alerts: Vec<Alert>,
    /// Periodic summaries.
    pub summaries: Vec<Summary>,
    /// Gaps.
    pub losses: Vec<Loss>,
    /// Gaps that have not ended, if they are others than before.
    pub open_losses: Option<Vec<Loss>>,
    /// Repairs somebody has reported.
    pub maintenance: Vec<Maintenance>,
    /// Serialised engine state.
    pub snapshot: Option<Vec<u8>>,
    /// The plant whose ids the *next* commits speak in, if it is another one.
    pub next_plant: Option<Arc<Plant>>,
}

impl Commit {
    fn is_empty(&self) -> bool {
        self.readings.is_empty()
            && self.health.is_empty()
            && self.alerts.is_empty()
            && self.summaries.is_empty()
            && self.losses.is_empty()
            && self.open_losses.is_none()
            && self.maintenance.is_empty()
            && self.snapshot.is_none()
            && self.next_plant.is_none()
    }

    /// Takes over everything of `later` that must not be lost: all but the raw readings.
    fn absorb(&mut self, later: Self) {
        self.at = later.at;
        self.health.extend(later.health);
        self.alerts.extend(later.alerts);
        self.summaries.extend(later.summaries);
        self.losses.extend(later.losses);
        self.open_losses = later.open_losses.or(self.open_losses.take());
        self.maintenance.extend(later.maintenance);
        self.snapshot = later.snapshot.or(self.snapshot.take());
    }
}

/// The ends of the pump's channels.
#[derive(Debug)]
pub struct Channels {
    /// From the sources.
    pub batches: mpsc::Receiver<Batch>,
    /// From the dashboard.
    pub commands: mpsc::Receiver<CommandRequest>,
    /// From whoever applies a changed configuration.
    pub plants: mpsc::Receiver<PlantChange>,
    /// To the store writer.
    pub commits: mpsc::Sender<Commit>,
    /// To dashboard and uplinks.
    pub status: watch::Sender<Arc<PlantStatus>>,
    /// To the dashboard: what is missing.
    pub gaps: watch::Sender<Arc<GapStatus>>,
    /// Bytes it would have taken to send every reading on its own.
    pub raw_equivalent_bytes: Arc<AtomicU64>,
    /// Readings thinned because the disk was behind.
    pub thinned: Arc<AtomicU64>,
}

/// The engine with everything around it.
#[derive(Debug)]
pub struct Pump {
    engine: Engine,
    plant: Arc<Plant>,
    clock: Clock,
    inlets: Inlets,
    commands: mpsc::Receiver<CommandRequest>,
    plants: mpsc::Receiver<PlantChange>,
    commits: mpsc::Sender<Commit>,
    status: watch::Sender<Arc<PlantStatus>>,
    gap_status: watch::Sender<Arc<GapStatus>>,
    raw_equivalent_bytes: Arc<AtomicU64>,
    thinned: Arc<AtomicU64>,
    gaps: Gaps,
    /// Outputs of the step at hand; kept to reuse its memory.
    outputs: Vec<Output>,
    /// What the full channel did not take.
    waiting: Option<Commit>,
    /// Since when readings are being thinned, and how many were.
    thinning: Option<(Timestamp, u64)>,
    snapshot_due: Instant,
    status_due: Instant,
}

enum Event {
    Batch(Batch),
    Command(CommandRequest),
    Plant(PlantChange),
    Tick,
    Closed,
}

impl Pump {
    /// A pump around this engine. `stopped_since`: the last that is known of the time before, if there was one.
    pub fn new(
        engine: Engine,
        plant: Arc<Plant>,
        clock: Clock,
        channels: Channels,
        stopped_since: Option<Timestamp>,
    ) -> Self {
        let now = Instant::now();
        let mut gaps = Gaps::new(Arc::clone(&plant), clock.now());
        let waiting = stopped_since.filter(|since| *since < clock.started_at()).map(|since| {
            let to = clock.started_at();
            let loss = gaps.record(Loss::of_plant(since, to, LossCause::GatewayStopped, 0));
            Commit { at: to, losses: vec![loss], ..Commit::default() }
        });
        Self {
            gaps,
            engine,
            plant,
            clock,
            inlets: Inlets::new(channels.batches),
            commands: channels.commands,
            plants: channels.plants,
            commits: channels.commits,
            status: channels.status,
            gap_status: channels.gaps,
            raw_equivalent_bytes: channels.raw_equivalent_bytes,
            thinned: channels.thinned,
            outputs: Vec::new(),
            waiting,
            thinning: None,
            snapshot_due: now + SNAPSHOT_PERIOD,
            status_due: now,
        }
    }

    /// Runs until all sources are gone, then saves the engine's state.
    ///
    /// # Errors
    /// If the store writer is gone, or the engine's state cannot be serialised.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let watchdog_period = systemd::watchdog_period();
        let mut watchdog_due = Instant::now();
        loop {
            let event = tokio::select! {
                biased;
                command = self.commands.recv(), if !self.commands.is_closed() => {
                    command.map_or(Event::Tick, Event::Command)
                }
                Some(change) = self.plants.recv() => Event::Plant(change),
                batch = self.inlets.recv() => batch.map_or(Event::Closed, Event::Batch),
                _ = ticks.tick() => Event::Tick,
            };
            match event {
                Event::Closed => break,
                Event::Plant(change) => self.change_plant(change)?,
                event => {
                    let commit = self.cycle(event)?;
                    self.hand_on(commit)?;
                }
            }
            if let Some(period) = watchdog_period
                && watchdog_due.elapsed() >= period
            {
                systemd::watchdog();
                watchdog_due = Instant::now();
            }
        }
        self.finish().await
    }

    /// One step of the engine and what follows from it.
    fn cycle(&mut self, event: Event) -> anyhow::Result<Commit> {
        let now = self.clock.now();
        let mut commit = Commit { at: now, ..Commit::default() };
        match event {
            Event::Batch(Batch::Readings(readings)) => {
                self.gaps.observe(now, &readings);
                self.step(now, Input::Readings(&readings), &mut commit);
                let bytes: u64 =
                    readings.iter().map(|r| json::raw_equivalent_bytes(&self.plant, r)).sum();
                self.raw_equivalent_bytes.fetch_add(bytes, Ordering::Relaxed);
                commit.readings = readings;
            }
            Event::Batch(Batch::Waveform(waveform)) => {
                self.gaps.hear(now, &waveform);
                self.step(now, Input::Waveform(&waveform), &mut commit);
                // A burst sent raw would cost at least its samples in four-byte numbers.
                let bytes = waveform.samples.len() as u64 * 4;
                self.raw_equivalent_bytes.fetch_add(bytes, Ordering::Relaxed);
                commit.readings = features(&self.plant, &waveform);
            }
            Event::Batch(Batch::Loss(loss)) => commit.losses.push(self.gaps.record(loss)),
            Event::Command(request) => self.command(now, request, &mut commit),
            Event::Tick | Event::Plant(_) | Event::Closed => {
                self.step(now, Input::Tick, &mut commit);
                commit.losses.extend(self.gaps.tick(now));
                commit.open_losses = self.gaps.changed(now);
            }
        }
        let instant = Instant::now();
        if !commit.alerts.is_empty() || instant >= self.snapshot_due {
            // Together with the alarm it caused, so that a restart knows of the same alarms as the database.
            commit.snapshot = Some(self.snapshot()?);
            commit.open_losses = Some(self.gaps.unrecorded(now));
            self.snapshot_due = instant + SNAPSHOT_PERIOD;
        }
        if !commit.alerts.is_empty() || instant >= self.status_due {
            self.gap_status.send_replace(Arc::new(self.gaps.status(now)));
            self.status.send_replace(Arc::new(self.engine.status(now)));
            self.status_due = instant + STATUS_PERIOD;
        }
        Ok(commit)
    }

    /// Changes over to another plant between two batches. What the engine still says about the old plant, the change
    /// itself and what was learnt go to the writer as one commit, or not at all.
    fn change_plant(&mut self, change: PlantChange) -> anyhow::Result<()> {
        let PlantChange { plant, batches, reply } = change;
        let permit = match (&self.waiting, self.commits.clone().try_reserve_owned()) {
            (None, Ok(permit)) => permit,
            (_, Err(mpsc::error::TrySendError::Closed(_))) => {
                anyhow::bail!("the store writer is gone")
            }
            // What waits speaks in the old ids and must go first.
            _ => {
                if reply.send(Err("the disk is behind")).is_err() {
                    warn!("whoever changed the configuration did not wait for the answer");
                }
                return Ok(());
            }
        };
        let now = self.clock.now();
        let mut commit = Commit { at: now, ..Commit::default() };
        self.step(now, Input::Plant(Arc::clone(&plant)), &mut commit);
        // Gaps speak in the old ids too: they end here, and those that last begin anew with the next sign of them.
        commit.losses.extend(self.gaps.finish(now));
        commit.open_losses = Some(Vec::new());
        self.gaps.change(Arc::clone(&plant), now);
        self.inlets.change(&self.plant, &plant, batches);
        self.plant = Arc::clone(&plant);
        commit.snapshot = Some(self.snapshot()?);
        commit.next_plant = Some(plant);
        permit.send(commit);
        self.status.send_replace(Arc::new(self.engine.status(now)));
        if reply.send(Ok(())).is_err() {
            warn!("whoever changed the configuration did not wait for the answer");
        }
        Ok(())
    }

    fn step(&mut self, now: Timestamp, input: Input<'_>, commit: &mut Commit) -> Vec<CommandError> {
        self.engine.step(now, input, &mut self.outputs);
        let mut refused = Vec::new();
        for output in self.outputs.drain(..) {
            match output {
                Output::AlarmChanged(alert) => commit.alerts.push(alert),
                Output::Health(report) => commit.health.push(report),
                Output::Summary(summary) => commit.summaries.push(summary),
                Output::Refused(error) => refused.push(error),
            }
        }
        refused
    }

    fn command(&mut self, now: Timestamp, request: CommandRequest, commit: &mut Commit) {
        let refused = self.step(now, Input::Command(&request.command), commit);
        let outcome = outcome(&request.command, &commit.alerts, refused);
        if outcome.is_ok()
            && let Command::MaintenanceDone { asset, actor, note } = request.command
        {
            let asset = self.plant.asset(asset).path.to_string();
            commit.maintenance.push(Maintenance { asset, at: now, actor, note });
        }
        if request.reply.send(outcome).is_err() {
            warn!("whoever gave the command did not wait for the answer");
        }
    }

    fn snapshot(&self) -> anyhow::Result<Vec<u8>> {
        Ok(postcard::to_allocvec(&self.engine.snapshot())?)
    }

    /// Never waits: what the channel does not take is kept, raw readings excepted.
    fn hand_on(&mut self, commit: Commit) -> anyhow::Result<()> {
        let mut commit = match self.waiting.take() {
            None => commit,
            Some(mut waiting) => {
                self.thin(commit.at, commit.readings.len());
                waiting.absorb(commit);
                waiting
            }
        };
        if commit.is_empty() {
            return Ok(());
        }
        if let Some((from, count)) = self.thinning.take() {
            let loss = Loss::of_plant(from, commit.at, LossCause::StoreBehind, count);
            commit.losses.push(self.gaps.record(loss));
        }
        match self.commits.try_send(commit) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(mut commit)) => {
                if self.thinning.is_none() {
                    error!(
                        "the disk is behind: raw history is being thinned, alarms wait in memory"
                    );
                }
                self.thin(commit.at, commit.readings.len());
                commit.readings.clear();
                commit.losses.retain(|loss| loss.cause != LossCause::StoreBehind);
                self.waiting = Some(commit);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => anyhow::bail!("the store writer is gone"),
        }
    }

    fn thin(&mut self, at: Timestamp, readings: usize) {
        let (_, count) = self.thinning.get_or_insert((at, 0));
        *count += readings as u64;
        self.thinned.fetch_add(readings as u64, Ordering::Relaxed);
    }

    async fn finish(mut self) -> anyhow::Result<()> {
        let now = self.clock.now();
        self.status.send_replace(Arc::new(self.engine.status(now)));
        let mut last = Commit {
            at: now,
            losses: self.gaps.finish(now),
            open_losses: Some(Vec::new()),
            snapshot: Some(self.snapshot()?),
            ..Commit::default()
        };
        if let Some(mut waiting) = self.waiting.take() {
            waiting.absorb(last);
            last = waiting;
        }
        self.commits.send(last).await.map_err(|_| anyhow::anyhow!("the store writer is gone"))
    }
}

/// What a command has done, from what the engine has said about it. A command of which nothing could be done is refused.
fn outcome(
    command: &Command,
    alerts: &[Alert],
    refused: Vec<CommandError>,
) -> Result<Outcome, CommandError> {
    let Command::Acknowledge { alarms, .. } = command else {
        return refused.into_iter().next().map_or_else(|| Ok(Outcome::default()), Err);
    };
    let mut outcome = Outcome::default();
    for &id in alarms {
        let is_acknowledged =
            |alert: &Alert| alert.transition == Transition::Acknowledged && alert.alarm.id == id;
        if refused.contains(&CommandError::AlarmNotActive(id)) {
            outcome.unknown.push(id);
        } else if alerts.iter().any(is_acknowledged) {
            outcome.acknowledged.push(id);
        } else {
            outcome.already.push(id);
        }
    }
    let has_done_nothing = outcome.unknown.len() == alarms.len();
    let mut refused = refused.into_iter();
    match refused.next() {
        Some(error) if has_done_nothing || error == CommandError::ActorMissing => Err(error),
        _ => Ok(outcome),
    }
}

/// What the tags computed from this burst read. The engine computes the same for itself; here it is for the history,
/// which like that of any tag holds what came, before anybody judged it.
fn features(plant: &Plant, waveform: &Waveform) -> Vec<Reading> {
    let of_burst = plant.tags().filter_map(|(tag, meta)| {
        let derived = meta.derived.filter(|derived| derived.from == waveform.tag)?;
        let value = waveform_feature(derived.feature, &waveform.samples);
        Some(Reading::new(tag, waveform.at, value))
    });
    of_burst.collect()
}

#[cfg(test)]
mod tests {
    use bellwether_domain::{
        Alarm, AlarmId, AlarmKind, AlarmState, AssetId, Explanation, ExplanationCode, HealthState,
        Priority, TagId,
    };

    use super::*;
    use crate::config::Config;

    const CONFIG: &str = r#"
        site = { enterprise = "acme", site = "lyon" }

        [[asset]]
        path = "machining/cell-3/spindle-1"

        [[opcua]]
        name = "spindle"
        endpoint = "opc.tcp://127.0.0.1:4840"
        security = "none"

        [[opcua.tag]]
        name = "spindle-1.acceleration"
        asset = "machining/cell-3/spindle-1"
        unit = "m/s2"
        node = "ns=2;s=acceleration"
        waveform = { sample_rate_hz = 12800.0, period_ms = 10000 }
    "#;

    fn pump() -> (Pump, Arc<Plant>) {
        let config = Config::parse("test".as_ref(), CONFIG).unwrap();
        let plant = config.setup("test".as_ref(), 1.0).unwrap().plant;
        let engine = Engine::new(Arc::clone(&plant), config.analytics, None);
        let channels = Channels {
            batches: mpsc::channel(1).1,
            commands: mpsc::channel(1).1,
            plants: mpsc::channel(1).1,
            commits: mpsc::channel(1).0,
            status: watch::channel(Arc::default()).0,
            gaps: watch::channel(Arc::default()).0,
            raw_equivalent_bytes: Arc::default(),
            thinned: Arc::default(),
        };
        (Pump::new(engine, Arc::clone(&plant), Clock::start(None, 1.0), channels, None), plant)
    }

    #[test]
    fn the_features_of_a_burst_are_stored() {
        let (mut pump, plant) = pump();
        let (at, samples) = (pump.clock.now(), vec![2.0, -2.0, 2.0, -2.0]);
        let tag = plant.tag_named("spindle-1.acceleration").unwrap_or(TagId(9));
        let burst = Waveform { tag, at, sample_rate_hz: 12_800.0, samples };
        let commit = pump.cycle(Event::Batch(Batch::Waveform(burst))).unwrap();
        let stored: Vec<_> = commit
            .readings
            .iter()
            .map(|reading| (plant.tag(reading.tag).name.as_str(), reading.at, reading.value))
            .collect();
        let expected = [("rms", 2.0), ("crest", 1.0), ("kurtosis", 1.0)];
        let names = expected.map(|(feature, _)| format!("spindle-1.acceleration_{feature}"));
        let expected: Vec<_> = names
            .iter()
            .zip(expected)
            .map(|(name, (_, value))| (name.as_str(), at, value))
            .collect();
        assert_eq!(stored, expected);
    }

    fn acknowledged(id: u64) -> Alert {
        let alarm = Alarm {
            id: AlarmId(id),
            asset: AssetId(0),
            tag: None,
            kind: AlarmKind::NoData,
            state: AlarmState::AckedAlarm,
            priority: Priority::Low,
            severity: HealthState::Unknown,
            raised_at: Timestamp::default(),
            returned_at: None,
            acked_at: None,
            acked_by: None,
            explanation: Explanation {
                code: ExplanationCode::DataMissing,
                sentence: String::new(),
                condition: Vec::new(),
                contributions: Vec::new(),
            },
        };
        Alert { at: Timestamp::default(), transition: Transition::Acknowledged, alarm }
    }

    #[track_caller]
    fn check(asked: &[u64], refused: &[CommandError], expected: Result<[&[u64]; 3], CommandError>) {
        let ids = |ids: &[u64]| ids.iter().copied().map(AlarmId).collect::<Vec<_>>();
        let command = Command::Acknowledge { alarms: ids(asked), actor: "ann".to_owned() };
        let expected = expected.map(|[acknowledged, already, unknown]| Outcome {
            acknowledged: ids(acknowledged),
            already: ids(already),
            unknown: ids(unknown),
        });
        assert_eq!(outcome(&command, &[acknowledged(1)], refused.to_vec()), expected);
    }

    #[test]
    fn an_acknowledgement_says_what_became_of_each_alarm() {
        let unknown = |id| CommandError::AlarmNotActive(AlarmId(id));
        check(&[1], &[], Ok([&[1], &[], &[]]));
        check(&[1, 2, 3], &[unknown(3)], Ok([&[1], &[2], &[3]]));
        check(&[2, 3], &[unknown(3)], Ok([&[], &[2], &[3]]));
        check(&[3, 4], &[unknown(3), unknown(4)], Err(unknown(3)));
        check(&[1], &[CommandError::ActorMissing], Err(CommandError::ActorMissing));
    }
}
