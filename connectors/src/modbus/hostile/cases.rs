//! The list of hostile devices: five good seconds, a minute of the fault, and another minute to recover.

use std::time::Duration;

use bellwether_domain::Reading;

use super::{
    PERIOD, TIMEOUT, assert_true,
    device::{Asked, Device, Door, Kind, Step},
    resident_bytes, run_for, source,
};

const FROM: Duration = Duration::from_secs(5);
const UNTIL: Duration = Duration::from_secs(65);
const END: Duration = Duration::from_secs(130);

/// Tags: those of unit 1 stand for the healthy, that of unit 2 for the one the fault is about.
const TAGS: [(u8, u16); 4] = [(1, 10), (1, 12), (1, 300), (2, 20)];
const FAULTY: usize = 3;

/// What the fault does to the values of the faulty unit.
#[derive(Clone, Copy, PartialEq)]
enum Effect {
    /// None while it lasts.
    Bad,
    /// Right ones all the same, or none.
    Any,
}
use Effect::{Any, Bad};

fn millis(reading: &Reading) -> i64 {
    reading.at.as_micros() / 1_000
}

/// Runs one case on one transport.
async fn check_on(
    kind: Kind,
    what: &str,
    effect: Effect,
    fault: impl Fn(&Asked) -> Vec<Step>,
    switch: impl AsyncFn(&Door),
) {
    let what = format!("{what} ({kind:?})");
    let door = Door::new(kind);
    let source = source(&door, &TAGS);
    let mut device = Device::new(&door, |asked: &Asked| {
        let is_faulty = (FROM..UNTIL).contains(&asked.since_start);
        if is_faulty { fault(asked) } else { asked.right() }
    });
    let before = resident_bytes();
    let (readings, status) = tokio::join!(run_for(&source, &mut device, END), switch(&door)).0;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown <= 8 << 20, "{what}: grown by {grown} bytes");
    assert_true(&what, &readings, &source, &device);
    let ms = |time: Duration| i64::try_from(time.as_millis()).expect("a short time");
    let of_unit: Vec<_> = readings.iter().filter(|it| it.tag.index() == FAULTY).collect();
    let good = |from: Duration, to: Duration| {
        let mut good = of_unit.iter().filter(|it| it.quality.is_good());
        good.any(|it| (ms(from)..ms(to)).contains(&millis(it)))
    };
    assert!(good(Duration::ZERO, FROM), "{what}: it begins well");
    if effect == Bad {
        let limit = FROM + 2 * PERIOD + TIMEOUT;
        let is_told = of_unit
            .iter()
            .any(|it| !it.quality.is_good() && (ms(FROM)..=ms(limit)).contains(&millis(it)));
        assert!(is_told, "{what}: not bad within two periods and a timeout: {status:?}");
        assert!(!good(FROM + PERIOD, UNTIL), "{what}: good in the middle of the fault");
    }
    assert!(good(UNTIL, UNTIL + Duration::from_secs(60)), "{what}: recovers: {status:?}");
    let last = readings.iter().rev().take(TAGS.len());
    assert!(last.into_iter().all(|it| it.quality.is_good()), "{what}: all well in the end");
}

async fn check(kinds: &[Kind], what: &str, effect: Effect, fault: impl Fn(&Asked) -> Vec<Step>) {
    for kind in kinds {
        check_on(*kind, what, effect, &fault, async |_| {}).await;
    }
}

/// Only unit 2 misbehaves.
fn unit_2(fault: impl Fn(&Asked) -> Vec<Step>) -> impl Fn(&Asked) -> Vec<Step> {
    move |asked| if asked.unit == 2 { fault(asked) } else { asked.right() }
}

fn send(bytes: Vec<u8>) -> Vec<Step> {
    vec![Step::Send(bytes)]
}

const ALL: [Kind; 3] = [Kind::Tcp, Kind::RtuOverTcp, Kind::Serial];
const SOCKETS: [Kind; 2] = [Kind::Tcp, Kind::RtuOverTcp];
const TCP: [Kind; 1] = [Kind::Tcp];
const RTU: [Kind; 2] = [Kind::RtuOverTcp, Kind::Serial];

#[tokio::test(start_paused = true)]
async fn silence_and_broken_connections() {
    check(&ALL, "1 and 4: accepts and is silent", Bad, |_| vec![]).await;
    check(&ALL, "one unit is silent", Bad, unit_2(|_| vec![])).await;
    check(&SOCKETS, "2 and 21: closes at each request", Bad, |_| vec![Step::Close]).await;
    check(&SOCKETS, "21: restarts in the middle of a poll", Any, |asked| {
        if asked.address == 300 { vec![Step::Close] } else { asked.right() }
    })
    .await;
    for kind in SOCKETS {
        check_on(
            kind,
            "3: the network swallows it",
            Bad,
            |_| vec![Step::Close],
            async |door| {
                tokio::time::sleep(FROM).await;
                door.swallow(true);
                tokio::time::sleep(UNTIL - FROM).await;
                door.swallow(false);
            },
        )
        .await;
        check_on(
            kind,
            "23: refuses",
            Bad,
            |_| vec![Step::Close],
            async |door| {
                tokio::time::sleep(FROM).await;
                door.refuse(true);
                tokio::time::sleep(UNTIL - FROM).await;
                door.refuse(false);
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_at_the_wrong_time() {
    for late_ms in [50, 300, 700, 1_600, 9_000] {
        let late = |asked: &Asked| {
            let wait = TIMEOUT + Duration::from_millis(late_ms);
            vec![Step::Wait(wait), Step::Send(asked.answer())]
        };
        check(&ALL, "5: late, everybody", Bad, late).await;
        check(&ALL, "5: late, one unit", Bad, unit_2(late)).await;
    }
    let twice = |asked: &Asked| send([asked.answer(), asked.answer()].concat());
    check(&ALL, "6: everything twice", Any, twice).await;
    let later = |asked: &Asked| {
        let again = Step::Send(asked.answer());
        vec![again.clone(), Step::Wait(Duration::from_millis(100)), again]
    };
    check(&ALL, "6: again a while later", Any, later).await;
    let dripping = |asked: &Asked| {
        let wait = Step::Wait(Duration::from_secs(1));
        let bytes = asked.answer().into_iter();
        bytes.flat_map(|byte| [wait.clone(), Step::Send(vec![byte])]).collect()
    };
    check(&SOCKETS, "14: one byte a second", Bad, dripping).await;
    check(&ALL, "15: cut anywhere", Any, |asked| {
        let answer = asked.answer();
        let (head, tail) =
            answer.split_at(1 + usize::from(asked.transaction()) % (answer.len() - 1));
        let pause = Step::Wait(Duration::from_millis(2));
        vec![Step::Send(head.to_vec()), pause, Step::Send(tail.to_vec())]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn answers_to_something_else() {
    check(&TCP, "7: another transaction", Bad, |asked| {
        send(asked.frame_of(asked.transaction() ^ 1, 0, asked.unit, &asked.pdu(asked.count)))
    })
    .await;
    check(&TCP, "13: another protocol", Bad, |asked| {
        send(asked.frame_of(asked.transaction(), 7, asked.unit, &asked.pdu(asked.count)))
    })
    .await;
    let other_unit = |asked: &Asked| send(asked.frame(asked.unit ^ 8, &asked.pdu(asked.count)));
    check(&ALL, "8: another unit", Bad, unit_2(other_unit)).await;
    check(&ALL, "9: another function", Bad, |asked| {
        let mut pdu = asked.pdu(asked.count);
        pdu[0] = 4;
        send(asked.frame(asked.unit, &pdu))
    })
    .await;
    check(&ALL, "11: a register too few", Bad, |asked| {
        send(asked.frame(asked.unit, &asked.pdu(asked.count - 1)))
    })
    .await;
    check(&ALL, "11: a register too many", Bad, |asked| {
        send(asked.frame(asked.unit, &asked.pdu(asked.count + 1)))
    })
    .await;
    for claimed in [0, 3, 5, 250, 255] {
        check(&ALL, "11: a byte count that lies", Bad, |asked| {
            let mut pdu = asked.pdu(asked.count);
            pdu[1] = claimed;
            send(asked.frame(asked.unit, &pdu))
        })
        .await;
    }
    for length in [0_u16, 1, 253, 65_535] {
        check(&TCP, "12: a length that lies", Bad, |asked| {
            let mut frame = asked.answer();
            frame[4..6].copy_from_slice(&length.to_be_bytes());
            send(frame)
        })
        .await;
    }
    for code in 1..=11 {
        check(&ALL, "10: exceptions", Any, |asked| {
            send(asked.frame(asked.unit, &[asked.function | 0x80, code]))
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn noise() {
    let garbage: Vec<u8> =
        (0..100_000_u32).map(|it| it.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    check(&ALL, "16: garbage", Bad, |_| send(garbage.clone())).await;
    // Between two polls, and made to look like the answer to the first request of the next.
    check(
        &ALL,
        "17: what nobody asked for",
        Any,
        unit_2(|asked| {
            let next = asked.transaction().wrapping_add(1);
            let unasked = asked.frame_of(next, 0, 1, &asked.pdu(4));
            vec![
                Step::Send(asked.answer()),
                Step::Wait(Duration::from_millis(400)),
                Step::Send(unasked),
            ]
        }),
    )
    .await;
    check(&RTU, "24: wrong checksums", Bad, |asked| {
        let mut answer = asked.answer();
        *answer.last_mut().expect("a frame") ^= 0x40;
        send(answer)
    })
    .await;
    check(&RTU, "24: noise before the answer", Any, |asked| {
        send([&[0xff, 0x00, 0x41], &asked.answer()[..]].concat())
    })
    .await;
    check(&RTU, "24: its own echo", Any, |asked| {
        send([asked.raw.clone(), asked.answer()].concat())
    })
    .await;
    check(&RTU, "24: a gap within a frame", Any, |asked| {
        let answer = asked.answer();
        let (head, tail) = answer.split_at(4);
        let pause = Step::Wait(Duration::from_millis(30));
        vec![Step::Send(head.to_vec()), pause, Step::Send(tail.to_vec())]
    })
    .await;
}
