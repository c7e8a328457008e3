//! `/losses`: gaps in the data, those that last first.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use bellwether_domain::{self as domain, GatewayStatus, Plant, TagId, Timestamp};
use bellwether_store::{LossFilter, LossRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    query::{Window, count},
    words::{LossCause, Time},
};
use crate::{history, problem::Problem, state::App};

/// Most gaps of one answer.
const MOST: usize = 1_000;
const DEFAULT: usize = 200;
/// Names of tags that a gap lists; it says how many there are.
const NAMES: usize = 100;

/// Which gaps.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only gaps that concern this tag.
    tag: Option<String>,
    /// Only gaps that concern this source.
    source: Option<String>,
    /// Beginning, 24 hours before the end if left out: RFC 3339, or milliseconds since 1970.
    from: Option<String>,
    /// End, now if left out: RFC 3339, or milliseconds since 1970.
    to: Option<String>,
    /// Most gaps wanted, 1 to 1000; 200 if left out.
    limit: Option<String>,
}

/// Gaps in the data.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Losses {
    /// Plant time.
    at: Time,
    /// Those that last first, then the latest first.
    losses: Vec<Loss>,
}

/// A gap in the data.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Loss {
    /// Name of the source; null for all sources.
    #[schema(required)]
    source: Option<String>,
    /// The tags whose data is missing, a hundred at most; empty for all of the source.
    tags: Vec<String>,
    /// How many tags; 0 for all of the source.
    tag_count: usize,
    from: Time,
    /// Null while it lasts.
    #[schema(required)]
    to: Option<Time>,
    cause: LossCause,
    /// The cause in words.
    words: &'static str,
    /// How many readings were due; 0 where nobody can know.
    count: u64,
    /// When it was filled from the source's own history.
    #[schema(required)]
    filled_at: Option<Time>,
}

/// Gaps in the data: what is missing, from when to when, and why.
#[utoipa::path(
    get, path = "/api/v1/losses", operation_id = "losses", params(Which),
    responses((status = 200, body = Losses), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn get_losses(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let status = app.status();
    let limit = which.limit.as_deref().map_or(Ok(DEFAULT), |text| count("limit", text, MOST))?;
    let window = Window::new(which.from, which.to).span(status.state.at, history::TAG_SPAN)?;
    let tag = which.tag.as_deref().map(|name| named(&status.plant, name)).transpose()?;
    let of_tag = tag.map(|tag| status.plant.tag(tag));
    let filter = LossFilter {
        from: window.from,
        to: window.to,
        source: which.source.or_else(|| of_tag.map(|tag| tag.source.clone())),
        tag: of_tag.map(|tag| tag.name.clone()),
    };
    let mut losses = present(&status, &filter, tag);
    losses.truncate(limit);
    let room = u32::try_from(limit - losses.len()).unwrap_or_default();
    if room > 0 {
        losses.extend(history::losses(app.reader(), &filter, room).await?.into_iter().map(past));
    }
    Ok(Json(Losses { at: Time(status.state.at), losses }).into_response())
}

/// The tag that is read: where the name is that of a number computed from a waveform, the waveform.
fn named(plant: &Plant, name: &str) -> Result<TagId, Problem> {
    let found = plant.tag_named(name).ok_or_else(|| {
        let known = plant.tags.iter().map(|tag| tag.name.as_str());
        Problem::unknown("tag", name, "/api/v1/tags", known)
    })?;
    Ok(plant.tag(found).derived.map_or(found, |derived| derived.from))
}

/// What lasts, and what has just ended and is on its way to the disk.
fn present(status: &GatewayStatus, filter: &LossFilter, tag: Option<TagId>) -> Vec<Loss> {
    let open = status.gaps.open.iter().map(|loss| (loss, None));
    let settling = status.gaps.settling.iter().map(|loss| (loss, Some(loss.to)));
    let source = filter.source.as_deref();
    let mut found: Vec<_> = open
        .chain(settling)
        .filter(|(loss, to)| {
            loss.from <= filter.to
                && to.is_none_or(|to| to >= filter.from)
                && (loss.source.is_empty() || source.is_none_or(|source| loss.source == source))
                && tag.is_none_or(|tag| loss.concerns(&status.plant, tag))
        })
        .collect();
    found.sort_by_key(|(loss, to)| (to.is_some(), std::cmp::Reverse(loss.from)));
    found.into_iter().map(|(loss, to)| now(&status.plant, loss, to)).collect()
}

fn now(plant: &Plant, loss: &domain::Loss, to: Option<Timestamp>) -> Loss {
    let name = |tag: &TagId| plant.tags.get(tag.index()).map(|tag| tag.name.clone());
    Loss {
        source: (!loss.source.is_empty()).then(|| loss.source.clone()),
        tags: loss.tags.iter().take(NAMES).filter_map(name).collect(),
        tag_count: loss.tags.len(),
        from: Time(loss.from),
        to: to.map(Time),
        cause: loss.cause.into(),
        words: loss.cause.words(),
        count: loss.count,
        filled_at: None,
    }
}

fn past(record: LossRecord) -> Loss {
    Loss {
        source: (!record.source.is_empty()).then_some(record.source),
        tags: record.tags,
        tag_count: record.tag_count,
        from: Time(record.from),
        to: Some(Time(record.to)),
        cause: record.cause.into(),
        words: record.cause.words(),
        count: record.count,
        filled_at: record.filled_at.map(Time),
    }
}
