//! SD, state detection (ISO 13374-2): how unlike the learnt state is a tag (record novelty) and an asset (T²).

pub(crate) mod baseline;
pub(crate) mod cholesky;
pub(crate) mod commissioning;
pub(crate) mod drivers;
pub(crate) mod expectation;
pub(crate) mod mewma;
pub(crate) mod record_novelty;
pub(crate) mod regression;
