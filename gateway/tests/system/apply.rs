//! Another configuration for a gateway that runs: what it leaves alone goes on as if nothing had happened.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bellwether::{
    app::{Gateway, Ground},
    config::Loaded,
    tasks::Tasks,
};
use bellwether_domain::{
    Alarm, AlarmId, AlarmKind, ConfigApplied, ConfigOrigin, ConfigRefusal, ConfigText, PlantStatus,
    Timestamp,
};
use bellwether_store::{Store, StoreOptions};
use bellwether_web::{ConfigRequest, NewConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::oneshot,
    time::timeout,
};

/// No wait of these tests is longer.
const LIMIT: Duration = Duration::from_secs(60);

/// A device whose one value counts how often it has been read, so that a reading that is missing, repeated or given to
/// somebody else shows.
#[derive(Debug, Default)]
struct Device {
    connections: AtomicU64,
    answers: AtomicU64,
}

impl Device {
    async fn start(tasks: &mut Tasks, name: &str) -> (Arc<Self>, String) {
        let device = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("nothing fails here");
        let address = listener.local_addr().expect("nothing fails here").to_string();
        tasks.spawn(name, Arc::clone(&device).serve(listener));
        (device, address)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) -> anyhow::Result<()> {
        loop {
            let (mut socket, _) = listener.accept().await?;
            self.connections.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 12];
            while socket.read_exact(&mut request).await.is_ok() {
                let count = self.answers.fetch_add(1, Ordering::SeqCst) + 1;
                let mut answer = request[..4].to_vec();
                answer.extend([0, 7, request[6], request[7], 4]);
                answer.extend(u32::try_from(count).expect("nothing fails here").to_be_bytes());
                if socket.write_all(&answer).await.is_err() {
                    break;
                }
            }
        }
    }

    fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

const HEAD: &str = r#"[site]
enterprise = "acme"
site = "lyon"
[analytics]
learning_frames = 80
limit_on_delay_s = 0
"#;

fn asset(unit: &str) -> String {
    format!("[[asset]]\npath = \"hall/line/{unit}\"\n")
}

fn source(name: &str, endpoint: &str, more: &str) -> String {
    format!(
        "[[modbus]]\nname = \"{name}\"\nendpoint = \"{endpoint}\"\npoll_interval_ms = 5\n{more}\
         [[modbus.tag]]\nname = \"{name}.count\"\nasset = \"hall/line/{name}\"\nfailure_above = 0.5\n\
         register = {{ kind = \"holding\", address = 0, type = \"u32\" }}\n"
    )
}

struct Running {
    gateway: Gateway,
    file: PathBuf,
    data: PathBuf,
}

impl Running {
    async fn start(dir: &Path, text: &str) -> Self {
        let file = dir.join("bellwether.toml");
        std::fs::write(&file, text).expect("nothing fails here");
        let data = dir.join("data");
        let loaded = Loaded::read(&file).expect("nothing fails here");
        let ground = Ground::open(&loaded.config, &data, 1.0).await.expect("nothing fails here");
        let gateway =
            Gateway::start(loaded, ground, "127.0.0.1:0".parse().expect("nothing fails here"))
                .await
                .expect("nothing fails here");
        Self { gateway, file, data }
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> ConfigRequest) -> T {
        let (reply, answer) = oneshot::channel();
        self.gateway.configs.send(request(reply)).await.expect("nothing fails here");
        timeout(LIMIT, answer).await.expect("nothing fails here").expect("nothing fails here")
    }

    async fn apply(
        &self,
        text: &str,
        expected: Option<u64>,
    ) -> Result<ConfigApplied, ConfigRefusal> {
        let new = NewConfig { text: text.to_owned(), expected, is_trial: false };
        self.ask(|reply| ConfigRequest::Apply(new, reply)).await
    }

    async fn until(&self, what: &str, is_it: impl Fn(&PlantStatus) -> bool) -> Arc<PlantStatus> {
        let mut state = self.gateway.state.clone();
        let seen = timeout(LIMIT, state.wait_for(|state| is_it(state))).await.expect(what);
        Arc::clone(&seen.expect("the gateway runs"))
    }

    /// All values of a tag as they are on the disk after the stop.
    async fn values_on_disk(self, tag: &str) -> Vec<f64> {
        let now = self.gateway.clock.now();
        self.gateway.run_until(std::future::ready(())).await.expect("nothing fails here");
        let store =
            Store::open(&self.data, StoreOptions::new(now)).await.expect("nothing fails here");
        let history = store
            .reader()
            .tag_history(tag, Timestamp::default(), now, 5_000)
            .await
            .expect("nothing fails here");
        store.close().await;
        assert!(history.bucket.is_zero(), "single readings");
        history.mean.into_iter().flatten().collect()
    }
}

/// The failure limits that machine `a` is beyond, and since when.
fn alarms(state: &PlantStatus) -> Vec<(AlarmId, Timestamp)> {
    let of_a = |alarm: &&Alarm| {
        state.plant.asset(alarm.asset).name() == "a" && alarm.kind == AlarmKind::FailureLimit
    };
    state.alarms.iter().filter(of_a).map(|alarm| (alarm.id, alarm.raised_at)).collect()
}

fn value(state: &PlantStatus, name: &str) -> Option<f64> {
    let id = state.plant.tag_named(name)?;
    let tag = state.tags[id.index()];
    tag.at.map(|_| tag.value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_source_loses_nothing_and_its_machine_keeps_what_it_learnt() {
    let dir = tempfile::tempdir().expect("nothing fails here");
    let mut tasks = Tasks::new();
    let (device_a, a) = Device::start(&mut tasks, "a").await;
    let (device_b, b) = Device::start(&mut tasks, "b").await;
    let (device_c, c) = Device::start(&mut tasks, "c").await;
    let text =
        [HEAD, &asset("a"), &asset("b"), &source("a", &a, ""), &source("b", &b, "")].concat();
    let running = Running::start(dir.path(), &text).await;
    let before = running
        .until("a has learnt and its alarm stands", |state| {
            state.assets[0].learning_ratio >= 1.0
                && state
                    .alarms
                    .iter()
                    .any(|alarm| alarm.asset.index() == 0 && alarm.kind == AlarmKind::FailureLimit)
        })
        .await;

    // Everything moves: a new machine and its source come first, so that no id stays what it was, and `b` is changed.
    let next = [
        HEAD,
        &asset("c"),
        &asset("b"),
        &asset("a"),
        &source("c", &c, ""),
        &source("b", &b, "timeout_ms = 900\n"),
        &source("a", &a, ""),
    ]
    .concat();
    let applied = running.apply(&next, Some(1)).await.expect("nothing fails here");
    assert_eq!(applied.version, 2);
    assert_eq!(applied.diff.sources_unchanged, ["a"]);
    assert_eq!(applied.diff.sources_changed, ["b"]);
    assert_eq!(applied.diff.sources_added, ["c"]);
    assert_eq!(applied.diff.tags_added, ["c.count"]);
    assert_eq!(applied.diff.assets_relearning, [] as [&str; 0]);
    assert_eq!(
        std::fs::read_to_string(&running.file).expect("nothing fails here"),
        next,
        "the file follows"
    );
    let after = running
        .until("c speaks", |state| value(state, "c.count").is_some_and(|count| count > 5.0))
        .await;
    let a_now = after.plant.asset_at("acme/lyon/hall/line/a").expect("nothing fails here");
    assert_eq!(a_now.index(), 2);
    assert!(after.assets[a_now.index()].learning_ratio >= 1.0);
    assert_eq!(alarms(&after), alarms(&before), "the alarm that stood stands");

    // And back: `c` goes.
    let applied = running.apply(&text, Some(2)).await.expect("nothing fails here");
    assert_eq!(applied.diff.sources_removed, ["c"]);
    assert_eq!(applied.diff.assets_removed, ["acme/lyon/hall/line/c"]);
    let seen =
        value(&running.gateway.state.borrow().clone(), "a.count").expect("nothing fails here");
    let last = running
        .until("a goes on", |state| value(state, "a.count").is_some_and(|now| now > seen + 20.0))
        .await;
    assert_eq!(alarms(&last), alarms(&before));
    assert_eq!((device_a.connections(), device_b.connections()), (1, 3));
    assert_eq!(device_c.connections(), 1);

    let answered = device_a.answers.load(Ordering::SeqCst);
    let values = running.values_on_disk("a.count").await;
    let expected: Vec<f64> = (1_u32..).map(f64::from).take(values.len()).collect();
    assert_eq!(values, expected, "every reading once, in order, and none of another device");
    // The stop may come between an answer and its arrival.
    assert!(values.len() as u64 + 1 >= answered, "{} of {answered}", values.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_configuration_changes_nothing() {
    let dir = tempfile::tempdir().expect("nothing fails here");
    let mut tasks = Tasks::new();
    let (device, a) = Device::start(&mut tasks, "a").await;
    let text = [HEAD, &asset("a"), &source("a", &a, "")].concat();
    let running = Running::start(dir.path(), &text).await;
    running.until("a speaks", |state| value(state, "a.count").is_some()).await;

    let wrong = text.replace("hall/line/a\"\nfailure", "hall/line/z\"\nfailure");
    let wrong = wrong.replace("poll_interval_ms = 5", "poll_interval_ms = 0");
    let Err(ConfigRefusal::Invalid(problems)) = running.apply(&wrong, None).await else {
        panic!("it is wrong");
    };
    let places: Vec<_> =
        problems.iter().map(|problem| (problem.line, problem.key.as_deref())).collect();
    assert_eq!(
        places,
        [(Some(8), None), (Some(12), Some("poll_interval_ms")), (Some(14), None)],
        "{problems:#?}"
    );
    let trial = NewConfig { text: HEAD.to_owned() + &asset("a"), expected: None, is_trial: true };
    let outcome = running.ask(|reply| ConfigRequest::Apply(trial, reply)).await;
    assert!(matches!(outcome, Err(ConfigRefusal::Invalid(_))), "{outcome:?}");
    let outcome = running.apply(&text, Some(7)).await;
    assert_eq!(outcome, Err(ConfigRefusal::Outdated { running: 1 }));

    let edited = text.replace("acme", "edited");
    std::fs::write(&running.file, &edited).expect("nothing fails here");
    let outcome = running.apply(&text, None).await;
    assert!(matches!(outcome, Err(ConfigRefusal::Edited { .. })), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(&running.file).expect("nothing fails here"), edited);

    let current = running.ask(ConfigRequest::Current).await;
    assert_eq!(current, ConfigText { version: 1, text });
    let versions = running.ask(ConfigRequest::Versions).await.expect("nothing fails here");
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].origin, ConfigOrigin::Start);
    assert_eq!(device.connections(), 1);
    running.gateway.run_until(std::future::ready(())).await.expect("nothing fails here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_start_are_named_and_keep_their_values() {
    let dir = tempfile::tempdir().expect("nothing fails here");
    let mut tasks = Tasks::new();
    let (device, a) = Device::start(&mut tasks, "a").await;
    let text = [HEAD, &asset("a"), &source("a", &a, "")].concat();
    let running = Running::start(dir.path(), &text).await;
    let next =
        text.replace("acme", "other").replace("learning_frames = 80", "learning_frames = 90");
    let applied = running.apply(&next, None).await.expect("nothing fails here");
    assert_eq!(applied.diff.needs_restart, ["[analytics] learning_frames", "[site] enterprise"]);
    assert_eq!(applied.diff.sources_unchanged, ["a"]);
    let state = running.until("a speaks", |state| value(state, "a.count").is_some()).await;
    assert_eq!(state.plant.assets[0].path.to_string(), "acme/lyon/hall/line/a");
    let slower = next.replace("poll_interval_ms = 5", "poll_interval_ms = 6");
    let again = running.apply(&slower, None).await.expect("nothing fails here");
    assert_eq!(again.diff.needs_restart.len(), 2, "they are still waiting");
    assert_eq!(again.diff.sources_changed, ["a"]);
    let versions = running.ask(ConfigRequest::Versions).await.expect("nothing fails here");
    assert_eq!(versions.iter().map(|kept| kept.version).collect::<Vec<_>>(), [3, 2, 1]);
    let first =
        running.ask(|reply| ConfigRequest::Version(1, reply)).await.expect("nothing fails here");
    assert_eq!(first.map(|kept| kept.text), Some(text));
    running.until("a reconnects", |_| device.connections() == 2).await;
    running.gateway.run_until(std::future::ready(())).await.expect("nothing fails here");
}
