//! `bellwether demo`: the gateway on a simulated plant that wears out, or on a recording of a real machine, over real
//! protocols. The plant and its servers run in this process; the gateway reads them as it would read any device.

mod live;
mod recording;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

use bellwether_domain::{AlarmId, AlarmState, AssetId, HealthState, Plant, PlantStatus};

use super::{UsageError, say::say};
use crate::{app::Gateway, clock::Clock};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Everything random in the plant follows from this number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much faster than the wall clock the plant runs, 1 to 1000.
    #[arg(long, default_value_t = 600.0)]
    speed: f64,
    /// Stop after this many seconds; run until Ctrl-C if absent.
    #[arg(long = "for", value_name = "SECONDS")]
    for_seconds: Option<u64>,
    /// Where the databases live; a temporary directory if absent. A second start on the same one resumes what was learnt.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the dashboard.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Address of the demo's own MQTT broker.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:21883")]
    mqtt: SocketAddr,
    /// Serve this CSV recording of a real machine instead of the simulated plant, and judge the result.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "speed", "mqtt"])]
    recording: Option<PathBuf>,
}

impl Args {
    /// When to stop, if `--for` was given.
    fn deadline(&self) -> Option<tokio::time::Instant> {
        self.for_seconds
            .map(|seconds| tokio::time::Instant::now() + std::time::Duration::from_secs(seconds))
    }

    pub(super) fn run(self) -> anyhow::Result<()> {
        if !(1.0..=1000.0).contains(&self.speed) {
            anyhow::bail!(UsageError(format!("--speed {}: choose 1 to 1000", self.speed)));
        }
        for (flag, address) in [("--http", self.http), ("--mqtt", self.mqtt)] {
            if !address.ip().is_loopback() {
                anyhow::bail!(UsageError(format!(
                    "{flag} {address} can be reached by others: the demo listens on loopback addresses only"
                )));
            }
        }
        // Removed at the end, with everything in it.
        let temporary = match &self.data_dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("bellwether-demo-").tempdir()?),
        };
        let data_dir = match (&self.data_dir, &temporary) {
            (Some(dir), _) => dir.clone(),
            (None, Some(dir)) => dir.path().to_owned(),
            (None, None) => anyhow::bail!("there is no data directory"),
        };
        super::runtime()?.block_on(async {
            match self.recording.clone() {
                None => live::run(&self, &data_dir).await,
                Some(file) => recording::run(&self, &file, &data_dir).await,
            }
        })
    }
}

/// Tells each new state of an asset and of an alarm once.
struct Teller {
    plant: Arc<Plant>,
    clock: Clock,
    alarms: BTreeMap<AlarmId, AlarmState>,
    states: BTreeMap<AssetId, HealthState>,
}

impl Teller {
    fn new(gateway: &Gateway) -> Self {
        Self {
            plant: Arc::clone(&gateway.status.borrow().plant),
            clock: gateway.clock.clone(),
            alarms: BTreeMap::new(),
            states: BTreeMap::new(),
        }
    }

    fn at(&self, kind: &str, text: &str) {
        say(&format!("{:>6.1} s  {kind:<7} {text}", self.clock.uptime().as_secs_f64()));
    }

    fn name(&self, asset: AssetId) -> &str {
        self.plant.asset(asset).name()
    }

    fn transitions(&mut self, state: &PlantStatus) {
        for asset in &state.assets {
            if self.states.insert(asset.asset, asset.state) != Some(asset.state) {
                let name = self.name(asset.asset);
                self.at("state", &format!("{name} is {}: {}", asset.state.as_str(), asset.reason));
            }
        }
        for alarm in &state.alarms {
            if self.alarms.insert(alarm.id, alarm.state) == Some(alarm.state) {
                continue;
            }
            let kind = match alarm.state {
                AlarmState::UnackedAlarm if alarm.kind.is_about_machine() => "ALARM",
                AlarmState::UnackedAlarm => "notice",
                AlarmState::AckedAlarm => "acked",
                AlarmState::RtnUnacked | AlarmState::Normal => "over",
            };
            self.at(kind, &alarm.explanation.sentence);
        }
    }
}
