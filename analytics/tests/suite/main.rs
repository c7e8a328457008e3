//! The engine from outside, through its one door.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and may read the recordings it plays"
)]

mod laws;
mod pump;
mod recordings;
mod support;
