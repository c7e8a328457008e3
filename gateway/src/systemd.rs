//! What the service manager is told: ready, what is going on, stopping, and the watchdog.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// "Ready", with one line of status.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// "Reading the configuration again": followed by [`ready`] in any case.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "the service manager is not told"),
    }
}

/// "Stopping".
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// One line of status for `systemctl status`.
pub fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// "A cycle of the pump has completed": never sent by an idle timer, so that a hung engine is noticed.
pub fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// How often the watchdog must hear from us, if it runs: half of its limit.
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "the service manager does not listen");
    }
}
