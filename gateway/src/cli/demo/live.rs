//! The demo on the simulated plant: starts plant and gateway, tells what happens, and compares each estimate with the
//! truth that only the simulator knows.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use bellwether_domain::{
    AssetId, AssetStatus, Command, GatewayStatus, HealthState, PlantStatus, Timestamp,
};
use bellwether_fixtures::{DEMO_CONFIG, DemoOptions, DemoPlant, Truth};
use bellwether_web::CommandRequest;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Args, Teller};
use crate::{
    app::{Gateway, Ground},
    cli::{asked_to_stop, say::say},
    config::{Config, Loaded},
    northbound,
    tasks::Tasks,
};

/// The endpoints in the demo's configuration, in whose place those of the simulated plant are put.
const DEMO_MODBUS: &str = "127.0.0.1:1502";
const DEMO_OPCUA: &str = "opc.tcp://127.0.0.1:4840/";
const DEMO_MQTT: &str = "mqtt://127.0.0.1:21883";

/// How often a status line is printed.
const LINE_PERIOD: Duration = Duration::from_secs(5);

/// Messages that may wait to be told; more are not told, only counted by the gateway.
const HEARD_QUEUE: usize = 64;

/// Time for the plant's servers to end after the gateway has.
const GRACE: Duration = Duration::from_secs(2);

pub(super) async fn run(args: &Args, data_dir: &Path) -> anyhow::Result<()> {
    let config = Config::parse("the demo's configuration".as_ref(), DEMO_CONFIG)?;
    let ground = Ground::open(&config, data_dir, args.speed).await?;
    let resumed = ground.is_resumed();
    let stop_plant = CancellationToken::new();
    let plant_clock = ground.clock.clone();
    let options = DemoOptions {
        mqtt: Some(args.mqtt),
        ..DemoOptions::new(
            args.seed,
            Arc::new(move || plant_clock.now().as_micros()),
            stop_plant.clone(),
        )
    };
    let (plant, servers) =
        DemoPlant::start(options).await.context("the simulated plant cannot start")?;
    let mut tasks = Tasks::new();
    for (name, server) in servers {
        tasks.spawn(name, async move { Ok(server.await?) });
    }
    let mqtt = plant.mqtt.unwrap_or(args.mqtt);
    // In the text, so that the configuration that the dashboard shows is the one that runs.
    let text = DEMO_CONFIG
        .replace(DEMO_MODBUS, &plant.modbus.to_string())
        .replace(DEMO_OPCUA, &plant.opcua_url)
        .replace(DEMO_MQTT, &format!("mqtt://{mqtt}"));
    let loaded = Loaded::parse("the demo's configuration".as_ref(), text, args.speed)?;
    let gateway = Gateway::start(loaded, ground, args.http).await?;
    let (heard_sender, heard) = mpsc::channel(HEARD_QUEUE);
    tasks.spawn(
        "mqtt observer",
        northbound::observe(format!("mqtt://{mqtt}"), heard_sender, stop_plant.clone()),
    );
    introduce(args, &gateway, &plant, data_dir, resumed);

    let story = Story::new(&gateway, plant.truth.clone());
    let deadline = args.deadline();
    let told = async {
        tokio::select! {
            () = story.tell(heard, resumed) => {}
            () = asked_to_stop() => say("stopping"),
            () = until(deadline) => say("time is over, stopping"),
            Some((name, result)) = tasks.next_end() => {
                say(&format!("{name} has ended: {:#}", result.err().unwrap_or_else(|| anyhow::anyhow!("unasked"))));
            }
        }
    };
    let result = gateway.run_until(told).await;
    stop_plant.cancel();
    result.and(tasks.drain(GRACE).await)
}

pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn introduce(args: &Args, gateway: &Gateway, plant: &DemoPlant, data_dir: &Path, resumed: bool) {
    say(&format!(
        "Bellwether on a simulated plant: seed {}, {} times real time",
        args.seed, args.speed
    ));
    say(&format!("  dashboard   http://{}", gateway.http));
    if let Some(mqtt) = plant.mqtt {
        say(&format!(
            "  mqtt        mqtt://{mqtt}   (mosquitto_sub -h {} -p {} -t '#' -v)",
            mqtt.ip(),
            mqtt.port()
        ));
    }
    say(&format!("  modbus      {} (pump-1 is unit 1, fan-1 is unit 2)", plant.modbus));
    say(&format!("  opc ua      {} (spindle-1)", plant.opcua_url));
    say(&format!(
        "  data        {}{}",
        data_dir.display(),
        if resumed { ", resuming what was learnt" } else { "" }
    ));
    say(
        "Ctrl-C stops. Times below are seconds since the start; the plant's own clock runs faster.",
    );
}

/// Tells what happens.
struct Story {
    teller: Teller,
    status: watch::Receiver<Arc<GatewayStatus>>,
    state: watch::Receiver<Arc<PlantStatus>>,
    truth: watch::Receiver<Truth>,
    commands: mpsc::Sender<CommandRequest>,
    repairs: BTreeMap<String, i64>,
    /// Forecasts compared with the truth, and how many contained it.
    forecasts: (u32, u32),
}

impl Story {
    fn new(gateway: &Gateway, truth: watch::Receiver<Truth>) -> Self {
        Self {
            teller: Teller::new(gateway),
            status: gateway.status.clone(),
            state: gateway.state.clone(),
            truth,
            commands: gateway.commands.clone(),
            repairs: BTreeMap::new(),
            forecasts: (0, 0),
        }
    }

    async fn tell(mut self, mut heard: mpsc::Receiver<String>, resumed: bool) {
        let mut lines = interval_at(Instant::now() + LINE_PERIOD, LINE_PERIOD);
        if resumed {
            // The simulated machines are new at each start; the gateway must not go on with an old degradation.
            self.report_repairs("the demo was started again").await;
        }
        loop {
            tokio::select! {
                _ = lines.tick() => self.line(),
                changed = self.state.changed() => {
                    if changed.is_err() { return }
                    let state = Arc::clone(&self.state.borrow_and_update());
                    self.teller.transitions(&state);
                }
                changed = self.truth.changed() => {
                    if changed.is_err() { return }
                    self.repaired().await;
                }
                Some(topic) = heard.recv() => {
                    if topic.ends_with("/alert") {
                        self.teller.at("mqtt", &format!("an independent subscriber has received {topic}"));
                    }
                }
            }
        }
    }

    /// One line about everything, and one for each forecast beside the truth.
    fn line(&mut self) {
        let status = Arc::clone(&self.status.borrow());
        let machines: Vec<_> =
            status.state.assets.iter().map(|asset| self.in_short(asset)).collect();
        let uplink = status.uplinks.first().cloned().unwrap_or_default();
        let factor = uplink.bytes_raw_equivalent.checked_div(uplink.bytes_sent).unwrap_or_default();
        self.teller.at(
            "status",
            &format!(
                "plant {} | {} | alarms {} | mqtt {} acked, {} waiting, {} B instead of {} B ({factor} times less)",
                clock_time(status.state.at),
                machines.join(", "),
                status.state.standing_alarms().count(),
                uplink.acked,
                uplink.backlog,
                uplink.bytes_sent,
                uplink.bytes_raw_equivalent,
            ),
        );
        for asset in &status.state.assets {
            self.forecast(asset);
        }
    }

    fn in_short(&self, asset: &AssetStatus) -> String {
        let name = self.teller.name(asset.asset);
        match asset.state {
            HealthState::Learning => {
                format!("{name} learning {:.0} %", 100.0 * asset.learning_ratio)
            }
            state => format!("{name} {} ({})", state.as_str(), asset.operation.as_str()),
        }
    }

    fn forecast(&mut self, asset: &AssetStatus) {
        let Ok(prognosis) = &asset.prognosis else { return };
        let truth = self
            .truth
            .borrow()
            .machines
            .iter()
            .find(|m| m.name == self.teller.name(asset.asset))
            .and_then(|m| m.remaining_h);
        let (p05, p50, p95) = (prognosis.rul_p05_h, prognosis.rul_p50_h, prognosis.rul_p95_h);
        let verdict = match truth {
            Some(hours) if (p05..=p95).contains(&hours) => {
                self.forecasts = (self.forecasts.0 + 1, self.forecasts.1 + 1);
                format!("really {hours:.1} h: inside")
            }
            Some(hours) => {
                self.forecasts.0 += 1;
                format!("really {hours:.1} h: outside")
            }
            None => "really no failure in sight".to_owned(),
        };
        let (made, right) = self.forecasts;
        self.teller.at(
            "life",
            &format!(
                "{}: {p50:.1} h left, 90 % between {p05:.1} and {p95:.1} h, {verdict} ({right} of {made} forecasts right)",
                self.teller.name(asset.asset)
            ),
        );
    }

    /// What a technician would do after a repair: tell the gateway.
    async fn repaired(&mut self) {
        let machines = self.truth.borrow_and_update().machines.clone();
        for machine in machines {
            let Some(at) = machine.repaired_at else { continue };
            if self.repairs.insert(machine.name.to_owned(), at) == Some(at) {
                continue;
            }
            let asset = self
                .teller
                .plant
                .assets()
                .find(|(_, asset)| asset.name() == machine.name)
                .map(|(id, _)| id);
            if let Some(asset) = asset {
                self.teller.at(
                    "repair",
                    &format!("{} has been repaired; the technician logs it", machine.name),
                );
                self.log_repair(asset, "worn part replaced").await;
            }
        }
    }

    async fn report_repairs(&self, note: &str) {
        for (asset, _) in self.teller.plant.assets() {
            self.log_repair(asset, note).await;
        }
    }

    async fn log_repair(&self, asset: AssetId, note: &str) {
        let (reply, answer) = oneshot::channel();
        let command = Command::MaintenanceDone {
            asset,
            actor: "demo technician".to_owned(),
            note: note.to_owned(),
        };
        let sent = self.commands.send(CommandRequest { command, reply }).await;
        if sent.is_err() || !matches!(answer.await, Ok(Ok(_))) {
            self.teller.at("repair", "the gateway did not take the note");
        }
    }
}

/// `14:05` of a plant time.
fn clock_time(at: Timestamp) -> String {
    at.to_string().get(11..16).unwrap_or("--:--").to_owned()
}
