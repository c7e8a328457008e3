//! `bellwether replay`: recorded readings straight into the engine, as fast as it goes; same recording, same words.
//!
//! The recording is a CSV file: a first column with the time (RFC 3339, or seconds since the epoch), then one column per
//! tag under the tag's name. An empty cell is a reading that did not come; columns that are no tag are passed over.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use bellwether_analytics::{Engine, Input, Output};
use bellwether_domain::{Alert, Plant, Reading, TagId, Timestamp};

use super::say::say;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file: which tags there are and how they are judged. Sources and uplinks in it are not used.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// CSV file: a time column, then one column per tag.
    recording: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = Config::load(&self.config)?;
        let setup = config.setup(&self.config, 1.0)?;
        let text = std::fs::read_to_string(&self.recording)
            .with_context(|| format!("{} cannot be read", self.recording.display()))?;
        let engine = Engine::new(Arc::clone(&setup.plant), config.analytics, None);
        for line in replay(engine, &setup.plant, &text)
            .with_context(|| self.recording.display().to_string())?
        {
            say(&line);
        }
        Ok(())
    }
}

/// One line per alarm transition, then one per asset with its state at the end.
///
/// # Errors
/// Which line of the recording is wrong, and how.
fn replay(mut engine: Engine, plant: &Plant, recording: &str) -> anyhow::Result<Vec<String>> {
    let mut lines = recording.lines().enumerate();
    let (_, header) = lines.next().context("the recording is empty")?;
    let columns: Vec<_> = header.split(',').map(|name| plant.tag_named(name.trim())).collect();
    if columns.iter().all(Option::is_none) {
        bail!(
            "no column of the recording is a tag of the configuration: name the columns as the tags"
        );
    }
    let mut said = Vec::new();
    let mut outputs = Vec::new();
    let mut now = Timestamp::default();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let readings = parse(line, &columns).with_context(|| format!("line {}", index + 1))?;
        now = readings.first().map_or(now, |(at, _)| *at);
        let readings: Vec<_> = readings.into_iter().filter_map(|(_, reading)| reading).collect();
        engine.step(now, Input::Readings(&readings), &mut outputs);
        engine.step(now, Input::Tick, &mut outputs);
        said.extend(outputs.drain(..).filter_map(|output| match output {
            Output::AlarmChanged(alert) => Some(sentence(plant, &alert)),
            _ => None,
        }));
    }
    said.extend(engine.status(now).assets.iter().map(|asset| {
        format!(
            "{now} {}: {}: {}",
            plant.asset(asset.asset).path,
            asset.state.as_str(),
            asset.reason
        )
    }));
    Ok(said)
}

fn sentence(plant: &Plant, alert: &Alert) -> String {
    let Alert { at, transition, alarm } = alert;
    let (asset, sentence) = (&plant.asset(alarm.asset).path, &alarm.explanation.sentence);
    format!("{at} {asset}: {} {}: {sentence}", alarm.kind.as_str(), transition.as_str())
}

fn parse(
    line: &str,
    columns: &[Option<TagId>],
) -> anyhow::Result<Vec<(Timestamp, Option<Reading>)>> {
    let mut cells = line.split(',').map(str::trim);
    let time = cells.next().context("there is no time")?;
    let at = match time.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "microseconds of any real date fit")]
        Ok(seconds) => Timestamp::from_micros((seconds * 1e6) as i64),
        Err(_) => time.parse()?,
    };
    let mut readings = vec![(at, None)];
    for (cell, tag) in cells.zip(columns.iter().skip(1)) {
        if let (Some(tag), false) = (tag, cell.is_empty()) {
            let value = cell.parse().with_context(|| format!("`{cell}` is no number"))?;
            readings.push((at, Some(Reading::new(*tag, at, value))));
        }
    }
    Ok(readings)
}
