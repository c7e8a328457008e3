//! AG, advisory generation (ISO 13374-2): alarms by ISA-18.2, sentences that say why, periodic summaries.

pub(crate) mod alarm;
pub(crate) mod explain;
pub(crate) mod summary;
