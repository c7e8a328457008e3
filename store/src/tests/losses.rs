//! Gaps: by tag, by source, while they last, and after a power cut.

use bellwether_domain::{Loss, LossCause, TagId};

use super::{FLOW, at, names, open};
use crate::{HistoryBatch, LossFilter, LossRecord, Store};

fn loss(source: &str, tags: &[u32], from: i64, to: i64, cause: LossCause) -> Loss {
    let tags = tags.iter().copied().map(TagId).collect();
    Loss { source: source.to_owned(), tags, from: at(from), to: at(to), cause, count: 7 }
}

async fn write(store: &Store, losses: Vec<Loss>, open_losses: Option<Vec<Loss>>) {
    let batch = HistoryBatch { losses, open_losses, ..HistoryBatch::default() };
    store.history.append(&names(), &batch).await.unwrap();
}

fn filter(from: i64, to: i64) -> LossFilter {
    LossFilter { from: at(from), to: at(to), ..LossFilter::default() }
}

async fn causes(store: &Store, filter: &LossFilter, limit: u32) -> Vec<LossCause> {
    let found = store.reader().losses(filter, limit).await.unwrap();
    found.iter().map(|record| record.cause).collect()
}

#[tokio::test]
async fn losses_that_overlap_are_found_newest_first() {
    use LossCause::{Disconnected, StoreBehind};
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let first = loss("plc", &[], 0, 10, Disconnected);
    write(&store, vec![first, loss("", &[], 20, 30, StoreBehind)], None).await;
    assert_eq!(causes(&store, &filter(10, 20), 9).await, [StoreBehind, Disconnected]);
    assert_eq!(causes(&store, &filter(11, 19), 9).await, []);
    assert_eq!(causes(&store, &filter(0, 99), 1).await, [StoreBehind]);
}

#[tokio::test]
async fn a_tag_finds_its_own_gaps_those_of_its_source_and_those_of_the_plant() {
    use LossCause::{Disconnected, GatewayStopped, Refused, Silent};
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let losses = vec![
        loss("", &[], 0, 1, GatewayStopped),
        loss("plc", &[], 0, 2, Disconnected),
        loss("plc", &[0], 0, 3, Refused),
        loss("plc", &[1], 0, 4, Silent),
        loss("other", &[], 0, 5, Disconnected),
    ];
    write(&store, losses, None).await;
    let own = |tag: Option<&str>| LossFilter {
        source: Some("plc".to_owned()),
        tag: tag.map(str::to_owned),
        ..filter(0, 9)
    };
    let of_flow = causes(&store, &own(Some(FLOW)), 9).await;
    assert_eq!(of_flow, [Refused, Disconnected, GatewayStopped]);
    let of_source = causes(&store, &own(None), 9).await;
    assert_eq!(of_source, [Silent, Refused, Disconnected, GatewayStopped]);
    let found = store.reader().losses(&own(Some(FLOW)), 1).await.unwrap();
    let expected = LossRecord {
        source: "plc".to_owned(),
        tags: vec![FLOW.to_owned()],
        tag_count: 1,
        from: at(0),
        to: at(3),
        cause: Refused,
        count: 7,
        filled_at: None,
    };
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn a_gap_that_lasts_is_told_by_memory_and_after_a_power_cut_by_the_disk() {
    use LossCause::{Disconnected, Silent};
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    write(&store, Vec::new(), Some(vec![loss("plc", &[0, 1], 0, 5, Silent)])).await;
    write(&store, Vec::new(), Some(vec![loss("plc", &[], 0, 9, Disconnected)])).await;
    write(&store, vec![loss("plc", &[0], 1, 2, Silent)], None).await;
    assert_eq!(causes(&store, &filter(0, 99), 9).await, [Silent]);
    store.close().await;
    let store = open(dir.path()).await;
    for _ in 0..2 {
        write(&store, Vec::new(), Some(Vec::new())).await;
        assert_eq!(causes(&store, &filter(0, 99), 9).await, [Disconnected, Silent]);
    }
}

#[tokio::test]
async fn tags_that_are_missing_together_again_are_listed_once_and_forgotten_with_their_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let again = |from| loss("plc", &[1, 0], from, from + 1, LossCause::Silent);
    write(
        &store,
        vec![again(0), again(5)],
        Some(vec![loss("plc", &[0], 9, 9, LossCause::Refused)]),
    )
    .await;
    let sets = async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM tag_set");
        count.fetch_one(store.history.database.readers()).await.unwrap()
    };
    assert_eq!(sets().await, 2);
    write(&store, Vec::new(), Some(Vec::new())).await;
    store.history.maintain(at(20)).await.unwrap();
    assert_eq!(sets().await, 1);
}
