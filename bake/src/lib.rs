//! `bake` turns a Raspberry Pi OS or Ubuntu image into a K3s node, inside the image file.
//!
//! The rooms, top to bottom; imports only point down (`tests/layers.rs` holds them to it):
//!
//! | layer | rooms |
//! |---|---|
//! | 5 face | [`cli`] one file a verb, [`ui`] the only code that prints |
//! | 4 jobs | [`job`] wires the steps of a verb |
//! | 3 intent | [`profile`], [`catalogue`], [`lock`], [`recipe`], [`provenance`] |
//! | 2 mechanism | [`fetch`], [`container`], [`packages`], [`disk`], [`fs`], [`emit`], [`delta`], [`device`], [`pki`], [`openpgp`], [`remote`] |
//! | 1 plumbing | [`store`], [`io`], [`sys`] |
//! | 0 words | [`event`], [`error`], [`units`], [`arch`] |

pub mod cli;
pub mod ui;

pub mod job;

pub mod catalogue;
pub mod lock;
pub mod profile;
pub mod provenance;
pub mod recipe;

pub mod container;
pub mod delta;
pub mod device;
pub mod disk;
pub mod emit;
pub mod fetch;
pub mod fs;
pub mod openpgp;
pub mod packages;
pub mod pki;
pub mod remote;

pub mod io;
pub mod store;
pub mod sys;

pub mod arch;
pub mod error;
pub mod event;
pub mod units;
