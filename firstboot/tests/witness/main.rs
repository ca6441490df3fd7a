//! The witness as others meet it: a real process, over real TLS, killed and starved.

#![allow(clippy::print_stderr)] // figures for the log

mod hostile;
mod introduce;
mod node;
mod private;
mod trust;
mod vote;
