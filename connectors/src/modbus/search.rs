//! The search for what a device refuses. It says "illegal data address" (02) or "illegal data value" (03) to a whole
//! request, which may be about one address in it, about a hole between two values, or about its length. So the request
//! is cut and its parts are asked for, until what is refused is a single value. Pure: who asks is the caller.

use super::{Block, Source, Span, plan::cut};

/// A search in one refused request.
#[derive(Debug)]
pub(super) struct Search {
    /// The request that was refused.
    pub(super) block: Block,
    /// Parts that the device answers, or that nobody has asked for yet.
    pub(super) accepted: Vec<Block>,
    /// Values it refuses one by one.
    pub(super) refused: Vec<Block>,
    /// Parts to be asked for, the next one last.
    open: Vec<Block>,
}

impl Search {
    /// The device has refused this request.
    pub(super) fn new(block: &Block, source: &Source) -> Self {
        let mut search = Self {
            block: block.clone(),
            accepted: Vec::new(),
            refused: Vec::new(),
            open: Vec::new(),
        };
        search.refuse(block.clone(), source);
        search
    }

    /// What to ask for next; nothing if the search is over.
    pub(super) fn next(&mut self) -> Option<Block> {
        self.open.pop()
    }

    /// The device has answered this part, or has said something else about it.
    pub(super) fn accept(&mut self, part: Block) {
        self.accepted.push(part);
    }

    /// The device has refused this part too.
    pub(super) fn refuse(&mut self, part: Block, source: &Source) {
        let span = |tag: &usize| Some((*tag, source.tags.get(*tag)?.span));
        let values: Vec<(usize, Span)> = part.members.iter().filter_map(span).collect();
        let parts = cut(&values);
        if parts.is_empty() {
            self.refused.push(part);
        } else {
            self.open.extend(parts.into_iter().rev());
        }
    }

    /// Leaves the rest for another time.
    pub(super) fn pause(&mut self) {
        self.accepted.append(&mut self.open);
    }
}
