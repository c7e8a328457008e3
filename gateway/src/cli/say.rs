//! Standard output, whose reader may go away at any time (`bellwether demo | head`): then the rest is not said, and what
//! runs only to be watched stops. Every command says its lines through here; `println!` would panic.

use std::{
    io::{ErrorKind, Write as _},
    sync::{LazyLock, OnceLock},
};

use tokio_util::sync::CancellationToken;

/// Cancelled when nobody reads any more.
static UNHEARD: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Why a line could not be written, other than because its reader has gone.
static LOST: OnceLock<String> = OnceLock::new();

/// Says one line.
pub(super) fn say(text: &str) {
    if UNHEARD.is_cancelled() {
        return;
    }
    let Err(error) = writeln!(std::io::stdout().lock(), "{text}") else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        LOST.get_or_init(|| error.to_string());
    }
    UNHEARD.cancel();
}

/// Completes when nobody reads any more.
pub(super) async fn unheard() {
    UNHEARD.cancelled().await;
}

/// Fails if something could not be said although somebody may have wanted to read it.
///
/// # Errors
/// Why, for example a full disk under a redirected output.
pub(super) fn all_said() -> anyhow::Result<()> {
    match LOST.get() {
        None => Ok(()),
        Some(error) => anyhow::bail!(
            "the output could not be written: {error}: it ends before its end, look at where it goes"
        ),
    }
}
