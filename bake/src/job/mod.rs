//! Jobs wire the steps of a verb, emit events and clean up.

pub mod apply;
pub mod build;
pub mod clock;
pub mod cluster;
pub mod diff;
pub mod edit;
pub mod extract;
pub mod fetch;
pub mod flash;
pub mod fleet;
pub mod inspect;
pub mod lock;
pub mod open;
pub mod rebuild;
pub mod release;
pub mod verify;
