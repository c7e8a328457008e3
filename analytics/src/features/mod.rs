//! DM, data manipulation (ISO 13374-2): readings become trusted values, aligned frames and features.

pub(crate) mod frame;
pub(crate) mod operation;
pub(crate) mod statistics;
pub(crate) mod validate;
