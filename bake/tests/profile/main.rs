//! Profiles from text to plans: faults, plans of the shipped profiles, schema, hostile text.

mod command;
mod faults;
mod host;
mod hostile;
mod lookup;
mod plans;
mod reference;
mod schema;

use bake::error::{Error, Fault};
use bake::profile::{Profile, Source};

/// A small profile without faults, for tests that spoil one thing.
pub const GOOD: &str = "\
version: 1
cluster:
  name: edge
  topology: embedded-etcd
  vip: {address: 192.168.24.40}
image: raspios-lite-arm64-bookworm
k3s: {version: v1.36.5+k3s1}
network: {gateway: 192.168.24.1, dns: [192.168.24.1]}
nodes:
  - {name: node1, address: 192.168.24.11}
  - {name: node2, address: 192.168.24.12}
  - {name: node3, address: 192.168.24.13}
  - {name: worker1, role: agent}
";

/// A source as if `text` were built in.
pub fn source(text: &str) -> Source {
    Source { name: "test".into(), file: None, text: text.into() }
}

/// Reads `text` as changed by `sets`.
pub fn read(text: &str, sets: &[&str]) -> Result<Profile, Error> {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    Profile::read(&source(text), &sets)
}

/// The faults of `text` as changed by `sets`, which must have some.
pub fn faults(text: &str, sets: &[&str]) -> Vec<Fault> {
    match read(text, sets) {
        Err(Error::Invalid { faults, .. }) => faults,
        other => panic!("expected faults: {other:?}"),
    }
}

/// A fault on one line, as a person reads it.
pub fn show(fault: &Fault) -> String {
    let at = fault.at.map_or("-".into(), |at| format!("{}:{}", at.line, at.column));
    let help = fault.help.as_ref().map_or(String::new(), |help| format!(" | {help}"));
    format!("{at} {}: {}{help}", fault.key, fault.message)
}
