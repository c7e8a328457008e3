//! `/assets`: the machines, and what the engine thinks of each.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bellwether_domain::{self as domain, AssetStatus, GatewayStatus, Plant};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    prognosis::Rul,
    tags::{self, TagValue},
    words::{
        AssetKind, Contribution, HealthState, Operand, Operation, Quality, Time, asset_id,
        contributions, operands,
    },
};
use crate::{history, problem::Problem, state::App};

/// One machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Asset<'a> {
    /// The path with dots, as in addresses: `acme.lyon.utilities.water.pump-1`.
    pub(crate) id: String,
    /// ISA-95: enterprise/site/area/work center/work unit.
    path: String,
    /// The work unit.
    name: &'a str,
    area: &'a str,
    work_center: &'a str,
    kind: AssetKind,
    state: HealthState,
    /// Since when it is in this state.
    since: Time,
    /// Why, in one sentence.
    reason: &'a str,
    /// 1 is as good as learnt, 0 is failed.
    health: f64,
    operation: Operation,
    /// Share of the healthy data that has been seen; 1 when learning is finished.
    learning_ratio: f64,
    /// How unusual it is; 0.5 is the alarm threshold.
    score: f64,
    rul: Rul,
    /// Alarms whose condition holds, acknowledged or not.
    alarms: usize,
    /// The worst of its tags.
    quality: Quality,
    #[schema(required)]
    maintained_at: Option<Time>,
    /// Health over at most the last 30 days, evenly spaced, oldest first; null where nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    spark: Option<Vec<Option<f64>>>,
}

/// All machines.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Assets<'a> {
    /// Plant time.
    at: Time,
    assets: Vec<Asset<'a>>,
}

/// One machine with everything that explains its state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssetDetail<'a> {
    #[serde(flatten)]
    asset: Asset<'a>,
    tags: Vec<TagValue<'a>>,
    /// Of all judged tags to the score, largest first.
    contributions: Vec<Contribution>,
    /// The operating condition it is judged in.
    condition: Vec<Operand>,
    /// Tags that are judged on their own because they drift by nature.
    left_out: Vec<&'a str>,
    /// What happened to it, for marks in charts; oldest first.
    marks: Vec<Mark>,
    /// Why the past is missing; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_error: Option<String>,
}

/// Something that happened to an asset.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Mark {
    pub(crate) at: Time,
    pub(crate) kind: MarkKind,
    pub(crate) text: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MarkKind {
    /// An alarm was raised.
    Alarm,
    /// Its condition went away.
    Returned,
    /// Somebody repaired something.
    Repair,
}

impl From<bellwether_store::MarkKind> for MarkKind {
    fn from(kind: bellwether_store::MarkKind) -> Self {
        match kind {
            bellwether_store::MarkKind::Alarm => Self::Alarm,
            bellwether_store::MarkKind::Returned => Self::Returned,
            bellwether_store::MarkKind::Repair => Self::Repair,
        }
    }
}

/// All machines, in the order of the configuration.
#[utoipa::path(
    get, path = "/api/v1/assets", operation_id = "assets",
    responses((status = 200, body = Assets<'_>))
)]
pub(crate) async fn get_assets(State(app): State<Arc<App>>) -> Response {
    let status = app.status();
    let mut assets = all(&status);
    for asset in &mut assets {
        // No sparkline is no reason to show no asset, and the next one would fail as well.
        let Ok(spark) = app.sparks.of(app.reader(), &asset.path, status.state.at).await else {
            break;
        };
        asset.spark = Some(spark);
    }
    Json(Assets { at: Time(status.state.at), assets }).into_response()
}

/// One machine with its live values, and why it is in its state.
#[utoipa::path(
    get, path = "/api/v1/assets/{id}", operation_id = "asset",
    params(("id" = String, Path, description = "The asset's `id`")),
    responses((status = 200, body = AssetDetail<'_>), (status = 404, body = Problem))
)]
pub(crate) async fn get_asset(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let status = app.status();
    let found = find(&status, &id)?;
    let mut asset = Asset::of(&status, found);
    let past = history::marks(app.reader(), &asset.path, status.state.at).await;
    let (marks, history_error) = history::or_nothing(past);
    if history_error.is_none() {
        asset.spark = app.sparks.of(app.reader(), &asset.path, status.state.at).await.ok();
    }
    let plant = &status.plant;
    let name = |tag: &domain::TagId| plant.tags.get(tag.index()).map(|tag| tag.name.as_str());
    let detail = AssetDetail {
        tags: tags::all(&status).filter(|tag| tag.asset == asset.id).collect(),
        contributions: contributions(plant, &found.anomaly.contributions),
        condition: operands(plant, &found.anomaly.condition),
        left_out: found.anomaly.left_out.iter().filter_map(name).collect(),
        marks,
        history_error,
        asset,
    };
    Ok(Json(detail).into_response())
}

/// All machines without their history.
pub(crate) fn all(status: &GatewayStatus) -> Vec<Asset<'_>> {
    known(status).map(|(asset, _)| Asset::of(status, asset)).collect()
}

/// The machine of this id.
///
/// # Errors
/// 404 with the nearest ids.
pub(crate) fn find<'a>(status: &'a GatewayStatus, id: &str) -> Result<&'a AssetStatus, Problem> {
    known(status).find(|(_, path)| asset_id(path) == id).map(|(asset, _)| asset).ok_or_else(|| {
        let ids: Vec<String> = known(status).map(|(_, path)| asset_id(&path)).collect();
        Problem::unknown("asset", id, "/api/v1/assets", ids.iter().map(String::as_str))
    })
}

/// What the engine has judged and the plant knows: between two generations either may lack the other's newest.
fn known(status: &GatewayStatus) -> impl Iterator<Item = (&AssetStatus, String)> {
    status
        .state
        .assets
        .iter()
        .filter_map(|asset| Some((asset, path_of(&status.plant, asset.asset)?)))
}

/// The asset's path as text.
pub(crate) fn path_of(plant: &Plant, asset: domain::AssetId) -> Option<String> {
    plant.assets.get(asset.index()).map(|asset| asset.path.to_string())
}

impl<'a> Asset<'a> {
    fn of(status: &'a GatewayStatus, asset: &'a AssetStatus) -> Self {
        let configured = status.plant.asset(asset.asset);
        let path = configured.path.to_string();
        let of_it = |alarm: &&domain::Alarm| alarm.asset == asset.asset;
        Self {
            id: asset_id(&path),
            path,
            name: configured.name(),
            area: &configured.path.area,
            work_center: &configured.path.work_center,
            kind: configured.kind.into(),
            state: asset.state.into(),
            since: Time(asset.since),
            reason: &asset.reason,
            health: asset.health.get(),
            operation: asset.operation.into(),
            learning_ratio: asset.learning_ratio,
            score: asset.anomaly.score.get(),
            rul: Rul::of(&status.plant, &asset.prognosis),
            alarms: status.state.standing_alarms().filter(of_it).count(),
            quality: worst_quality(status, configured),
            maintained_at: asset.maintained_at.map(Time),
            spark: None,
        }
    }
}

fn worst_quality(status: &GatewayStatus, asset: &domain::Asset) -> Quality {
    asset
        .tags
        .iter()
        .filter_map(|tag| status.state.tags.get(tag.index()))
        .map(|tag| Quality::from(tag.quality))
        .max()
        .unwrap_or(Quality::Bad)
}
