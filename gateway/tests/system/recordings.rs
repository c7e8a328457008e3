//! The recordings of a real pump rig, served over Modbus, read as any device (SKAB, valve 1). The data set is not part of
//! the project; where it is absent the test says so and passes over.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use crate::support::{bellwether, wait};

/// One recording takes about seven seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Recordings at a time.
const AT_ONCE: usize = 4;

const EXPECTED: usize = 14;

fn recordings() -> Option<Vec<PathBuf>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/skab/valve1");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "csv"));
    files.sort();
    Some(files)
}

fn verdict(stdout: &str) -> Value {
    let last = stdout.lines().next_back().expect("the command says something");
    serde_json::from_str(last).expect("the last line is JSON")
}

#[test]
fn real_recordings_are_caught_inside_the_labelled_anomaly() {
    let Some(files) = recordings() else {
        println!("skipped: ../shared/data/skab/valve1 is not here");
        return;
    };
    let mut caught = 0;
    for group in files.chunks(AT_ONCE) {
        let children: Vec<_> = group
            .iter()
            .map(|file| {
                let file = file.to_str().expect("paths are text");
                let args = ["demo", "--http", "127.0.0.1:0", "--recording", file];
                let mut command = bellwether(&args);
                command.stdin(std::process::Stdio::null());
                command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
                command.spawn().expect("the binary was built")
            })
            .collect();
        for (file, child) in group.iter().zip(children) {
            let finished = wait(child, LIMIT);
            assert_eq!(finished.code, Some(0), "{}: {finished:?}", file.display());
            let verdict = verdict(&finished.stdout);
            println!("{verdict}");
            assert!(verdict["onset_row"].is_u64() && verdict["end_row"].is_u64(), "{verdict}");
            caught += usize::from(verdict["caught"] == Value::Bool(true));
        }
    }
    assert!(caught >= EXPECTED, "{caught} of {} recordings caught", files.len());
}
