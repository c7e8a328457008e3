//! The plan of requests as it has turned out to work: addresses the device refuses are left out (and tried again now
//! and then), and requests it refuses as a whole are cut into smaller ones. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::{Block, Limits, Source, Span, plan};

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
    tag: usize,
    tried_again_at: Instant,
}

impl Layout {
    /// The plan as it stands in the configuration.
    pub(super) fn new(source: &Source) -> Self {
        Self { blocks: plan(source.spans(), source.limits), refused: Vec::new() }
    }

    /// The device has refused a block as a whole, and its values were asked for one by one: those in `refused` are left
    /// out. The others are read without bridging gaps and with at most half as many addresses a request, because one of
    /// those may have been the reason; if that is refused too, it comes here again until single values are left.
    pub(super) fn split(
        &mut self,
        block: &Block,
        refused: &[usize],
        source: &Source,
        now: Instant,
    ) {
        self.blocks.retain(|other| other != block);
        let accepted = block.members.iter().filter(|tag| !refused.contains(tag));
        let half = (block.span.count / 2).max(1);
        let limits = Limits { max_gap: 0, max_registers: half, max_bits: half };
        let spans = accepted.filter_map(|tag| Some((*tag, source.tags.get(*tag)?.span)));
        self.blocks.extend(plan(spans, limits));
        self.blocks.sort_by_key(|block| block.span);
        let tried_again_at = now + RETRY;
        self.refused.extend(refused.iter().map(|tag| Refused { tag: *tag, tried_again_at }));
    }

    /// The values that are left out.
    pub(super) fn refused(&self) -> impl Iterator<Item = usize> {
        self.refused.iter().map(|refused| refused.tag)
    }

    /// A value whose time has come to be tried again; it is postponed by that. One a poll, so that nobody is held up.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<usize> {
        let due = self.refused.iter_mut().find(|refused| refused.tried_again_at <= now)?;
        due.tried_again_at = now + RETRY;
        Some(due.tag)
    }

    /// The device knows the address after all.
    pub(super) fn reinstate(&mut self, tag: usize, span: Span) {
        self.refused.retain(|refused| refused.tag != tag);
        self.blocks.push(Block { span, members: vec![tag] });
        self.blocks.sort_by_key(|block| block.span);
    }
}

#[cfg(test)]
mod tests {
    use bellwether_domain::TagId;

    use super::*;
    use crate::modbus::{Encoding, SourceTag, Table};

    fn source(addresses: &[u16]) -> Source {
        let tag = |address| SourceTag {
            id: TagId(0),
            span: Span { unit: 1, table: Table::Holding, address, count: 1 },
            encoding: Encoding::default(),
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
            tags: addresses.iter().copied().map(tag).collect(),
            sample_counter: None,
        }
    }

    fn asked(layout: &Layout) -> Vec<(u16, u16)> {
        layout.blocks.iter().map(|block| (block.span.address, block.span.count)).collect()
    }

    #[test]
    fn a_refused_address_is_left_out_and_its_neighbours_are_read_without_gaps() {
        let source = source(&[0, 1, 2, 3, 4, 9]);
        let mut layout = Layout::new(&source);
        assert_eq!(asked(&layout), [(0, 10)]);
        let now = Instant::now();
        let block = layout.blocks[0].clone();
        layout.split(&block, &[2], &source, now);
        assert_eq!(asked(&layout), [(0, 2), (3, 2), (9, 1)]);
        assert_eq!(layout.refused().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_request_that_is_too_long_shrinks_until_it_fits() {
        let source = source(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let mut layout = Layout::new(&source);
        let now = Instant::now();
        for expected in [vec![(0, 4), (4, 4)], vec![(0, 2), (2, 2), (4, 4)]] {
            let block = layout.blocks[0].clone();
            layout.split(&block, &[], &source, now);
            assert_eq!(asked(&layout), expected);
        }
        assert_eq!(layout.refused().count(), 0);
    }

    #[test]
    fn a_refused_address_is_tried_again_once_a_minute_and_comes_back() {
        let source = source(&[0, 5]);
        let mut layout = Layout::new(&source);
        let now = Instant::now();
        let block = layout.blocks[0].clone();
        layout.split(&block, &[1], &source, now);
        assert_eq!(layout.take_due(now), None);
        assert_eq!(layout.take_due(now + RETRY), Some(1));
        assert_eq!(layout.take_due(now + RETRY), None);
        layout.reinstate(1, source.tags[1].span);
        assert_eq!(layout.refused().count(), 0);
        assert_eq!(asked(&layout), [(0, 1), (5, 1)]);
    }
}
