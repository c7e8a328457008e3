//! The running configuration: applies a changed one while the gateway goes on, and keeps the versions before.
//!
//! ```text
//!  new text ─▶ validated whole ─▶ written beside the file ─▶ pump changes plant ─▶ file renamed ─▶ changed sources restart
//!                 │ wrong              │ disk refuses            │ cannot now
//!                 └────────────────────┴─────────────────────────┴──────────────▶ nothing has changed
//! ```
//! Only sources whose section changed are restarted; the others go on with their connection and their ids, which the
//! pump translates. Settings that are read at the start only keep the values of the start, and are named.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use bellwether_domain::{
    ConfigApplied, ConfigDiff, ConfigOrigin, ConfigRefusal, ConfigText, ConfigVersion, Plant,
};
use bellwether_web::{ConfigRequest, NewConfig};
use tokio::{
    signal::unix::Signal,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    acquisition::Acquisition,
    clock::Clock,
    config::{
        Config, Loaded, Setup,
        diff::diff,
        versions::{Prepared, Versions, prepare},
    },
    pump::{PlantChange, SOURCE_QUEUE},
    systemd,
};

/// Requests from the API that may wait. When full, the dashboard answers 503.
pub const CONFIG_QUEUE: usize = 4;

/// What the task works with.
#[derive(Debug)]
pub struct Surroundings {
    /// Plant time.
    pub clock: Clock,
    /// The sources; all that the configuration names run.
    pub acquisition: Acquisition,
    /// To the pump.
    pub plants: mpsc::Sender<PlantChange>,
    /// From the dashboard.
    pub requests: mpsc::Receiver<ConfigRequest>,
    /// `SIGHUP`: read the file again.
    pub hangups: Option<Signal>,
    /// Where versions are kept.
    pub data_dir: PathBuf,
    /// The API may not change anything: others can reach it, and it has no login.
    pub is_locked: bool,
    /// Ends the task, and the sources with it.
    pub stop: CancellationToken,
}

/// The running configuration.
#[derive(Debug)]
pub struct Configuration {
    file: Option<PathBuf>,
    /// As the process began with: what is read at the start only keeps these values.
    started: Config,
    started_text: String,
    text: String,
    version: u64,
    setup: Setup,
    versions: Versions,
    around: Surroundings,
}

/// A validated change that has not happened yet.
#[derive(Debug)]
struct Draft {
    text: String,
    setup: Setup,
    diff: ConfigDiff,
}

enum Event {
    Request(ConfigRequest),
    Hangup,
    Failure(anyhow::Error),
    Stop,
}

impl Configuration {
    /// The configuration that the process begins with.
    pub fn new(loaded: Loaded, around: Surroundings) -> Self {
        let Loaded { file, text, config, setup } = loaded;
        let versions = Versions::new(&around.data_dir);
        let now = around.clock.now();
        let version = versions.keep(&text, now, ConfigOrigin::Start).unwrap_or_else(|error| {
            warn!(%error, "this version of the configuration could not be kept");
            0
        });
        Self {
            file,
            started: config,
            started_text: text.clone(),
            text,
            version,
            setup,
            versions,
            around,
        }
    }

    /// Answers and applies until the stop, then waits for the sources to end.
    ///
    /// # Errors
    /// If a source has failed, or the pump is gone.
    pub async fn run(mut self) -> anyhow::Result<()> {
        loop {
            match self.next().await {
                Event::Request(request) => self.answer(request).await?,
                Event::Hangup => self.reload().await?,
                Event::Failure(error) => return Err(error),
                Event::Stop => return self.around.acquisition.drain().await,
            }
        }
    }

    async fn next(&mut self) -> Event {
        let hangup = async {
            match &mut self.around.hangups {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.around.stop.cancelled() => Event::Stop,
            error = self.around.acquisition.failure() => Event::Failure(error),
            Some(()) = hangup => Event::Hangup,
            Some(request) = self.around.requests.recv() => Event::Request(request),
        }
    }

    async fn answer(&mut self, request: ConfigRequest) -> anyhow::Result<()> {
        // Whoever asked may have closed the page; then nobody is told.
        let is_told = match request {
            ConfigRequest::Current(reply) => {
                let current = ConfigText { version: self.version, text: self.text.clone() };
                reply.send(current).is_ok()
            }
            ConfigRequest::Versions(reply) => reply.send(self.list()).is_ok(),
            ConfigRequest::Version(version, reply) => reply.send(self.version(version)).is_ok(),
            ConfigRequest::Apply(new, reply) => {
                let outcome = self.apply(new).await?;
                reply.send(outcome).is_ok()
            }
        };
        if !is_told {
            info!("whoever asked about the configuration did not wait for the answer");
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<ConfigVersion>, ConfigRefusal> {
        self.versions.list().map_err(|error| disk(&error))
    }

    fn version(&self, version: u64) -> Result<Option<ConfigText>, ConfigRefusal> {
        let text = self.versions.text(version).map_err(|error| disk(&error))?;
        Ok(text.map(|text| ConfigText { version, text }))
    }

    /// From the API: the text becomes the file, too.
    async fn apply(
        &mut self,
        new: NewConfig,
    ) -> anyhow::Result<Result<ConfigApplied, ConfigRefusal>> {
        let NewConfig { text, expected, is_trial } = new;
        let draft = match self.draft(text) {
            Ok(draft) => draft,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if is_trial {
            return Ok(Ok(ConfigApplied {
                version: self.version,
                is_applied: false,
                diff: draft.diff,
                warnings: Vec::new(),
            }));
        }
        if self.around.is_locked {
            return Ok(Err(ConfigRefusal::Locked));
        }
        if expected.is_some_and(|expected| expected != self.version) {
            return Ok(Err(ConfigRefusal::Outdated { running: self.version }));
        }
        let prepared = match self.prepare(&draft.text) {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.put_in_force(draft, ConfigOrigin::Api, prepared).await
    }

    /// `SIGHUP`: the file is what a person wants.
    async fn reload(&mut self) -> anyhow::Result<()> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        systemd::reloading();
        let text = std::fs::read_to_string(&file);
        let outcome = match text.map_err(|error| disk(&error)).and_then(|text| self.draft(text)) {
            Ok(draft) => self.put_in_force(draft, ConfigOrigin::Reload, None).await?,
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok(applied) => systemd::ready(&format!("configuration version {}", applied.version)),
            Err(refusal) => {
                if let ConfigRefusal::Invalid(problems) = &refusal {
                    problems.iter().for_each(|problem| error!("{problem}"));
                }
                error!(file = %file.display(), "configuration refused: {refusal}");
                systemd::ready(&format!("configuration refused: {refusal}"));
            }
        }
        Ok(())
    }

    /// Validates a text whole, as it stands and as it would run here.
    fn draft(&self, text: String) -> Result<Draft, ConfigRefusal> {
        let name = self.file.clone().unwrap_or_else(|| PathBuf::from("bellwether.toml"));
        let speed = self.around.clock.speed();
        let invalid = |error: crate::config::ConfigError| ConfigRefusal::Invalid(error.problems);
        let loaded = Loaded::parse(&name, text, speed).map_err(invalid)?;
        let hot = loaded.config.hot_part_on(&self.started);
        let mut setup = hot.setup_of(&name, &loaded.text, speed).map_err(invalid)?;
        let generation = self.setup.plant.generation + 1;
        setup.plant = Arc::new(Plant { generation, ..Plant::clone(&setup.plant) });
        let diff = diff(&self.setup, &setup, &self.started_text, &loaded.text);
        Ok(Draft { text: loaded.text, setup, diff })
    }

    /// Writes the text beside the file, unless a person has edited the file meanwhile.
    fn prepare(&self, text: &str) -> Result<Option<Prepared>, ConfigRefusal> {
        let Some(file) = &self.file else { return Ok(None) };
        let on_disk = std::fs::read_to_string(file).map_err(|error| disk(&error))?;
        if on_disk != self.text {
            return Err(ConfigRefusal::Edited { file: file.display().to_string() });
        }
        let prepared = prepare(file, text).map_err(|error| cannot_write(file, &error))?;
        Ok(Some(prepared))
    }

    async fn put_in_force(
        &mut self,
        draft: Draft,
        origin: ConfigOrigin,
        file: Option<Prepared>,
    ) -> anyhow::Result<Result<ConfigApplied, ConfigRefusal>> {
        let Draft { text, setup, diff } = draft;
        let kept = self.versions.keep(&text, self.around.clock.now(), origin);
        let changed = match kept {
            Ok(version) => {
                self.change_plant(&setup).await?.map(|()| version).map_err(ConfigRefusal::Busy)
            }
            Err(error) => Err(disk(&error)),
        };
        let mut warnings = Vec::new();
        match changed {
            Ok(version) => self.version = version,
            Err(refusal) => {
                if let Some(Err(error)) = file.map(Prepared::abandon) {
                    warn!(%error, "what was written beside the configuration stays there");
                }
                return Ok(Err(refusal));
            }
        }
        if let Some(Err(error)) = file.map(Prepared::commit) {
            let warning = format!(
                "the configuration runs, but the file could not be replaced ({error}): write it down by hand, or it is lost at the next start"
            );
            error!("{warning}");
            warnings.push(warning);
        }
        self.change_sources(&setup, &diff).await?;
        (self.text, self.setup) = (text, setup);
        info!(
            version = self.version,
            origin = origin.as_str(),
            started = diff.sources_added.len(),
            restarted = diff.sources_changed.len(),
            ended = diff.sources_removed.len(),
            untouched = diff.sources_unchanged.len(),
            "configuration applied"
        );
        for setting in &diff.needs_restart {
            warn!(setting, "takes effect at the next start only");
        }
        Ok(Ok(ConfigApplied { version: self.version, is_applied: true, diff, warnings }))
    }

    /// The pump first: sources that go on must never speak of tags that it does not know.
    async fn change_plant(&mut self, setup: &Setup) -> anyhow::Result<Result<(), &'static str>> {
        let (sender, batches) = mpsc::channel(SOURCE_QUEUE);
        let (reply, changed) = oneshot::channel();
        let change = PlantChange { plant: Arc::clone(&setup.plant), batches, reply };
        self.around.plants.send(change).await.ok().context("the pump is gone")?;
        let changed = changed.await.context("the pump is gone")?;
        if changed.is_ok() {
            self.around.acquisition.change_queue(sender);
        }
        Ok(changed)
    }

    async fn change_sources(&mut self, setup: &Setup, diff: &ConfigDiff) -> anyhow::Result<()> {
        let acquisition = &mut self.around.acquisition;
        for name in diff.sources_removed.iter().chain(&diff.sources_changed) {
            acquisition.end(name).await?;
        }
        let starts = |name: &str| {
            let is_it = |other: &String| other == name;
            diff.sources_added.iter().any(is_it) || diff.sources_changed.iter().any(is_it)
        };
        for source in setup.sources.iter().filter(|source| starts(source.name())) {
            acquisition.start(source.clone());
        }
        acquisition.tell(&setup.sources);
        Ok(())
    }
}

fn disk(error: &std::io::Error) -> ConfigRefusal {
    ConfigRefusal::Disk(error.to_string())
}

fn cannot_write(file: &Path, error: &std::io::Error) -> ConfigRefusal {
    ConfigRefusal::Disk(format!(
        "{} cannot be written: {error}; let the account of the service write the file and its folder, or edit it and reload",
        file.display()
    ))
}
