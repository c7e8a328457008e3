//! Modbus sessions against a device that misbehaves on purpose.

mod bench;
mod device;

use std::{cell::RefCell, time::Duration};

use bellwether_connectors::{
    Now, SessionError, Sink, StatusCell,
    modbus::{self, Quarantine, Source},
    opcua,
};
use bellwether_domain::{ConnectorState, Reason};
use bench::{Bench, TIMEOUT, assert_true_values, outcome, registers};
use device::{Asked, Reply, frame};

fn right(asked: &Asked) -> Reply {
    Reply::Bytes(asked.right())
}

/// Answers the first request with this, all others rightly.
fn first(reply: impl Fn(&Asked) -> Reply) -> impl FnMut(&Asked) -> Reply {
    let mut is_first = true;
    move |asked| if std::mem::take(&mut is_first) { reply(asked) } else { right(asked) }
}

#[tokio::test]
async fn one_poll_is_one_batch_with_one_reading_a_tag_and_one_time() {
    let mut bench = Bench::new(&registers(&[(1, 3), (1, 4), (2, 9), (1, 700)])).await;
    let polls = bench.polls(3, right).await;
    assert_true_values(&polls);
    for poll in &polls {
        assert_eq!(outcome(poll).0, [3, 4, 9, 700]);
        assert!(poll.iter().all(|reading| reading.at == poll[0].at), "{poll:?}");
    }
    assert!(polls[0][0].at < polls[1][0].at && polls[1][0].at < polls[2][0].at);
    let status = bench.status.get();
    assert_eq!(status.state, ConnectorState::Connected);
    assert_eq!((status.sessions, status.timeouts, status.refusals), (1, 0, 0));
    assert_eq!(status.requests % 3, 0, "two tags of unit 1 share a request");
    assert!(status.readings >= 12 && status.bytes_received >= 99);
    assert!(status.round_trip_p50.is_some() && status.round_trip_p50 <= status.round_trip_p99);
}

#[tokio::test]
async fn coils_and_discrete_inputs_are_numbers_0_and_1() {
    let tag = |kind: &str, address: u16| {
        format!(
            "[[tag]]\nname = \"{kind}{address}\"\nasset = \"a/b/c\"\n\
             register = {{ kind = \"{kind}\", address = {address} }}\n"
        )
    };
    let tags = [tag("coil", 6), tag("coil", 7), tag("coil", 16), tag("discrete", 9)].concat();
    let mut bench = Bench::new(&tags).await;
    let polls = bench.polls(1, right).await;
    let values: Vec<_> = polls[0].iter().map(|reading| (reading.tag.0, reading.value)).collect();
    assert_eq!(values, [(6, 0.0), (7, 1.0), (16, 0.0), (9, 1.0)]);
}

#[tokio::test]
async fn an_answer_just_after_the_timeout_is_never_taken_for_the_next_one() {
    let mut bench = Bench::new(&registers(&[(1, 10), (1, 500), (1, 900)])).await;
    let mut asked_so_far = 0;
    let errors = bench
        .sessions(6, |asked| {
            asked_so_far += 1;
            if asked_so_far % 4 == 0 {
                Reply::Late(TIMEOUT + Duration::from_millis(50), asked.right())
            } else {
                right(asked)
            }
        })
        .await;
    assert!(errors.iter().all(|error| matches!(error, SessionError::Timeout { .. })), "{errors:?}");
    let polls = bench.delivered();
    assert_true_values(&polls);
    assert!(polls.iter().any(|poll| outcome(poll).0.len() == 3), "some polls succeed in between");
    assert_eq!(bench.status.get().timeouts, 6);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_ends_the_session() {
    type Wrong = (&'static str, fn(&Asked) -> Vec<u8>);
    let wrong: [Wrong; 7] = [
        ("too short", |asked| asked.registers(1..=1)),
        ("too long", |asked| asked.registers(1..=3)),
        ("empty", |asked| asked.registers(0..0)),
        ("another unit", |asked| frame(asked.transaction, 255, &[3, 4, 0, 1, 0, 2])),
        ("another transaction", |asked| {
            frame(asked.transaction ^ 1, asked.unit, &[3, 4, 0, 1, 0, 2])
        }),
        ("another function", |asked| asked.frame(&[4, 4, 0, 1, 0, 2])),
        ("an exception to another function", |asked| asked.frame(&[0x84, 2])),
    ];
    for (what, answer) in wrong {
        let mut bench = Bench::new(&registers(&[(1, 10), (1, 11)])).await;
        let error = bench.session(|asked| Reply::Bytes(answer(asked))).await;
        assert!(matches!(error, SessionError::OutOfStep { unit: 1, .. }), "{what}: {error:?}");
        let polls = bench.delivered();
        assert_eq!(polls.len(), 1, "{what}: what has been read is worth nothing");
        let lost = vec![(10, Reason::NotConnected), (11, Reason::NotConnected)];
        assert_eq!(outcome(&polls[0]), (vec![], lost), "{what}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_modbus_end_the_session() {
    let garbage: [&[u8]; 3] =
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0, 0, 0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 3, 1, 3, 4]];
    for bytes in garbage {
        let mut bench = Bench::new(&registers(&[(1, 10)])).await;
        let error = bench.session(|_| Reply::Bytes(bytes.to_vec())).await;
        let is_ended = matches!(
            error,
            SessionError::Broken { .. }
                | SessionError::OutOfStep { .. }
                | SessionError::Timeout { .. }
        );
        assert!(is_ended, "{bytes:?}: {error:?}");
        assert_eq!(outcome(&bench.delivered().concat()).0, [0; 0], "{bytes:?}");
    }
}

#[tokio::test]
async fn a_frame_may_be_cut_anywhere() {
    let mut bench = Bench::new(&registers(&[(1, 10), (1, 12)])).await;
    let mut cut = 0;
    let polls = bench
        .polls(14, |asked| {
            let bytes = asked.right();
            cut = cut % (bytes.len() - 1) + 1;
            let (head, tail) = bytes.split_at(cut);
            Reply::Pieces(vec![head.to_vec(), tail.to_vec()])
        })
        .await;
    assert_true_values(&polls);
    assert!(polls.iter().all(|poll| outcome(poll).0 == [10, 12]));
    assert_eq!(bench.status.get().sessions, 1);
}

#[tokio::test]
async fn a_repeated_answer_is_never_taken_for_the_next_one() {
    let mut bench = Bench::new(&registers(&[(1, 10), (1, 500)])).await;
    let polls = bench.polls(8, |asked| Reply::Bytes([asked.right(), asked.right()].concat())).await;
    assert_true_values(&polls);
}

#[tokio::test]
async fn exceptions_say_why_a_value_is_bad_and_the_session_goes_on() {
    for code in 1..=11_u8 {
        let reason = match code {
            1..=3 => Reason::Configuration,
            5 | 6 => Reason::DeviceBusy,
            10 | 11 => Reason::Timeout,
            _ => Reason::DeviceFailure,
        };
        let mut bench = Bench::new(&registers(&[(1, 10)])).await;
        let polls = bench.polls(3, |asked| asked.exception(code)).await;
        for poll in &polls {
            assert_eq!(outcome(poll), (vec![], vec![(10, reason)]), "code {code}");
        }
        assert_eq!(bench.status.get().sessions, 1, "code {code}");
        assert!(bench.status.get().refusals > 0, "code {code}");
    }
}

#[tokio::test]
async fn a_busy_device_is_asked_again_with_the_next_poll() {
    let mut bench = Bench::new(&registers(&[(1, 10)])).await;
    let polls = bench.polls(2, first(|asked| asked.exception(6))).await;
    assert_eq!(outcome(&polls[0]).1, [(10, Reason::DeviceBusy)]);
    assert_eq!(outcome(&polls[1]).0, [10]);
}

#[tokio::test]
async fn one_bad_address_does_not_take_its_neighbours_along() {
    let asked_for = RefCell::new(Vec::new());
    let mut bench = Bench::new(&registers(&[(1, 0), (1, 1), (1, 2), (1, 3)])).await;
    let polls = bench
        .polls(3, |asked| {
            asked_for.borrow_mut().push((asked.address, asked.count));
            if asked.covers(2) { asked.exception(2) } else { right(asked) }
        })
        .await;
    assert_true_values(&polls);
    for poll in &polls {
        assert_eq!(outcome(poll), (vec![0, 1, 3], vec![(2, Reason::Configuration)]));
    }
    let expected = [(0, 4), (0, 2), (2, 2), (2, 1), (3, 1), (0, 2), (3, 1), (0, 2), (3, 1)];
    assert_eq!(asked_for.borrow()[..9], expected, "the bad address is asked for once");
}

#[tokio::test]
async fn a_hole_that_must_not_be_read_is_not_read_again() {
    let asked_for = RefCell::new(Vec::new());
    let mut bench = Bench::new(&registers(&[(1, 0), (1, 5)])).await;
    let polls = bench
        .polls(3, |asked| {
            asked_for.borrow_mut().push((asked.address, asked.count));
            if asked.covers(3) { asked.exception(2) } else { right(asked) }
        })
        .await;
    assert!(polls.iter().all(|poll| outcome(poll).0 == [0, 5]));
    assert_eq!(asked_for.borrow()[..5], [(0, 6), (0, 1), (5, 1), (0, 1), (5, 1)]);
}

#[tokio::test]
async fn requests_shrink_to_what_the_device_allows() {
    let tags: Vec<_> = (0..16).map(|address| (1, address)).collect();
    let mut bench = Bench::new(&registers(&tags)).await;
    let longest = RefCell::new(Vec::new());
    let polls = bench
        .polls(6, |asked| {
            longest.borrow_mut().push(asked.count);
            if asked.count > 5 { asked.exception(3) } else { right(asked) }
        })
        .await;
    assert_true_values(&polls);
    assert!(polls.iter().all(|poll| outcome(poll).0.len() == 16));
    assert_eq!(longest.borrow().last(), Some(&4), "four at a time in the end");
}

#[tokio::test]
async fn a_silent_unit_costs_its_healthy_neighbours_nothing_once_it_is_known() {
    let mut bench = Bench::new(&registers(&[(1, 10), (2, 20), (3, 30)])).await;
    let asked_for = RefCell::new(Vec::new());
    let polls = bench
        .polls(20, |asked| {
            asked_for.borrow_mut().push(asked.unit);
            if asked.unit == 2 { Reply::Silence } else { right(asked) }
        })
        .await;
    assert_true_values(&polls);
    // The first timeout comes before unit 3 has had its turn; from then on the suspect is asked last.
    assert_eq!(outcome(&polls[0]), (vec![10], vec![(20, Reason::Timeout)]));
    for poll in &polls[1..] {
        assert_eq!(outcome(poll), (vec![10, 30], vec![(20, Reason::Timeout)]));
    }
    let silent_asked = asked_for.borrow().iter().filter(|unit| **unit == 2).count();
    assert_eq!(silent_asked, 2, "two timeouts are enough");
    let status = bench.status.get();
    assert_eq!((status.sessions, status.timeouts), (3, 2));
    assert_eq!(status.state, ConnectorState::Degraded);
    assert_eq!(status.silent, ["unit 2"]);
}

#[tokio::test]
async fn a_unit_that_answers_under_another_id_is_quarantined_like_a_silent_one() {
    let mut bench = Bench::new(&registers(&[(1, 10), (4, 40)])).await;
    let polls = bench
        .polls(10, |asked| match asked.unit {
            4 => Reply::Bytes(frame(asked.transaction, 255, &[3, 2, 0, 40])),
            _ => right(asked),
        })
        .await;
    assert!(polls.iter().all(|poll| outcome(poll) == (vec![10], vec![(40, Reason::Timeout)])));
    assert_eq!(bench.status.get().silent, ["unit 4"]);
    assert_eq!(bench.status.get().sessions, 3);
}

#[tokio::test]
async fn a_unit_its_gateway_cannot_reach_is_asked_rarely_and_the_session_goes_on() {
    let mut bench = Bench::new(&registers(&[(1, 10), (2, 20), (2, 900)])).await;
    let unreachable = RefCell::new(0);
    let polls = bench
        .polls(10, |asked| match asked.unit {
            2 => {
                *unreachable.borrow_mut() += 1;
                asked.exception(0x0b)
            }
            _ => right(asked),
        })
        .await;
    let bad = vec![(20, Reason::Timeout), (900, Reason::Timeout)];
    assert!(polls.iter().all(|poll| outcome(poll) == (vec![10], bad.clone())));
    assert_eq!(*unreachable.borrow(), 2, "one request a poll, then quarantine");
    assert_eq!((bench.status.get().sessions, bench.status.get().silent.len()), (1, 1));
}

#[tokio::test]
async fn a_unit_that_answers_again_after_one_timeout_is_forgiven() {
    let mut bench = Bench::new(&registers(&[(1, 10), (2, 20)])).await;
    let mut is_first = true;
    let polls = bench
        .polls(4, |asked| {
            if asked.unit == 2 && std::mem::take(&mut is_first) {
                Reply::Silence
            } else {
                right(asked)
            }
        })
        .await;
    assert_eq!(outcome(&polls[0]), (vec![10], vec![(20, Reason::Timeout)]));
    assert!(polls[1..].iter().all(|poll| outcome(poll).0 == [10, 20]));
    assert!(bench.status.get().silent.is_empty());
}

#[tokio::test]
async fn a_device_whose_units_are_all_silent_is_a_silent_device() {
    let mut bench = Bench::new(&registers(&[(1, 10), (2, 20)])).await;
    let errors = bench.sessions(4, |_| Reply::Silence).await;
    let at_once: Vec<_> = errors.iter().map(SessionError::reconnects_at_once).collect();
    assert_eq!(at_once, [true, true, true, false], "{errors:?}");
    assert!(matches!(errors[3], SessionError::Timeout { .. }));
    let last = bench.delivered().pop().expect("the end was told");
    assert_eq!(outcome(&last).1, [(10, Reason::Timeout), (20, Reason::Timeout)]);
    assert!(bench.status.get().silent.is_empty(), "everybody gets a new chance");
}

#[tokio::test]
async fn a_broken_connection_makes_all_tags_bad_once() {
    for reply in [Reply::Close, Reply::Reset] {
        let mut bench = Bench::new(&registers(&[(1, 10), (2, 20)])).await;
        let error = bench.session(|_| reply.clone()).await;
        assert!(matches!(error, SessionError::Broken { .. }), "{reply:?}: {error:?}");
        let lost = vec![(10, Reason::NotConnected), (20, Reason::NotConnected)];
        let polls = bench.delivered();
        assert_eq!(polls.len(), 1, "{reply:?}");
        assert_eq!(outcome(&polls[0]), (vec![], lost), "{reply:?}");
    }
}

#[tokio::test]
async fn a_device_that_is_not_there_says_so() {
    let mut bench = Bench::new(&registers(&[(1, 10)])).await;
    bench.unplug();
    let error = bench.session(right).await;
    assert!(matches!(error, SessionError::Connect { .. }), "{error:?}");
    assert!(error.in_words().starts_with("cannot connect to 127.0.0.1:"), "{error}");
    assert_eq!(outcome(&bench.delivered().concat()).1, [(10, Reason::NotConnected)]);
}

#[tokio::test]
async fn a_sample_that_has_been_seen_is_not_delivered_again() {
    let mut bench = Bench::with("sample_counter = \"t1.0\"", &registers(&[(1, 0), (1, 1)])).await;
    let mut asked_so_far = 0_u16;
    let polls = bench
        .polls(5, |asked| {
            asked_so_far += 1;
            Reply::Bytes(asked.registers([asked_so_far / 3, 7].into_iter()))
        })
        .await;
    let counted: Vec<_> = polls.iter().map(|poll| poll[0].value).collect();
    assert_eq!(counted, [0.0, 1.0, 2.0, 3.0, 4.0]);
}

#[tokio::test]
async fn a_full_queue_never_blocks_polling() {
    let mut bench = Bench::new(&registers(&[(1, 10)])).await;
    bench.bound(1);
    bench.unattended(right, |status| status.get().requests >= 20).await;
    let status = bench.status.get();
    assert_eq!(status.readings, 1);
    assert!(status.dropped >= 18, "{status:?}");
}

#[test]
fn sessions_can_be_moved_to_another_thread() {
    fn assert_send<T: Send>(_: impl FnOnce(&'static Together) -> T) {}
    struct Together(Source, Sink, StatusCell, Now, opcua::Source, opcua::Pki);
    assert_send(|it| async {
        modbus::run(&it.0, &mut Quarantine::default(), &it.1, &it.2, &it.3).await
    });
    assert_send(|it| opcua::run(&it.4, &it.5, &it.1, &it.2, &it.3));
}
