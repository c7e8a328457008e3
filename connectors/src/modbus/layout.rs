//! The plan of requests as it has turned out to work: addresses the device refuses are left out (and tried again now
//! and then), and requests it refuses as a whole are cut into smaller ones. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::{Block, Limits, Source, plan, search::Search};

/// After how long a refused address is tried again: somebody may have loaded another program into the PLC.
const RETRY: Duration = Duration::from_secs(60);

/// Requests that work, and values that do not.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) blocks: Vec<Block>,
    refused: Vec<Refused>,
}

#[derive(Debug)]
struct Refused {
    block: Block,
    tried_again_at: Instant,
}

impl Layout {
    /// The plan as it stands in the configuration.
    pub(super) fn new(source: &Source) -> Self {
        Self { blocks: plan(source.spans(), source.limits), refused: Vec::new() }
    }

    /// Remembers what a search has found. Values that were refused by themselves are left out, and the others are read
    /// without bridging holes, since one of those may have been a reason. If no value was refused, the request was too
    /// long or read over a hole: then its parts are what works.
    pub(super) fn settle(&mut self, mut search: Search, source: &Source, now: Instant) {
        search.pause();
        self.blocks.retain(|block| *block != search.block);
        if search.refused.is_empty() {
            self.blocks.append(&mut search.accepted);
        } else {
            let members = search.accepted.iter().flat_map(|block| &block.members);
            let spans = members.filter_map(|tag| Some((*tag, source.tags.get(*tag)?.span)));
            self.blocks.extend(plan(spans, Limits { max_gap: 0, ..source.limits }));
        }
        self.blocks.sort_by_key(|block| block.span);
        let tried_again_at = now + RETRY;
        self.refused
            .extend(search.refused.into_iter().map(|block| Refused { block, tried_again_at }));
    }

    /// Leaves out a whole request: the device does not know the function.
    pub(super) fn give_up(&mut self, block: &Block, now: Instant) {
        self.blocks.retain(|other| other != block);
        self.refused.push(Refused { block: block.clone(), tried_again_at: now + RETRY });
    }

    /// The values that are left out.
    pub(super) fn refused(&self) -> impl Iterator<Item = usize> {
        self.refused.iter().flat_map(|refused| refused.block.members.iter().copied())
    }

    /// Values whose time has come to be tried again; they are postponed by that. One request a poll, so that nobody is
    /// held up.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Block> {
        let due = self.refused.iter_mut().find(|refused| refused.tried_again_at <= now)?;
        due.tried_again_at = now + RETRY;
        Some(due.block.clone())
    }

    /// The device knows these values after all, so it has changed: everything is planned anew, except what is still
    /// refused.
    pub(super) fn reinstate(&mut self, block: &Block, source: &Source) {
        self.refused.retain(|refused| refused.block != *block);
        let refused: Vec<_> = self.refused().collect();
        let spans = source.spans().filter(|(tag, _)| !refused.contains(tag));
        self.blocks = plan(spans, source.limits);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bellwether_domain::TagId;
    use proptest::{
        collection::{btree_set, vec},
        prelude::*,
    };

    use super::*;
    use crate::modbus::{Encoding, SourceTag, Span, Table};

    fn source(values: &[(u16, u16)]) -> Source {
        let tag = |(address, count): (u16, u16)| SourceTag {
            id: TagId(0),
            span: Span { unit: 1, table: Table::Holding, address, count },
            encoding: Encoding::default(),
            sentinels: Box::default(),
            scale: 1.0,
            offset: 0.0,
        };
        Source {
            name: "plc-1".to_owned(),
            endpoint: "127.0.0.1:502".to_owned(),
            transport: crate::modbus::Transport::Tcp("127.0.0.1:502".to_owned()),
            pace: crate::modbus::Pace::default(),
            poll_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            limits: Limits::STANDARD,
            tags: values.iter().copied().map(tag).collect(),
            sample_counter: None,
        }
    }

    fn words(addresses: impl IntoIterator<Item = u16>) -> Source {
        source(&addresses.into_iter().map(|address| (address, 1)).collect::<Vec<_>>())
    }

    /// A device that refuses some addresses, and requests that are too long.
    struct Device {
        unknown: BTreeSet<u16>,
        longest: u16,
    }

    impl Device {
        fn knows(&self, span: Span) -> bool {
            let last = span.address + (span.count - 1);
            span.count <= self.longest && self.unknown.range(span.address..=last).next().is_none()
        }
    }

    /// One poll, as the session does it; which values were read, and with which requests.
    fn poll(
        layout: &mut Layout,
        source: &Source,
        device: &Device,
        now: Instant,
    ) -> (BTreeSet<usize>, Vec<(u16, u16)>) {
        let (mut read, mut asked, mut searches) = (BTreeSet::new(), Vec::new(), Vec::new());
        let mut ask = |block: &Block| {
            asked.push((block.span.address, block.span.count));
            let is_known = device.knows(block.span);
            read.extend(block.members.iter().copied().filter(|_| is_known));
            is_known
        };
        let mut budget = 16;
        for block in &layout.blocks {
            if ask(block) {
                continue;
            }
            let mut search = Search::new(block, source);
            while budget > 0
                && let Some(part) = search.next()
            {
                budget -= 1;
                if ask(&part) { search.accept(part) } else { search.refuse(part, source) }
            }
            searches.push(search);
        }
        searches.into_iter().for_each(|search| layout.settle(search, source, now));
        (read, asked)
    }

    fn asked(layout: &Layout) -> Vec<(u16, u16)> {
        layout.blocks.iter().map(|block| (block.span.address, block.span.count)).collect()
    }

    #[test]
    fn a_refused_address_is_found_and_left_out_and_its_neighbours_go_on() {
        let source = words(0..16);
        let device = Device { unknown: BTreeSet::from([5]), longest: 125 };
        let mut layout = Layout::new(&source);
        let (read, requests) = poll(&mut layout, &source, &device, Instant::now());
        assert_eq!(read.len(), 15);
        let search = [(0, 16), (0, 8), (0, 4), (4, 4), (4, 2), (4, 1), (5, 1), (6, 2), (8, 8)];
        assert_eq!(requests, search, "not one by one");
        assert_eq!(asked(&layout), [(0, 5), (6, 10)]);
        assert_eq!(layout.refused().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_hole_that_is_refused_is_not_read_again() {
        let source = words([0, 1, 2, 9, 10]);
        let device = Device { unknown: (3..9).collect(), longest: 125 };
        let mut layout = Layout::new(&source);
        assert_eq!(asked(&layout), [(0, 11)]);
        let (read, _) = poll(&mut layout, &source, &device, Instant::now());
        assert_eq!((read.len(), layout.refused().count()), (5, 0));
        assert_eq!(asked(&layout), [(0, 3), (9, 2)]);
    }

    #[test]
    fn a_request_that_is_too_long_shrinks_until_it_fits() {
        let source = words(0..100);
        let device = Device { unknown: BTreeSet::new(), longest: 32 };
        let mut layout = Layout::new(&source);
        let (read, _) = poll(&mut layout, &source, &device, Instant::now());
        assert_eq!((read.len(), layout.refused().count()), (100, 0));
        assert_eq!(asked(&layout), [(0, 25), (25, 25), (50, 25), (75, 25)]);
    }

    #[test]
    fn a_refused_address_is_tried_again_once_a_minute_and_comes_back() {
        let source = words([0, 1, 5]);
        let mut device = Device { unknown: BTreeSet::from([1]), longest: 125 };
        let mut layout = Layout::new(&source);
        let now = Instant::now();
        poll(&mut layout, &source, &device, now);
        assert_eq!(asked(&layout), [(0, 1), (5, 1)]);
        assert_eq!(layout.take_due(now), None);
        let due = layout.take_due(now + RETRY).expect("it is due");
        assert_eq!((due.span.address, due.members.as_slice()), (1, [1].as_slice()));
        assert_eq!(layout.take_due(now + RETRY), None);
        device.unknown.clear();
        layout.reinstate(&due, &source);
        assert_eq!(layout.refused().count(), 0);
        assert_eq!(asked(&layout), [(0, 6)]);
    }

    #[test]
    fn a_function_the_device_does_not_know_costs_one_request_a_minute() {
        let source = words(0..50);
        let mut layout = Layout::new(&source);
        let now = Instant::now();
        let block = layout.blocks[0].clone();
        layout.give_up(&block, now);
        assert_eq!((layout.blocks.len(), layout.refused().count()), (0, 50));
        assert_eq!(layout.take_due(now + RETRY), Some(block));
        assert_eq!(layout.take_due(now + RETRY), None);
    }

    fn values() -> impl Strategy<Value = Vec<(u16, u16)>> {
        vec((0..300_u16, 1..=4_u16), 1..60)
    }

    proptest! {
        #[test]
        fn whatever_a_device_refuses_all_else_is_read_in_the_end(
            values in values(), unknown in btree_set(0..304_u16, 0..12), longest in 4..=125_u16,
        ) {
            let source = source(&values);
            let device = Device { unknown, longest };
            let mut layout = Layout::new(&source);
            let now = Instant::now();
            // Each poll that is refused anything learns something, so this ends.
            for _ in 0..40 {
                poll(&mut layout, &source, &device, now);
            }
            let (read, requests) = poll(&mut layout, &source, &device, now);
            let known: BTreeSet<_> = source
                .spans()
                .filter_map(|(tag, span)| device.knows(span).then_some(tag))
                .collect();
            prop_assert_eq!(&read, &known);
            prop_assert_eq!(requests, asked(&layout), "nothing is refused any more");
            let refused: BTreeSet<_> = layout.refused().collect();
            prop_assert!(refused.is_disjoint(&known));
            prop_assert_eq!(refused.len() + known.len(), source.tags.len());
        }

        #[test]
        fn one_bad_address_is_found_with_few_requests(bad in 0..120_u16) {
            let source = words(0..120);
            let device = Device { unknown: BTreeSet::from([bad]), longest: 125 };
            let mut layout = Layout::new(&source);
            let (read, requests) = poll(&mut layout, &source, &device, Instant::now());
            prop_assert_eq!(read.len(), 119);
            prop_assert!(requests.len() <= 16, "{} requests", requests.len());
        }
    }
}
