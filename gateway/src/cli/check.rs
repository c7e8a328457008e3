//! `bellwether check`: every problem of a configuration at once, or what it amounts to.

use std::path::PathBuf;

use bellwether_connectors::{modbus, opcua};

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
    #[expect(clippy::print_stdout, reason = "the result of this command is its output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Loaded { config, setup, .. } = Loaded::read(&self.config)?;
        let count = |count: usize, noun: &str| {
            format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
        };
        println!(
            "{} is right: {}, {}, {}, {}",
            self.config.display(),
            count(setup.plant.assets.len(), "asset"),
            count(setup.plant.tags.len(), "tag"),
            count(setup.sources.len(), "source"),
            count(config.mqtt.len(), "uplink"),
        );
        for source in &setup.sources {
            match source {
                SourceSetup::Modbus(source) => println!(
                    "  modbus `{}` at {}: {} in {} every {} ms",
                    source.name,
                    source.endpoint,
                    count(source.tags.len(), "tag"),
                    count(requests(source), "request"),
                    source.poll_interval.as_millis(),
                ),
                SourceSetup::Opcua(source) => println!(
                    "  opcua `{}` at {}: {}",
                    source.name,
                    source.endpoint,
                    count(source.tags.len(), "tag")
                ),
            }
        }
        let warnings = config.modbus.iter().flat_map(|source| source.warnings());
        for warning in warnings.chain(config.opcua.iter().flat_map(|source| source.warnings())) {
            println!("  warning: {warning}");
        }
        let pki = opcua::Pki::below(&config.gateway.data_dir);
        for warning in security::expiring(&pki, Clock::start(None, 1.0).now()) {
            println!("  warning: {warning}");
        }
        Ok(())
    }
}

/// Requests of one poll.
fn requests(source: &modbus::Source) -> usize {
    modbus::plan(source.tags.iter().map(|tag| tag.span).enumerate(), source.limits).len()
}
