//! Plans to test with, from profiles as a user would write them.

use std::path::PathBuf;

use crate::profile::{ClusterSecrets, NodePlan, Profile, Source};

/// One server, an administrator, a fixed address.
pub(super) const SINGLE: &str = "\
version: 1
cluster: {name: edge, topology: single}
image: ./base.img
k3s: {version: v1.36.5+k3s1, airgap: true}
system:
  timezone: Europe/Berlin
  users:
    - {name: ops, sudo: true, ssh_keys: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0aXoGcZ5TkNq4dYJp7i6zQ9yN2h9f6Qm0s5m9Zl3Vd ops@laptop\"]}
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1, dns: [192.168.24.1, 9.9.9.9], ntp: [192.168.24.1]}
nodes:
  - {name: node1, role: server, address: 192.168.24.11}
";

/// Three servers with etcd and a VIP, and an agent.
pub(super) const ETCD: &str = "\
version: 1
cluster:
  name: edge
  topology: embedded-etcd
  vip: {address: 192.168.24.40, provider: keepalived}
image: ./base.img
k3s: {version: v1.36.5+k3s1, airgap: false}
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1}
nodes:
  - {name: node1, role: server, address: 192.168.24.11}
  - {name: node2, role: server, address: 192.168.24.12}
  - {name: node3, role: server, address: 192.168.24.13}
  - {name: worker1, role: agent, address: dhcp}
";

/// Two servers and a database.
pub(super) const DATABASE: &str = "\
version: 1
cluster:
  name: edge
  topology: external-datastore
  vip: {address: 192.168.24.40, provider: keepalived}
image: ./base.img
k3s: {version: v1.36.5+k3s1, airgap: false}
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1}
nodes:
  - {name: node1, role: server, address: 192.168.24.11}
  - {name: node2, role: server, address: 192.168.24.12}
  - {name: db, role: database, address: 192.168.24.20}
";

pub(super) fn plan(yaml: &str, node: &str, sets: &[&str]) -> NodePlan {
    let profile = profile(yaml, sets);
    let secrets = ClusterSecrets::placeholder(profile.cluster(), &profile.members());
    profile.plan(node, &secrets).unwrap()
}

pub(super) fn profile(yaml: &str, sets: &[&str]) -> Profile {
    let source =
        Source { name: "test".into(), file: Some(PathBuf::from("test.yaml")), text: yaml.into() };
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Profile::read(&source, &sets).unwrap_or_else(|e| panic!("{e}: {e:?}"))
}
