//! Bursts of samples that a device keeps in files.

use std::cell::RefCell;

use bellwether_domain::Reason;

use crate::{
    bench::{Bench, outcome, registers},
    device::Reply,
};

const WAVEFORM: &str = "[[waveform]]\nname = \"burst\"\nasset = \"a/b/c\"\nfile = 4\nrecord = 100\n\
                        samples = 150\nsample_rate_hz = 1000\n";

#[tokio::test]
async fn a_burst_in_a_file_is_read_in_parts_beside_the_values() {
    let mut bench = Bench::new(&(registers(&[(1, 10)]) + WAVEFORM)).await;
    let parts = RefCell::new(Vec::new());
    let polls = bench
        .polls(3, |asked| match asked.part() {
            None => Reply::Bytes(asked.right()),
            Some((file, record, count)) => {
                parts.borrow_mut().push((file, record, count));
                Reply::Bytes(asked.file_records(record..record + count))
            }
        })
        .await;
    assert!(polls.iter().all(|poll| outcome(poll).0 == [10]));
    assert_eq!(*parts.borrow(), [(4, 100, 121), (4, 221, 29)], "once, and not before its time");
    assert_eq!(bench.bursts.len(), 1);
    let expected: Vec<f32> = (100..250_u8).map(f32::from).collect();
    assert_eq!(bench.bursts[0].samples, expected, "each record holds its number");
}

#[tokio::test]
async fn a_file_the_device_does_not_have_costs_the_values_nothing() {
    let mut bench = Bench::new(&(registers(&[(1, 10)]) + WAVEFORM)).await;
    let polls = bench
        .polls(4, |asked| match asked.part() {
            None => Reply::Bytes(asked.right()),
            Some(_) => asked.exception(2),
        })
        .await;
    let refused = vec![(0, Reason::Configuration)];
    assert_eq!(outcome(&polls[0]), (vec![], refused), "said once");
    assert!(polls[1..].iter().all(|poll| outcome(poll).0 == [10]), "{polls:?}");
    assert_eq!((bench.status.get().sessions, bench.bursts.len()), (1, 0));
}

#[tokio::test]
async fn an_answer_that_is_another_part_of_the_file_ends_the_session() {
    let mut bench = Bench::new(&(registers(&[(1, 10)]) + WAVEFORM)).await;
    let error = bench
        .session(|asked| match asked.part() {
            None => Reply::Bytes(asked.right()),
            Some((_, record, _)) => Reply::Bytes(asked.file_records(record..record + 1)),
        })
        .await;
    assert!(error.to_string().contains("bytes of file record instead of 242"), "{error}");
    assert_eq!(bench.bursts.len(), 0);
}
