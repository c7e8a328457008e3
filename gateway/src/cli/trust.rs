//! `bellwether trust`: whom the gateway believes to be the right OPC UA server.

use std::path::PathBuf;

use bellwether_connectors::opcua::Pki;
use bellwether_domain::Certificate;

use super::say::say;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `list` shows all certificates; the first characters of a fingerprint (SHA-256 or SHA-1) trust that server;
    /// `all` trusts every server that waits for a decision. A running gateway reconnects by itself.
    #[arg(value_name = "FINGERPRINT|all|list", default_value = "list")]
    what: String,
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/bellwether/bellwether.toml")]
    config: PathBuf,
    /// Where the databases live, instead of `[gateway] data_dir`.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let data_dir = match self.data_dir {
            Some(folder) => folder,
            None => Config::load(&self.config)?.gateway.data_dir,
        };
        let pki = Pki::below(&data_dir);
        if self.what == "list" {
            let all = pki.certificates();
            if all.is_empty() {
                say(&format!("there are no certificates in {}", pki.folder().display()));
            }
            all.iter().for_each(|known| say(&shown(known)));
            return Ok(());
        }
        for known in pki.trust(&self.what)? {
            say(&shown(&known));
        }
        say("a running gateway reconnects within two seconds");
        Ok(())
    }
}

fn shown(known: &Certificate) -> String {
    let uri = known.application_uri.as_deref().unwrap_or("none");
    let hosts = if known.hosts.is_empty() { "none".to_owned() } else { known.hosts.join(", ") };
    format!(
        "{:<8} {}\n  SHA-256      {}\n  SHA-1        {}\n  application  {uri}\n  hosts        {hosts}\n  valid        {} to {}",
        known.trust.as_str(),
        known.subject,
        known.sha256,
        known.sha1,
        known.not_before,
        known.not_after,
    )
}
