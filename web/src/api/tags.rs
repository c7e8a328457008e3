//! `/tags`: live values with quality and age, and their history.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use bellwether_domain::{self as domain, GatewayStatus, Limit, Meaning, TagId, TagStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    assets::path_of,
    flags::{Flag, Flags},
    query::Window,
    words::{Quality, Role, Time, asset_id, finite},
};
use crate::{history, problem::Problem, state::App};

/// One signal now: value, unit, age and quality always travel together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagValue<'a> {
    /// The name in the configuration.
    id: &'a str,
    /// The signal in words.
    signal: String,
    /// The asset's id.
    pub(crate) asset: String,
    /// UCUM text; empty for a bare number.
    unit: &'a str,
    role: Role,
    /// Null if there is none to show: it is bad, never was, or the tag carries bursts (see `features`).
    #[schema(required)]
    value: Option<f64>,
    /// Source time; of the last burst if the tag carries bursts, as are age and quality.
    #[schema(required)]
    at: Option<Time>,
    /// In seconds of plant time.
    #[schema(required)]
    age_s: Option<f64>,
    quality: Quality,
    /// Why it is not good, in words.
    #[schema(required)]
    quality_reason: Option<&'static str>,
    /// How unusual the tag is by itself; 0.5 is the alarm threshold.
    score: f64,
    /// Plausible range: lowest, highest.
    #[schema(required)]
    range: Option<[f64; 2]>,
    #[schema(required)]
    failure: Option<Failure>,
    /// Name of the source it comes from.
    source: &'a str,
    /// Where it lies there, in words; null for numbers computed from waveforms.
    #[schema(required)]
    address: Option<&'a str>,
    /// What is suspicious about it.
    flags: Vec<Flag>,
    /// It carries bursts of samples, which no single number stands for.
    is_waveform: bool,
    /// The value in words, for a state whose code has a name and for a text; null if there is none to show.
    #[schema(required)]
    text: Option<&'a str>,
    /// For a state: the names of its codes.
    #[schema(required, value_type = Option<BTreeMap<String, String>>)]
    states: Option<&'a BTreeMap<i64, String>>,
    /// The tags computed from each of its bursts; empty for other tags.
    features: Vec<&'a str>,
}

/// The level at which the asset counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    Above(f64),
    Below(f64),
}

/// All signals.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tags<'a> {
    /// Plant time.
    at: Time,
    tags: Vec<TagValue<'a>>,
}

/// A signal's past in columns, at most two points a pixel; gaps stay gaps.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagHistory {
    pub(crate) id: String,
    pub(crate) unit: String,
    /// How fine it is: `raw`, or the length of a bucket.
    pub(crate) level: String,
    /// Milliseconds since 1970.
    pub(crate) at: Vec<i64>,
    /// Null where there was no usable value.
    pub(crate) min: Vec<Option<f64>>,
    pub(crate) max: Vec<Option<f64>>,
    pub(crate) mean: Vec<Option<f64>>,
    /// The worst in the bucket.
    pub(crate) quality: Vec<Quality>,
}

/// All signals with their present values, in the order of the configuration.
#[utoipa::path(
    get, path = "/api/v1/tags", operation_id = "tags",
    responses((status = 200, body = Tags<'_>))
)]
pub(crate) async fn get_tags(State(app): State<Arc<App>>) -> Response {
    let status = app.status();
    Json(Tags { at: Time(status.state.at), tags: all(&status).collect() }).into_response()
}

/// A signal's past; the last 24 hours if no window is given.
#[utoipa::path(
    get, path = "/api/v1/tags/{id}/history", operation_id = "tag_history",
    params(("id" = String, Path, description = "The tag's `id`"), Window),
    responses(
        (status = 200, body = TagHistory),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
    )
)]
pub(crate) async fn get_history(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(window): Query<Window>,
) -> Result<Response, Problem> {
    let status = app.status();
    let tag = status.plant.tags.iter().find(|tag| tag.name == id).ok_or_else(|| {
        let known = status.plant.tags.iter().map(|tag| tag.name.as_str());
        Problem::unknown("tag", &id, "/api/v1/tags", known)
    })?;
    let span = window.span(status.state.at, history::TAG_SPAN)?;
    Ok(Json(history::tag(app.reader(), tag, &span).await?).into_response())
}

/// All signals.
pub(crate) fn all(status: &GatewayStatus) -> impl Iterator<Item = TagValue<'_>> {
    let flags = Flags::of(status);
    status.state.tags.iter().filter_map(move |now| TagValue::of(status, now, &flags))
}

/// The part of a [`TagValue`] that moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub(crate) value: Option<f64>,
    pub(crate) quality: Quality,
    pub(crate) age_s: Option<f64>,
}

impl Live {
    /// A value that is bad, or that never was, is not shown at all.
    fn of(tag: &domain::Tag, now: &TagStatus, at: domain::Timestamp) -> Self {
        let quality = Quality::from(now.quality);
        let shown = now.at.is_some() && quality != Quality::Bad && !tag.is_waveform;
        Self {
            value: shown.then_some(now.value).and_then(finite),
            quality,
            age_s: now.at.map(|source| at.since(source).as_secs_f64()),
        }
    }
}

/// What moves, by name.
pub(crate) fn live(status: &GatewayStatus) -> impl Iterator<Item = (&str, Live)> {
    status.state.tags.iter().filter_map(|now| {
        let tag = status.plant.tags.get(now.tag.index())?;
        Some((tag.name.as_str(), Live::of(tag, now, status.state.at)))
    })
}

impl<'a> TagValue<'a> {
    fn of(status: &'a GatewayStatus, now: &TagStatus, flags: &Flags<'a>) -> Option<Self> {
        let tag = status.plant.tags.get(now.tag.index())?;
        let live = Live::of(tag, now, status.state.at);
        Some(Self {
            id: &tag.name,
            signal: tag.signal(),
            asset: asset_id(&path_of(&status.plant, tag.asset)?),
            unit: &tag.unit,
            role: tag.role.into(),
            value: live.value,
            at: now.at.map(Time),
            age_s: live.age_s,
            quality: live.quality,
            quality_reason: now.quality.reason().map(domain::Reason::words),
            score: now.score.get(),
            range: tag.range.map(|range| [range.low, range.high]),
            failure: tag.failure.map(|limit| match limit {
                Limit::Above(level) => Failure::Above(level),
                Limit::Below(level) => Failure::Below(level),
            }),
            source: &tag.source,
            address: flags.address(now.tag),
            flags: flags.tag(now),
            is_waveform: tag.is_waveform,
            text: live.value.and_then(|value| match &tag.meaning {
                Meaning::Measurement => None,
                Meaning::States(_) => tag.meaning.state(value),
                Meaning::Text => text_of(status, tag, now.tag),
            }),
            states: match &tag.meaning {
                Meaning::States(states) => Some(states),
                Meaning::Measurement | Meaning::Text => None,
            },
            features: if tag.is_waveform { features(&status.plant, now.tag) } else { Vec::new() },
        })
    }
}

/// The last text that its source has read.
fn text_of<'a>(status: &'a GatewayStatus, tag: &domain::Tag, id: TagId) -> Option<&'a str> {
    let source = status.connectors.iter().find(|source| source.name == tag.source)?;
    source.texts.iter().find(|(of, _)| *of == id).map(|(_, text)| text.as_str())
}

/// Names of the tags computed from bursts of this one.
fn features(plant: &domain::Plant, of: domain::TagId) -> Vec<&str> {
    let computed = |tag: &&domain::Tag| tag.derived.is_some_and(|derived| derived.from == of);
    plant.tags.iter().filter(computed).map(|tag| tag.name.as_str()).collect()
}
