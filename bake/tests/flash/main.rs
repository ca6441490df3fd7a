//! Flashing: which devices are written, what failing ones are found to be, and that a card holds
//! what was baked.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod card;
mod deltas;
mod faults;
mod refusals;
mod runs;
mod shelf;
mod taken;
mod world;
