//! `bellwether run`: the gateway as the service manager starts it.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::bail;
use tracing::{info, warn};

use super::UsageError;
use crate::{
    app::{Gateway, Ground},
    config::{ConfigError, Loaded},
    systemd,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/bellwether/bellwether.toml")]
    config: PathBuf,
    /// Where the databases live, instead of `[gateway] data_dir`.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the dashboard, instead of `[http] listen`.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Let the dashboard listen on an address that others can reach, without login and encryption.
    #[arg(long)]
    insecure: bool,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = Loaded::read(&self.config)?;
        let config = &loaded.config;
        let http = self.http.unwrap_or(config.http.listen);
        self.check_exposure(http)?;
        let data_dir = self.data_dir.unwrap_or_else(|| config.gateway.data_dir.clone());
        super::runtime()?.block_on(async {
            let ground = Ground::open(&loaded.config, &data_dir, 1.0).await?;
            let gateway = Gateway::start(loaded, ground, http).await?;
            info!(dashboard = %format!("http://{}", gateway.http), "ready");
            systemd::ready(&format!("dashboard on http://{}", gateway.http));
            gateway.run_until(super::asked_to_stop()).await
        })
    }

    /// The dashboard has no login yet: nobody but this machine may reach it unless a person says so.
    fn check_exposure(&self, http: SocketAddr) -> anyhow::Result<()> {
        if http.ip().is_loopback() {
            return Ok(());
        }
        if self.insecure {
            warn!(%http, "the dashboard has no login and no encryption, and others can reach it");
            return Ok(());
        }
        let advice = "the dashboard has no login yet: use a loopback address such as 127.0.0.1:8080, or add --insecure";
        if self.http.is_some() {
            bail!(UsageError(format!("--http {http} can be reached by others: {advice}")));
        }
        bail!(ConfigError {
            file: self.config.clone(),
            problems: vec![
                format!("[http] listen = \"{http}\" can be reached by others: {advice}").into()
            ],
        })
    }
}
