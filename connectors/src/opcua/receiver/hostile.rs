//! Servers that send what they should not, at the level of items and values. Whatever comes: no panic, and no value under
//! another tag's name. Each value says which handle it belongs to.

use opcua::types::{DateTime, Variant};

use super::{
    tests::{item, now, receiver},
    *,
};

/// A value that says whose it is.
fn of(handle: u32) -> f64 {
    f64::from(handle) * 1_000.0
}

/// Sends these items in one message; checks that every number is its tag's own, and returns how many numbers came.
#[track_caller]
fn check(what: &str, items: Vec<MonitoredItemNotification>, expected: usize) {
    let (receiver, mut batches) = receiver(8);
    receiver.data(items);
    let mut numbers = 0;
    while let Ok(batch) = batches.try_recv() {
        let Batch::Readings(readings) = batch else { continue };
        for reading in readings {
            assert!(reading.value.is_finite(), "{what}: {reading:?}");
            assert!(reading.at.since(now()) <= receiver.skew_limit, "{what}: {reading:?}");
            assert!(now().since(reading.at) <= receiver.skew_limit, "{what}: {reading:?}");
            if matches!(reading.quality, Quality::Bad(_)) {
                continue;
            }
            let owner = receiver.tags.iter().position(|tag| tag.id == reading.tag);
            let own = of(handle(owner.expect("a tag of this source")));
            assert_eq!(reading.value.to_bits(), own.to_bits(), "{what}: {reading:?}");
            numbers += 1;
        }
    }
    assert_eq!(numbers, expected, "{what}");
}

fn timed(handle: u32, source: DateTime, server: DateTime) -> MonitoredItemNotification {
    let mut item = item(handle, of(handle), 0);
    item.value.source_timestamp = Some(source);
    item.value.server_timestamp = Some(server);
    item
}

#[test]
fn handles_nobody_gave_out_are_nobodys_values() {
    let sent = |handles: &[u32]| handles.iter().map(|at| item(*at, of(*at), 0)).collect();
    check("an unknown handle", sent(&[99]), 0);
    check("handle 0, which the library would choose", sent(&[0]), 0);
    check("the largest handle", sent(&[u32::MAX]), 0);
    check("the handle behind the last", sent(&[4]), 0);
    check("known ones between unknown ones", sent(&[77, 1, 0, 2, u32::MAX]), 2);
    check("one handle many times", sent(&[1; 500]), 500);
    check("the other way round", sent(&[2, 1]), 2);
    check("nothing", sent(&[]), 0);
}

#[test]
fn values_of_the_wrong_kind_are_bad_and_no_numbers() {
    let sent = |value: Variant| vec![item(1, value, 0), item(2, of(2), 0)];
    check("text", sent("7000".into()), 1);
    check("an array on a scalar", sent(vec![1_000.0; 100_000].into()), 1);
    check("an array of one", sent(vec![1_000.0].into()), 1);
    check("nothing", sent(Variant::Empty), 1);
    check("not a number", sent(f64::NAN.into()), 1);
    check("infinite", sent(f64::NEG_INFINITY.into()), 1);
    check("infinite, in 32 bits", sent(f32::INFINITY.into()), 1);
    check("a time", sent(DateTime::null().into()), 1);
    check("a status", sent(StatusCode::Good.into()), 1);
    check("a variant in a variant", sent(Variant::Variant(Box::new(Variant::Double(1.0)))), 1);
    check("the right kind", sent(of(1).into()), 2);
}

#[test]
fn status_codes_nobody_knows_are_never_good_by_chance() {
    for bits in [0x8000_0000, 0xc000_0000, 0xffff_ffff, 0x8fff_0480] {
        check(&format!("{bits:#x}"), vec![item(1, of(1), bits), item(2, of(2), 0)], 1);
    }
    for bits in [0x0000_ffff, 0x4000_0000, 0x7fff_0000] {
        check(&format!("{bits:#x}"), vec![item(1, of(1), bits), item(2, of(2), 0)], 2);
    }
}

#[test]
fn times_from_1601_to_the_end_of_time_are_not_believed() {
    let ages = [0, 1, i64::MAX, i64::MIN, -1, 116_444_736_000_000_000];
    for source in ages {
        for server in ages {
            let (source, server) = (DateTime::from(source), DateTime::from(server));
            check(&format!("{source:?}, {server:?}"), vec![timed(1, source, server)], 1);
        }
    }
}
