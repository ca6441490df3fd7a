//! A model checker for the rules: drives the functions that devices run through every order of
//! events within a bound, and looks for two clusters, two joiners, and states from which a cluster
//! never forms.
//!
//! - [`world`]: servers, cards, letters between them, and what K3s and etcd do (facts E).
//! - [`moves`]: everything that can happen next; [`k3s`]: the part of it that is K3s.
//! - [`explore`]: breadth first, one fingerprint per state, with the way back to the start.
//! - [`fair`]: what becomes of a state once faults stop.

mod explore;
mod fair;
mod k3s;
mod moves;
mod mutants;
mod safety;
mod world;

/// Figures for whoever runs the tests with `--nocapture`, and for docs/bootstrap.md.
#[expect(clippy::print_stderr, reason = "the number of states explored is to be seen")]
fn say(what: &str) {
    eprintln!("{what}");
}
