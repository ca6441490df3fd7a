//! The witness: keeps this node's promises about who founds its cluster, and tells how the node is
//! doing. The rules are those of the crate `bootstrap`; here they get a file, a port and peers.

mod client;

pub use client::{Silence, Witnesses};
