//! Who founds the cluster, who joins it and when. The rules alone: no I/O, no clock, no randomness,
//! so that a model checker drives the very functions that the device runs.
//!
//! `docs/bootstrap.md` explains them and what they promise; ADR 0080 says why they are as they are.
//!
//! - [`Card`] is one flash of one server's card, [`Seen`] what a server has heard of others' cards.
//! - [`State`] is what a witness keeps durably; [`State::on_request`] is all it ever does.
//! - [`Proposer`] takes a server without data to founding, to joining or to a reason to wait.
//! - [`Joiner`] takes the slot that lets one server join at a time.
//! - [`start_with_data`] says whether a server that has data may start.
//!
//! Callers carry [`Envelope`]s to witnesses and bring [`Reply`]s back; what does not come back
//! simply is not there.

#![forbid(unsafe_code)]

mod card;
mod config;
mod join;
mod lack;
mod message;
mod propose;
mod quorum;
mod rules;
mod seen;
mod slot;
mod start;
mod state;

#[cfg(test)]
mod model;

pub use card::{Ballot, Card, Name, Nonce};
pub use config::{Config, Mode};
pub use join::{JoinStep, Joiner};
pub use lack::Lack;
pub use message::{Envelope, Observed, Refusal, Reply, Request, SlotAction, Verdict, View};
pub use propose::{Evidence, Next, Proposer};
pub use quorum::Basis;
pub use seen::{Seen, Sighting};
pub use slot::{SLOT_MS, Slot};
pub use start::{StartVerdict, start_with_data};
pub use state::{State, StateError};
