//! What was acknowledged survives a kill at any moment. The test starts itself as a child, reads what the child says is
//! committed, kills it, and looks.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{FLOW, at, message, names, open, raised, reading, readings, sending};
use crate::{AlarmFilter, Class};

const CHILD: &str = "BELLWETHER_STORE_CHILD";

/// The child: commits, says so, and never stops by itself before it has done ten thousand.
#[tokio::test]
async fn a_child_commits_until_it_is_killed() {
    let Some(dir) = env::var_os(CHILD) else { return };
    let store = open(&PathBuf::from(dir)).await;
    let begun = store.core.outbox_stats("scada").await.unwrap().rows;
    for id in begun + 1..begun + 10_000 {
        let mut commit = sending(vec![message(Class::Alert, "alert", "{}")]);
        commit.alerts = vec![raised(id)];
        store.core.commit(&names(), &commit).await.unwrap();
        println!("committed {id}");
        let second = i64::try_from(id).unwrap();
        store.history.append(&names(), &readings(vec![reading(0, second, 1.0)])).await.unwrap();
        println!("appended {id}");
        if id % 5 == 0 {
            store.history.maintain(at(second + 8_000)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (mut committed, mut appended) = (0_u64, 0_u64);
    for round in 1..=6 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "tests::kill::a_child_commits_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Between statements or in the middle of one: wherever the line count leads.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in
            lines.map_while(Result::ok).filter(|line| line.contains(' ')).take(3 + round * 7)
        {
            let number =
                |word: &str| line.strip_prefix(word).and_then(|rest| rest.trim().parse().ok());
            committed = number("committed").unwrap_or(committed);
            appended = number("appended").unwrap_or(appended);
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let store = open(dir.path()).await;
        assert!(store.notices.is_empty(), "{:?}", store.notices);
        let alarms = store.reader().alarms(&AlarmFilter::default(), 10_000).await.unwrap();
        let messages = store.core.outbox_pending("scada", &[], 10_000).await.unwrap();
        let all: Vec<u64> = messages.iter().map(|row| row.sequence).collect();
        assert!(all.iter().copied().eq(1..=u64::try_from(all.len()).unwrap()), "{all:?}");
        assert_eq!(alarms.len(), messages.len(), "an alarm and its message are one");
        assert!(u64::try_from(alarms.len()).unwrap() >= committed, "{committed} were committed");
        // A kill is no power cut: what the kernel has taken stays, so nothing of history is lost either.
        let history = store.reader().tag_history(FLOW, at(0), at(20_000), 5_000).await.unwrap();
        let last = history.at.last().copied();
        assert!(last >= Some(at(i64::try_from(appended).unwrap())), "{appended}: {last:?}");
        store.close().await;
    }
    assert!(committed > 0 && appended > 0);
}
