//! `bellwether check`: every problem of a configuration at once, or what it amounts to.

use std::path::PathBuf;

use bellwether_connectors::{modbus, opcua};

use super::say::say;
use crate::{
    clock::Clock,
    config::{Loaded, SourceSetup},
    security,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/bellwether/bellwether.toml")]
    config: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Loaded { config, setup, .. } = Loaded::read(&self.config)?;
        let count = |count: usize, noun: &str| {
            format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
        };
        say(&format!(
            "{} is right: {}, {}, {}, {}",
            self.config.display(),
            count(setup.plant.assets.len(), "asset"),
            count(setup.plant.tags.len(), "tag"),
            count(setup.sources.len(), "source"),
            count(config.mqtt.len(), "uplink"),
        ));
        for source in &setup.sources {
            say(&match source {
                SourceSetup::Modbus(source) => format!(
                    "  modbus `{}` at {}: {} in {} every {} ms",
                    source.name,
                    source.endpoint,
                    count(source.tags.len(), "tag"),
                    count(requests(source), "request"),
                    source.poll_interval.as_millis(),
                ),
                SourceSetup::Opcua(source) => format!(
                    "  opcua `{}` at {}: {}",
                    source.name,
                    source.endpoint,
                    count(source.tags.len(), "tag")
                ),
            });
        }
        let warnings = config.modbus.iter().flat_map(|source| source.warnings());
        for warning in warnings.chain(config.opcua.iter().flat_map(|source| source.warnings())) {
            say(&format!("  warning: {warning}"));
        }
        let pki = opcua::Pki::below(&config.gateway.data_dir);
        for warning in security::expiring(&pki, Clock::start(None, 1.0).now()) {
            say(&format!("  warning: {warning}"));
        }
        Ok(())
    }
}

/// Requests of one poll.
fn requests(source: &modbus::Source) -> usize {
    modbus::plan(source.tags.iter().map(|tag| tag.span).enumerate(), source.limits).len()
}
