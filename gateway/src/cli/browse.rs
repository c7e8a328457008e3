//! `bellwether browse`: what an OPC UA server has to offer, as a tree for a person or as a configuration for the gateway.

mod emit;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use bellwether_connectors::opcua::{
    self, BrowseLimits, EndpointUrl, Kind, Node, OpcuaConfig, Pki, Tree,
};

use super::{UsageError, runtime, say::say};
use crate::{clock::Clock, config::Config};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `opc.tcp://HOST[:PORT][/path]`, asked without security; or the name of an `[[opcua]]` section of the
    /// configuration, asked with its security and its user.
    #[arg(value_name = "ADDRESS|SOURCE")]
    server: String,
    /// Only nodes in whose path or id this text occurs, and what holds them.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Levels below the folder Objects.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    depth: u8,
    /// Nodes in all.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Seconds the whole browse may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    patience: u32,
    /// Print a configuration that reads the numbers among the nodes.
    #[arg(long)]
    toml: bool,
    /// Configuration file, where SERVER is the name of a source.
    #[arg(long, value_name = "FILE", default_value = "/etc/bellwether/bellwether.toml")]
    config: PathBuf,
    /// Where the databases and certificates live, instead of `[gateway] data_dir`.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Args {
    #[expect(clippy::print_stderr, reason = "remarks must not get into a configuration")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (config, pki) = self.section()?;
        let source = config.source(&[]);
        let limits = BrowseLimits {
            depth: self.depth.into(),
            nodes: usize::try_from(self.limit).unwrap_or(usize::MAX),
            time: Duration::from_secs(self.patience.into()),
        };
        let now = Clock::start(None, 1.0).as_fn();
        let browse = opcua::browse(&source, &pki, &now, limits);
        let mut tree = runtime()?.block_on(browse).context("cannot browse")?;
        if let Some(text) = &self.filter {
            tree.filter(text);
        }
        if self.toml {
            say(emit::configuration(&config, &tree).trim_end_matches('\n'));
        } else {
            tree.nodes.iter().for_each(|node| say(&line(node)));
        }
        remarks(&tree).for_each(|remark| eprintln!("bellwether: {remark}"));
        Ok(())
    }

    /// The server as a section of a configuration, and the folder of the certificates.
    fn section(&self) -> anyhow::Result<(OpcuaConfig, Pki)> {
        if self.server.contains("://") {
            let endpoint = EndpointUrl::parse(&self.server).ok_or_else(|| {
                let text = format!("`{}` is not opc.tcp://HOST[:PORT][/path]", self.server);
                UsageError(text)
            })?;
            let mut section = toml::Table::new();
            section.insert("name".to_owned(), "opcua-1".into());
            section.insert("security".to_owned(), "none".into());
            section.insert("endpoint".to_owned(), endpoint.to_string().into());
            // Without security no certificate is read or made.
            let folder = self.data_dir.clone().unwrap_or_else(std::env::temp_dir);
            return Ok((section.try_into()?, Pki::below(&folder)));
        }
        let config = Config::load(&self.config)?;
        let known = config.opcua.iter().find(|section| section.name == self.server).cloned();
        let section = known.ok_or_else(|| {
            let names: Vec<_> = config.opcua.iter().map(|section| section.name.as_str()).collect();
            UsageError(format!(
                "there is no opcua `{}` in {}: it has {}",
                self.server,
                self.config.display(),
                if names.is_empty() { "none".to_owned() } else { names.join(", ") },
            ))
        })?;
        let folder = self.data_dir.clone().unwrap_or(config.gateway.data_dir);
        Ok((section, Pki::below(&folder)))
    }
}

/// A node as a line, indented by its depth.
fn line(node: &Node) -> String {
    let indent = "  ".repeat(node.depth().saturating_sub(1));
    let mut line = format!("{indent}{}", node.name());
    if node.kind != Kind::Object {
        let data_type = node.data_type.as_deref().unwrap_or("unknown type");
        line.push_str(&format!("  {data_type} ({})", node.kind.as_str()));
    }
    if let Some(sample) = &node.sample {
        line.push_str(&format!("  = {sample}"));
    }
    if let Some(unit) = &node.unit {
        line.push_str(&format!(" {unit}"));
    }
    if let Some([low, high]) = node.range {
        line.push_str(&format!("  [{low} … {high}]"));
    }
    format!("{line}  {}", node.address)
}

/// What a person should know about a tree that is not whole.
fn remarks(tree: &Tree) -> impl Iterator<Item = String> {
    let cut = tree.is_cut.then(|| {
        "there is more on the server: raise --limit, or --depth for deeper levels".to_owned()
    });
    let closed = (tree.closed > 0).then(|| {
        format!("the server would not open {} nodes: its user may not see them", tree.closed)
    });
    let empty = tree.nodes.is_empty().then(|| "there is nothing to show".to_owned());
    [cut, closed, empty].into_iter().flatten()
}
