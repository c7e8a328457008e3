use bellwether_domain::{AssetId, Reason, Role, Tag};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

/// Two tags of one device, polled every second, and one of another.
fn gaps() -> Gaps {
    let tag = |name: &str, source: &str| Tag {
        name: name.to_owned(),
        asset: AssetId(0),
        source: source.to_owned(),
        unit: String::new(),
        role: Role::Condition,
        range: None,
        failure: None,
        period: Duration::from_secs(1),
        stale_after: Duration::from_secs(10),
        derived: None,
        meaning: bellwether_domain::Meaning::default(),
        is_waveform: false,
    };
    let tags = vec![tag("a.flow", "plc"), tag("a.speed", "plc"), tag("b.flow", "server")];
    Gaps::new(Arc::new(Plant { generation: 1, assets: Vec::new(), tags }), at(0))
}

fn good(tags: &[u32], second: i64) -> Vec<Reading> {
    tags.iter().map(|tag| Reading::new(TagId(*tag), at(second), 1.0)).collect()
}

fn bad(tags: &[u32], second: i64, reason: Reason) -> Vec<Reading> {
    tags.iter().map(|tag| Reading::bad(TagId(*tag), at(second), reason)).collect()
}

fn loss(source: &str, tags: &[u32], from: i64, to: i64, cause: LossCause, count: u64) -> Loss {
    let tags = tags.iter().copied().map(TagId).collect();
    Loss { source: source.to_owned(), tags, from: at(from), to: at(to), cause, count }
}

/// Feeds readings at their times, then waits until everything has settled.
#[track_caller]
fn check(batches: &[Vec<Reading>], expected: &[Loss]) {
    let mut gaps = gaps();
    let mut recorded = Vec::new();
    for batch in batches {
        let now = batch.iter().map(|reading| reading.at).max().unwrap();
        gaps.observe(now, &good(&[2], now.as_millis() / 1_000));
        gaps.observe(now, batch);
        recorded.extend(gaps.tick(now));
    }
    let end = batches.last().unwrap()[0].at.saturating_add(Duration::from_secs(4));
    recorded.extend(gaps.tick(end));
    assert_eq!(recorded, expected);
}

#[test]
fn a_pulled_plug_is_one_record_of_the_whole_source() {
    let lost = bad(&[0, 1], 2, Reason::NotConnected);
    let batches = [good(&[0, 1], 1), lost, bad(&[0, 1], 3, Reason::NotConnected), good(&[0, 1], 6)];
    check(&batches, &[loss("plc", &[], 1, 6, LossCause::Disconnected, 8)]);
}

#[test]
fn a_refused_item_is_a_gap_of_its_own() {
    let mixed = [good(&[0], 2), bad(&[1], 2, Reason::Configuration)].concat();
    let batches = [good(&[0, 1], 1), mixed, good(&[0, 1], 4)];
    check(&batches, &[loss("plc", &[1], 1, 4, LossCause::Refused, 2)]);
}

#[test]
fn a_plug_that_looked_like_a_silent_unit_at_first_is_a_plug() {
    let silent = bad(&[0, 1], 2, Reason::Timeout);
    let batches =
        [good(&[0, 1], 1), silent, bad(&[0, 1], 3, Reason::NotConnected), good(&[0, 1], 5)];
    check(&batches, &[loss("plc", &[], 1, 5, LossCause::Disconnected, 6)]);
}

#[test]
fn a_gap_that_changes_to_a_lesser_cause_is_two_records() {
    let lost = bad(&[0, 1], 2, Reason::NotConnected);
    let refused = [good(&[0], 4), bad(&[1], 4, Reason::Configuration)].concat();
    let batches = [good(&[0, 1], 1), lost, refused, good(&[0, 1], 6)];
    let expected = [
        loss("plc", &[], 1, 4, LossCause::Disconnected, 4),
        loss("plc", &[1], 4, 6, LossCause::Refused, 1),
    ];
    check(&batches, &expected);
}

#[test]
fn a_device_that_comes_and_goes_makes_one_record() {
    let mut batches = vec![good(&[0, 1], 1)];
    for second in [2, 4, 6] {
        batches.extend([bad(&[0, 1], second, Reason::DeviceBusy), good(&[0, 1], second + 1)]);
    }
    check(&batches, &[loss("plc", &[], 1, 7, LossCause::DeviceFailure, 6)]);
}

#[test]
fn what_never_comes_is_overdue_from_the_beginning_and_known_while_it_lasts() {
    let mut gaps = gaps();
    gaps.observe(at(11), &good(&[0, 1], 11));
    assert_eq!(gaps.tick(at(11)), []);
    let overdue = loss("server", &[], 0, 20, LossCause::Overdue, 19);
    assert_eq!(gaps.status(at(20)).open, std::slice::from_ref(&overdue));
    assert_eq!(gaps.changed(at(20)), Some(vec![overdue]));
    assert_eq!(gaps.changed(at(21)), None, "the disk knows it already");
    let stopped = gaps.finish(at(30));
    assert_eq!(stopped, [loss("server", &[], 0, 30, LossCause::Overdue, 29)]);
    assert_eq!(gaps.status(at(30)).recorded, [(LossCause::Overdue, 1)]);
}

#[test]
fn what_returns_message_by_message_is_one_record() {
    let lost = bad(&[0, 1], 2, Reason::NotConnected);
    let batches = [good(&[0, 1], 1), lost, good(&[0], 5), good(&[1], 6)];
    check(&batches, &[loss("plc", &[], 1, 6, LossCause::Disconnected, 7)]);
}

#[test]
fn a_source_time_that_comes_again_and_again_is_told() {
    let mut gaps = gaps();
    for now in 1..=4 {
        gaps.observe(at(now + 5), &good(&[2], 1));
        assert_eq!(gaps.status(at(now)).repeating.is_empty(), now < 4, "{now}");
    }
    gaps.observe(at(20), &good(&[2], 20));
    assert_eq!(gaps.status(at(20)).repeating, []);
}
