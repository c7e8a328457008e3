//! Figures of this disk, printed; only with `BELLWETHER_SLOW` set, as they are no verdict.

use std::time::Duration;

use tokio::time::Instant;

use super::{FLOW, at, message, names, open, raised, reading, readings, sending};
use crate::Class;

fn percentile(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * share / 100).min(times.len() - 1)]
}

fn report(what: &str, times: &mut [Duration]) {
    let (median, high) = (percentile(times, 50), percentile(times, 99));
    println!("{what}: p50 {median:?}, p99 {high:?} of {}", times.len());
}

#[tokio::test]
async fn how_long_writes_take_on_this_disk() {
    if std::env::var_os("BELLWETHER_SLOW").is_none() {
        return;
    }
    let dir = tempfile::tempdir_in(".").unwrap();
    let store = open(dir.path()).await;
    let mut times = Vec::new();
    for id in 0..300 {
        let two = ["alert", "case"].map(|stream| message(Class::Alert, stream, &"x".repeat(600)));
        let mut commit = sending(two.to_vec());
        commit.alerts = vec![raised(id)];
        let begin = Instant::now();
        store.core.commit(&names(), &commit).await.unwrap();
        times.push(begin.elapsed());
    }
    report("commit of one alarm with two messages", &mut times);
    let mut times = Vec::new();
    for batch in 0..40_i64 {
        let values =
            (0..5_000).map(|i| reading(u32::try_from(i % 3).unwrap(), batch * 5_000 + i, 1.0));
        let values = values.collect();
        let begin = Instant::now();
        store.history.append(&names(), &readings(values)).await.unwrap();
        times.push(begin.elapsed());
    }
    report("append of 5,000 readings", &mut times);
    let begin = Instant::now();
    let done = store.history.maintain(at(400_000)).await.unwrap();
    println!("maintain: {:?} for {done:?}", begin.elapsed());
    let mut times = Vec::new();
    for _ in 0..20 {
        let begin = Instant::now();
        store.core.save_snapshot(&[7; 1 << 20], at(1)).await.unwrap();
        times.push(begin.elapsed());
    }
    report("snapshot of 1 MiB", &mut times);
    let mut times = Vec::new();
    for points in [100, 500, 2_000, 5_000] {
        for _ in 0..5 {
            let begin = Instant::now();
            store.reader().tag_history(FLOW, at(0), at(200_000), points).await.unwrap();
            times.push(begin.elapsed());
        }
    }
    report("history of a tag over 200,000 readings", &mut times);
    store.close().await;
    let mut times = Vec::new();
    for _ in 0..10 {
        let begin = Instant::now();
        let store = open(dir.path()).await;
        times.push(begin.elapsed());
        store.close().await;
    }
    report("opening", &mut times);
}
