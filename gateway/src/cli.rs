//! The command line. One file a command; what they share is how they end.

mod browse;
mod check;
#[cfg(feature = "demo")]
mod demo;
mod replay;
mod run;
mod say;
mod trust;

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{config::ConfigError, telemetry};

/// Exit code for a wrong command line (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;

/// Exit code for a wrong configuration (`EX_CONFIG`); the service manager does not restart it.
const EXIT_CONFIG: u8 = 78;

/// Predictive maintenance beside the machine: reads sensors, learns what healthy looks like, and says what is going
/// wrong and how long there is.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Run(run::Args),
    /// Show what an OPC UA server has to offer, or make a configuration of it.
    Browse(browse::Args),
    /// Check a configuration file and report every problem in it.
    Check(check::Args),
    /// Show it all working on a simulated plant, or on a recording of a real machine.
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    /// Feed recorded readings straight to the engine and print what it says.
    Replay(replay::Args),
    /// Show the certificates of OPC UA servers, and trust one.
    Trust(trust::Args),
}

/// A command line that cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Parses the command line, carries it out, and says how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_help = !error.use_stderr();
            if error.print().is_err() {
                return ExitCode::FAILURE;
            }
            return if is_help { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) };
        }
    };
    let result = match cli.command {
        Command::Run(args) => {
            telemetry::start(false);
            args.run()
        }
        Command::Browse(args) => args.run(),
        Command::Check(args) => args.run(),
        #[cfg(feature = "demo")]
        Command::Demo(args) => {
            telemetry::start(true);
            args.run()
        }
        Command::Replay(args) => args.run(),
        Command::Trust(args) => args.run(),
    };
    match result.and_then(|()| say::all_said()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // The exit code says it too, so that it matters little if nobody reads this.
    writeln!(std::io::stderr().lock(), "bellwether: {error:#}").unwrap_or_default();
    if error.is::<ConfigError>() {
        ExitCode::from(EXIT_CONFIG)
    } else if error.is::<UsageError>() {
        ExitCode::from(EXIT_USAGE)
    } else {
        ExitCode::FAILURE
    }
}

/// A runtime for the gateway: two workers are plenty, and a gateway has few cores to give.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Completes when somebody asks the process to stop (Ctrl-C or SIGTERM), or when nobody reads what it says any more.
async fn asked_to_stop() {
    tokio::select! {
        () = terminated() => {}
        () = say::unheard() => {}
    }
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM: only Ctrl-C stops cleanly");
            return ctrl_c().await;
        }
    };
    tokio::select! {
        () = ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

async fn ctrl_c() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "cannot listen for Ctrl-C");
        std::future::pending::<()>().await;
    }
}
