//! The gateway as its users meet it: the real binary, real sockets on loopback, real databases.

mod apply;
mod bad_input;
mod browse;
mod closed_pipe;
mod recordings;
mod security;
mod story;
mod support;
