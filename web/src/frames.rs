//! The live frame: what changes every second, serialised once for all streams.

use std::sync::{Arc, Mutex, PoisonError};

use bellwether_domain::GatewayStatus;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{
    assets::{self, Asset},
    status::Status,
    tags,
    words::{Quality, Time},
};

/// Everything that moves, at one moment. The newest wins: a slow reader misses frames, never sees old ones late.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Frame<'a> {
    /// Plant time.
    at: Time,
    /// The gateway itself, as in `/api/v1/status`.
    status: Status<'a>,
    /// As in `/api/v1/assets`, without `spark`.
    assets: Vec<Asset<'a>>,
    /// Per tag: id, value (null if there is none to show), quality, age in seconds of plant time.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    tags: Vec<(&'a str, Option<f64>, Quality, Option<f64>)>,
    /// Alarms whose condition holds, acknowledged or not.
    alarms_active: usize,
    /// Changes whenever the list of active alarms does: then fetch it again.
    alarms_version: u32,
}

impl<'a> Frame<'a> {
    pub(crate) fn of(status: &'a GatewayStatus) -> Self {
        Self {
            at: Time(status.state.at),
            status: Status::of(status),
            assets: assets::all(status),
            tags: tags::live(status)
                .map(|(id, live)| (id, live.value, live.quality, live.age_s))
                .collect(),
            alarms_active: status.state.standing_alarms().count(),
            alarms_version: alarms_version(status),
        }
    }
}

/// FNV-1a over what an alarm list shows. Not cryptographic: a collision delays a list by one change.
fn alarms_version(status: &GatewayStatus) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    };
    for alarm in &status.state.alarms {
        add(&alarm.id.to_string());
        add(alarm.state.as_str());
        add(alarm.severity.as_str());
        add(alarm.priority.as_str());
        add(&alarm.explanation.sentence);
    }
    hash
}

/// The last frame made, so that each status is serialised at most once, and never if nobody looks.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    last: Mutex<Option<(Arc<GatewayStatus>, Arc<str>)>>,
}

impl Frames {
    /// The frame of this status as JSON.
    pub(crate) fn of(&self, status: &Arc<GatewayStatus>) -> Arc<str> {
        // The guarded pair is replaced in one assignment, so a poisoned lock still holds a whole one.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, frame)) = last.as_ref()
            && Arc::ptr_eq(known, status)
        {
            return frame.clone();
        }
        let frame: Arc<str> = serde_json::to_string(&Frame::of(status))
            .expect("a frame has only string keys and no failing field")
            .into();
        *last = Some((status.clone(), frame.clone()));
        frame
    }
}
