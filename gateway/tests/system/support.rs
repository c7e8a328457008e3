//! Running the binary, bounded in time.

use std::{
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How often is looked whether a command has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What a finished command has left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary with these arguments.
pub(crate) fn bellwether(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.args(args).env_remove("BELLWETHER_LOG").env_remove("NOTIFY_SOCKET");
    command
}

/// Runs a command to its end, at most for `limit`.
pub(crate) fn finish(command: &mut Command, limit: Duration) -> Finished {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    wait(child.expect("the binary was built"), limit)
}

/// Waits for a child, at most for `limit`; a child that is still there then is ended and fails the test.
pub(crate) fn wait(mut child: Child, limit: Duration) -> Finished {
    // A test may have given it another end.
    let stdout = child.stdout.take();
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let read_stdout = std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut text));
        read.map(|_| text)
    });
    let read_stderr = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let status = wait_for_exit(&mut child, limit);
    let stdout = read_stdout.join().expect("reading does not panic").expect("stdout is text");
    let stderr = read_stderr.join().expect("reading does not panic").expect("stderr is text");
    let Some(status) = status else {
        unreachable!("did not end within {limit:?}\nstdout:\n{stdout}\nstderr:\n{stderr}");
    };
    Finished { code: status.code(), stdout, stderr }
}

fn wait_for_exit(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    for _ in 0..limit.as_millis() / LOOK.as_millis() {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return Some(status);
        }
        std::thread::sleep(LOOK);
    }
    child.kill().expect("the child is ours");
    child.wait().expect("the child is ours");
    None
}

/// Writes a configuration and returns its path as text.
pub(crate) fn write_config(dir: &Path, text: &str) -> String {
    let file = dir.join("bellwether.toml");
    std::fs::write(&file, text).expect("the directory is ours");
    file.to_str().expect("temporary paths are text").to_owned()
}
