//! The gateway as its users meet it: the real binary, real sockets on loopback, real databases.

mod bad_input;
mod closed_pipe;
mod recordings;
mod story;
mod support;
