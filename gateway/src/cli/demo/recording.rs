//! The demo on a recording of a real machine: served over Modbus, read as any device, judged against the labels that
//! people put beside it. The labels never leave this process's judge.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use bellwether_domain::Timestamp;
use bellwether_fixtures::{Progress, Recording, RecordingServer};
use bellwether_store::{AlarmFilter, AlarmRecord, Reader, Store, StoreOptions};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Args, Teller};
use crate::{
    app::{Gateway, Ground},
    cli::{asked_to_stop, say::say},
    config::Loaded,
    tasks::Tasks,
};

/// Rows served a second. A recording has one row a second, so plant time runs as many times faster.
const ROWS_PER_SECOND: f64 = 200.0;

/// Wall time without a new row before its values count as stale: a busy machine is no fault of the recording.
const STALE_AFTER_MS: u64 = 5_000;

/// After the last row has been served, time for its readings to reach the engine.
const SETTLE: Duration = Duration::from_millis(200);

/// Time for the server to end after the gateway has.
const GRACE: Duration = Duration::from_secs(2);

/// The tag that counts the rows.
const ROW_TAG: &str = "rig.row";

/// How it went: the last line of the command.
#[derive(Debug, Serialize)]
struct Verdict {
    recording: String,
    /// First row that people called anomalous, counted from 0.
    onset_row: Option<usize>,
    /// Last such row.
    end_row: Option<usize>,
    /// The row at which the first machine alarm was raised.
    alarm_row: Option<usize>,
    /// Whether that lies inside.
    caught: bool,
    sentence: Option<String>,
}

pub(super) async fn run(args: &Args, file: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let recording = Recording::open(file)?;
    let labelled = recording.labelled_rows();
    let stop_server = CancellationToken::new();
    let any_port = "127.0.0.1:0".parse()?;
    let (server, (name, serving)) =
        RecordingServer::start(recording, ROWS_PER_SECOND, any_port, stop_server.clone()).await?;
    let mut tasks = Tasks::new();
    tasks.spawn(name, async move { Ok(serving.await?) });

    let text = server
        .config
        .replace("[[modbus]]\n", &format!("[[modbus]]\nstale_after_ms = {STALE_AFTER_MS}\n"));
    let name = "the recording's configuration".as_ref();
    let loaded = Loaded::parse(name, text, ROWS_PER_SECOND)?;
    let asset =
        loaded.setup.plant.assets.first().map(|asset| asset.path.to_string()).unwrap_or_default();
    let ground = Ground::open(&loaded.config, data_dir, ROWS_PER_SECOND).await?;
    let gateway = Gateway::start(loaded, ground, args.http).await?;
    let began = gateway.clock.started_at();
    say(&format!(
        "Bellwether on the recording {}, {ROWS_PER_SECOND} rows a second over Modbus",
        file.display()
    ));
    say(&format!("  dashboard   http://{}", gateway.http));

    let story = tell(Teller::new(&gateway), gateway.state.clone(), server.progress.clone());
    let told = async {
        tokio::select! {
            () = story => {}
            () = asked_to_stop() => say("stopping"),
            () = super::live::until(args.deadline()) => say("time is over, stopping"),
        }
    };
    gateway.run_until(told).await?;
    stop_server.cancel();
    tasks.drain(GRACE).await?;
    let verdict = judge(file, labelled, data_dir, &asset, began).await?;
    say(&serde_json::to_string(&verdict)?);
    Ok(())
}

/// Tells what happens until the last row has been read.
async fn tell(
    mut teller: Teller,
    mut state: watch::Receiver<Arc<bellwether_domain::PlantStatus>>,
    mut progress: watch::Receiver<Progress>,
) {
    let mut lines = tokio::time::interval(Duration::from_secs(3));
    let position = progress.clone();
    loop {
        tokio::select! {
            _ = lines.tick() => {
                let Progress { row, rows, .. } = *position.borrow();
                teller.at("status", &format!("row {row} of {rows}"));
            }
            changed = state.changed() => {
                if changed.is_err() { return }
                let now = Arc::clone(&state.borrow_and_update());
                teller.transitions(&now);
            }
            done = progress.wait_for(|progress| progress.is_done) => {
                drop(done);
                tokio::time::sleep(SETTLE).await;
                return;
            }
        }
    }
}

/// Compares the first machine alarm of this run with the labels.
async fn judge(
    file: &Path,
    labelled: Option<[usize; 2]>,
    data_dir: &Path,
    asset: &str,
    began: Timestamp,
) -> anyhow::Result<Verdict> {
    let store = Store::open(data_dir, StoreOptions::new(began)).await?;
    let reader = store.reader();
    let filter = AlarmFilter { asset: Some(asset.to_owned()), ..AlarmFilter::default() };
    let alarms = reader.alarms(&filter, 10_000).await?;
    let first = alarms
        .into_iter()
        .filter(|alarm| alarm.kind.is_about_machine() && alarm.raised_at >= began)
        .min_by_key(|alarm| alarm.raised_at);
    let alarm_row = match &first {
        Some(alarm) => Some(
            row_of(&reader, alarm).await.context("the row of the alarm is not in the history")?,
        ),
        None => None,
    };
    store.close().await;
    let inside =
        |[onset, end]: [usize; 2]| alarm_row.is_some_and(|row| (onset..=end).contains(&row));
    Ok(Verdict {
        recording: file.display().to_string(),
        onset_row: labelled.map(|[onset, _]| onset),
        end_row: labelled.map(|[_, end]| end),
        alarm_row,
        caught: labelled.is_some_and(inside),
        sentence: first.map(|alarm| alarm.sentence),
    })
}

/// The row that had been read last when the alarm was raised; the counter begins at 1.
async fn row_of(reader: &Reader, alarm: &AlarmRecord) -> anyhow::Result<usize> {
    let from = alarm.raised_at.saturating_sub(Duration::from_secs(60));
    let rows = reader.tag_history(ROW_TAG, from, alarm.raised_at, 1_000).await?;
    let last = rows
        .at
        .iter()
        .zip(&rows.max)
        .filter(|(at, _)| **at <= alarm.raised_at)
        .filter_map(|(_, row)| *row)
        .next_back();
    let counter = last.context("no row was stored before the alarm")?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a row counter is a small whole number"
    )]
    Ok((counter as usize).saturating_sub(1))
}
