//! The one door: `step(now, input)`. Total, deterministic, without I/O or clock; everything is an index by id.

use std::{collections::BTreeSet, sync::Arc};

use bellwether_domain::{
    AlarmId, Alert, Command, CommandError, HealthReport, Plant, PlantStatus, Quality, Reading,
    Reason, Score, Summary, TagId, TagStatus, Timestamp, Waveform, WaveformFeature,
};

use crate::{
    advisory::alarm::AlarmIds,
    asset::{AssetState, Layout, Step},
    config::AnalyticsConfig,
    features::statistics::waveform_feature,
    snapshot::{SavedAsset, Snapshot},
};

/// After a pause this long nobody was listening, so silence counts anew.
const PAUSE_S: f64 = 60.0;

/// What happens to the engine.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Values, in the order of their source times.
    Readings(&'a [Reading]),
    /// A burst; the tags derived from it get their values.
    Waveform(&'a Waveform),
    /// Time has passed.
    Tick,
    /// A person asks for something.
    Command(&'a Command),
    /// The plant is another one: assets of the same path and judged tags keep what they learnt and their alarms, in
    /// whatever order they come now. Alarms that end with the old plant are told with *its* ids.
    Plant(Arc<Plant>),
}

/// What the engine has found out.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An alarm has changed.
    AlarmChanged(Alert),
    /// One point of an asset's health history.
    Health(HealthReport),
    /// A period has ended.
    Summary(Summary),
    /// A command had no effect.
    Refused(CommandError),
}

/// Where a tag's readings go.
#[derive(Clone, Debug, Default)]
struct Route {
    /// Asset and local index.
    to: Option<(usize, usize)>,
    /// Tags computed from its waveforms.
    derived: Vec<(TagId, WaveformFeature)>,
}

/// All assets of a plant, watched.
///
/// ```
/// use std::sync::Arc;
/// use bellwether_analytics::{AnalyticsConfig, Engine, Input};
/// use bellwether_domain::{Plant, Timestamp};
/// let mut engine = Engine::new(Arc::new(Plant::default()), AnalyticsConfig::default(), None);
/// let mut outputs = Vec::new();
/// engine.step(Timestamp::from_secs(1), Input::Tick, &mut outputs);
/// assert!(outputs.is_empty());
/// ```
#[derive(Debug)]
pub struct Engine {
    plant: Arc<Plant>,
    config: AnalyticsConfig,
    /// By tag id.
    routes: Vec<Route>,
    /// By asset id.
    layouts: Vec<Layout>,
    states: Vec<AssetState>,
    ids: AlarmIds,
    now: Option<Timestamp>,
    /// Nothing has happened yet since this engine was made.
    is_resuming: bool,
}

impl Engine {
    /// An engine for this plant. What was saved is taken up for each asset whose path and judged tags are the same; the
    /// others begin to learn.
    pub fn new(plant: Arc<Plant>, config: AnalyticsConfig, saved: Option<Snapshot>) -> Self {
        let saved = saved.filter(Snapshot::is_readable).unwrap_or_default();
        let began = saved.now.unwrap_or_default();
        let mut former = saved.assets;
        let (layouts, states): (Vec<_>, Vec<_>) = plant
            .assets()
            .map(|(asset, _)| {
                let saved = SavedAsset::take(&mut former, &plant, asset);
                let order = saved.as_ref().map(SavedAsset::order).unwrap_or_default();
                let layout = Layout::arranged(&plant, asset, &order);
                let state = saved
                    .and_then(|saved| saved.fit(&plant, &layout))
                    .unwrap_or_else(|| AssetState::new(&layout, &plant, &config, began));
                (layout, state)
            })
            .unzip();
        let routes = routes(&plant, &layouts);
        let ids = AlarmIds { last: saved.last_alarm };
        Self { plant, config, routes, layouts, states, ids, now: saved.now, is_resuming: true }
    }

    /// Takes one input at plant time `now` and appends what follows from it to `out`. Time that goes backwards stands
    /// still; ids that are not of this plant are ignored.
    pub fn step(&mut self, now: Timestamp, input: Input<'_>, out: &mut Vec<Output>) {
        let now = self.advance(now);
        match input {
            Input::Readings(readings) => {
                for reading in readings {
                    self.accept(now, reading, out);
                }
            }
            Input::Waveform(waveform) => self.accept_waveform(now, waveform, out),
            Input::Tick => self.tick(now, out),
            Input::Command(command) => self.obey(now, command, out),
            Input::Plant(plant) => self.replace_plant(now, plant, out),
        }
    }

    /// What the engine knows at plant time `now`.
    pub fn status(&self, now: Timestamp) -> PlantStatus {
        let now = self.now.map_or(now, |latest| latest.max(now));
        let assets = self
            .layouts
            .iter()
            .zip(&self.states)
            .map(|(layout, state)| state.status(layout, &self.plant, &self.config))
            .collect();
        let tags = (0..)
            .map(TagId)
            .zip(&self.routes)
            .map(|(tag, route)| match route.to {
                Some((asset, local)) => {
                    self.states[asset].tag_status(&self.layouts[asset], &self.plant, local, now)
                }
                None => TagStatus {
                    tag,
                    value: 0.0,
                    at: None,
                    quality: Quality::Bad(Reason::Configuration),
                    score: Score::ORDINARY,
                },
            })
            .collect();
        let mut alarms: Vec<_> = self.states.iter().flat_map(AssetState::alarms).cloned().collect();
        alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.id));
        PlantStatus { at: now, plant: Arc::clone(&self.plant), assets, tags, alarms }
    }

    /// Everything that must outlive a restart. An engine made from it continues bit for bit if it goes on within a
    /// minute of plant time; after a longer pause the time without data counts anew.
    pub fn snapshot(&self) -> Snapshot {
        let assets = self
            .layouts
            .iter()
            .zip(&self.states)
            .map(|(layout, state)| SavedAsset::new(&self.plant, layout, state.clone()))
            .collect();
        Snapshot::new(self.now, self.ids.last, assets)
    }

    fn advance(&mut self, now: Timestamp) -> Timestamp {
        let latest = self.now.map_or(now, |latest| latest.max(now));
        let is_pause_over =
            self.is_resuming && self.now.is_none_or(|then| latest.seconds_since(then) > PAUSE_S);
        if is_pause_over {
            self.states.iter_mut().for_each(|state| state.resume(latest));
        }
        self.is_resuming = false;
        self.now = Some(latest);
        latest
    }

    fn accept(&mut self, now: Timestamp, reading: &Reading, out: &mut Vec<Output>) {
        let Some((asset, local)) = self.routes.get(reading.tag.index()).and_then(|route| route.to)
        else {
            return;
        };
        let mut step =
            Step { plant: &self.plant, config: &self.config, now, ids: &mut self.ids, out };
        self.states[asset].accept(&self.layouts[asset], &mut step, local, reading);
    }

    fn accept_waveform(&mut self, now: Timestamp, waveform: &Waveform, out: &mut Vec<Output>) {
        let rms = waveform_feature(WaveformFeature::Rms, &waveform.samples);
        // The burst itself is shown by its RMS.
        self.accept(now, &Reading::new(waveform.tag, waveform.at, rms), out);
        let count = self.routes.get(waveform.tag.index()).map_or(0, |route| route.derived.len());
        for index in 0..count {
            let (tag, feature) = self.routes[waveform.tag.index()].derived[index];
            let value = waveform_feature(feature, &waveform.samples);
            self.accept(now, &Reading::new(tag, waveform.at, value), out);
        }
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let mut step =
            Step { plant: &self.plant, config: &self.config, now, ids: &mut self.ids, out };
        for (layout, state) in self.layouts.iter().zip(&mut self.states) {
            state.tick(layout, &mut step);
        }
    }

    fn obey(&mut self, now: Timestamp, command: &Command, out: &mut Vec<Output>) {
        let (Command::Acknowledge { actor, .. } | Command::MaintenanceDone { actor, .. }) = command;
        if actor.trim().is_empty() {
            out.push(Output::Refused(CommandError::ActorMissing));
            return;
        }
        match command {
            Command::Acknowledge { alarms, actor } => {
                for &id in alarms {
                    self.acknowledge(now, id, actor, out);
                }
            }
            Command::MaintenanceDone { asset, .. } => {
                if let Some(state) = self.states.get_mut(asset.index()) {
                    state.maintained(now);
                }
            }
        }
    }

    fn acknowledge(&mut self, now: Timestamp, id: AlarmId, actor: &str, out: &mut Vec<Output>) {
        let mut step =
            Step { plant: &self.plant, config: &self.config, now, ids: &mut self.ids, out };
        let is_found =
            self.states.iter_mut().any(|state| state.acknowledge(&mut step, id, actor).is_ok());
        if !is_found {
            out.push(Output::Refused(CommandError::AlarmNotActive(id)));
        }
    }

    fn replace_plant(&mut self, now: Timestamp, plant: Arc<Plant>, out: &mut Vec<Output>) {
        let mut next = Self::new(plant, self.config.clone(), Some(self.snapshot()));
        next.is_resuming = false;
        // Alarms of an asset that begins anew or is gone end here, or they would stand on the disk for ever.
        let kept: BTreeSet<AlarmId> =
            next.states.iter().flat_map(AssetState::alarms).map(|alarm| alarm.id).collect();
        for state in &mut self.states {
            let tell = |alert| out.push(Output::AlarmChanged(alert));
            state.dissolve(now, |alarm| kept.contains(&alarm), tell);
        }
        *self = next;
    }
}

fn routes(plant: &Plant, layouts: &[Layout]) -> Vec<Route> {
    let mut routes = vec![Route::default(); plant.tags.len()];
    for (asset, layout) in layouts.iter().enumerate() {
        for (local, tag) in layout.tags.iter().enumerate() {
            routes[tag.index()].to = Some((asset, local));
        }
    }
    for (id, tag) in plant.tags() {
        if let Some(derived) = tag.derived
            && let Some(route) = routes.get_mut(derived.from.index())
        {
            route.derived.push((id, derived.feature));
        }
    }
    routes
}
