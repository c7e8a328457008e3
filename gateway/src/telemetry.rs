//! Logging to standard error. `BELLWETHER_LOG` takes the usual filter (`info`, `bellwether=debug`, …).

use tracing_subscriber::{EnvFilter, fmt};

/// What is logged unless `BELLWETHER_LOG` says otherwise. The OPC UA library reports its own reconnects; ours says it
/// once and in plain words.
const DEFAULT_FILTER: &str = "info,opcua=error,async_opcua=error,opcua_client=error,opcua_core=error,\
                              opcua_server=error,rumqttd=error,rumqttc=warn,sqlx=warn";

/// Starts logging; the second call in a process has no effect.
pub fn start(quiet: bool) {
    let fallback = if quiet {
        "warn,opcua=off,opcua_server=off,opcua_client=off,opcua_core=off,rumqttd=off"
    } else {
        DEFAULT_FILTER
    };
    let filter =
        EnvFilter::try_from_env("BELLWETHER_LOG").unwrap_or_else(|_| EnvFilter::new(fallback));
    // Under systemd the journal adds the time itself.
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = if under_systemd {
        builder.without_time().with_ansi(false).try_init()
    } else {
        builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
