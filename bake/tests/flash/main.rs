//! Flashing: which devices are written, what failing ones are found to be, and that a card holds
//! what was baked.
#![cfg(target_os = "linux")]

mod card;
mod faults;
mod refusals;
mod runs;
mod shelf;
mod world;
