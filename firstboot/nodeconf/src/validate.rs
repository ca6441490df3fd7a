//! What must hold between the values of a node configuration.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::names::{is_interface, is_k3s_version, is_label};
use crate::paths::{K3S_AGENT_UNIT, K3S_SERVER_UNIT};
use crate::{Address, Bootstrap, Error, Fault, NodeConfig, Role, StaticAddress, Topology, VERSION};

impl NodeConfig {
    /// Checks what the types alone cannot say.
    ///
    /// # Errors
    /// [`Error::Version`], or [`Error::Invalid`] with every fault.
    pub fn validate(&self) -> Result<(), Error> {
        if !(1..=VERSION).contains(&self.version) {
            return Err(Error::Version { found: self.version.into(), supported: VERSION });
        }
        let mut faults = Faults(Vec::new());
        self.check_cluster(&mut faults);
        self.check_servers(&mut faults);
        self.check_node(&mut faults);
        self.check_k3s(&mut faults);
        self.check_system(&mut faults);
        if faults.0.is_empty() { Ok(()) } else { Err(Error::Invalid(faults.0)) }
    }

    fn check_cluster(&self, faults: &mut Faults) {
        let cluster = &self.cluster;
        faults.unless(is_label(&cluster.name), "cluster.name", "not an RFC 1123 label");
        faults.unless(is_uuid(&cluster.id), "cluster.id", "not a UUID in lower case");
        let external = cluster.topology == Topology::ExternalDatastore;
        faults.unless(
            external == cluster.datastore.is_some(),
            "cluster.datastore",
            "goes with topology external-datastore, and only with it",
        );
        if let Some(datastore) = &cluster.datastore {
            faults.unless(!datastore.hosts.is_empty(), "cluster.datastore.hosts", "empty");
        }
        if let Some(vip) = &cluster.vip {
            faults.unless(vip.port != 0, "cluster.vip.port", "0 is not a port");
            faults.unless(is_host_address(vip.address), "cluster.vip.address", NOT_A_HOST);
        }
        if let Bootstrap::Designated { server } = &cluster.bootstrap {
            faults.unless(
                cluster.servers.iter().any(|peer| peer.name == *server),
                "cluster.bootstrap.designated.server",
                "not one of cluster.servers",
            );
        }
    }

    fn check_servers(&self, faults: &mut Faults) {
        let servers = &self.cluster.servers;
        faults.unless(!servers.is_empty(), "cluster.servers", "no server declared");
        if self.cluster.topology == Topology::Single {
            faults.unless(servers.len() <= 1, "cluster.servers", "topology single has one server");
        }
        let mut names = BTreeSet::new();
        let mut addresses: BTreeSet<Ipv4Addr> =
            self.cluster.vip.iter().map(|vip| vip.address).collect();
        for (i, peer) in servers.iter().enumerate() {
            let at = |key: &str| format!("cluster.servers[{i}].{key}");
            faults.unless(is_label(&peer.name), at("name"), "not an RFC 1123 label");
            faults.unless(names.insert(&peer.name), at("name"), "named twice");
            match peer.address {
                Some(address) => {
                    faults.unless(is_host_address(address), at("address"), NOT_A_HOST);
                    faults.unless(addresses.insert(address), at("address"), "used twice");
                }
                None => faults.unless(
                    servers.len() == 1 && self.cluster.vip.is_none(),
                    at("address"),
                    "servers that others must find need a fixed address",
                ),
            }
        }
    }

    fn check_node(&self, faults: &mut Faults) {
        let node = &self.node;
        faults.unless(is_label(&node.name), "node.name", "not an RFC 1123 label");
        faults.unless(is_interface(&node.interface), "node.interface", "not an interface name");
        faults.unless(node.incarnation > 0, "node.incarnation", "counts from 1");
        let own = match &node.address {
            Address::Dhcp => None,
            Address::Static(fixed) => {
                check_static(fixed, faults);
                Some(fixed.address)
            }
        };
        let listed = self.cluster.servers.iter().find(|peer| peer.name == node.name);
        match (node.role, listed) {
            (Role::Server, None) => {
                faults.add("node.name", "a server that is not one of cluster.servers");
            }
            (Role::Server, Some(peer)) => faults.unless(
                peer.address == own,
                "node.address",
                "differs from the address in cluster.servers",
            ),
            (_, Some(_)) => faults.add("node.role", "cluster.servers says it is a server"),
            (_, None) => {}
        }
    }

    fn check_k3s(&self, faults: &mut Faults) {
        let unit = match self.node.role {
            Role::Server => K3S_SERVER_UNIT,
            Role::Agent => K3S_AGENT_UNIT,
            Role::Database => {
                faults.unless(self.k3s.is_none(), "k3s", "a database node runs no K3s");
                return;
            }
        };
        let Some(k3s) = &self.k3s else {
            faults.add("k3s", "missing: servers and agents run K3s");
            return;
        };
        faults.unless(k3s.unit == unit, "k3s.unit", format!("must be {unit} for this role"));
        faults.unless(is_k3s_version(&k3s.version), "k3s.version", "not like v1.36.5+k3s1");
    }

    fn check_system(&self, faults: &mut Faults) {
        if let Some(mount) = &self.system.boot_mount {
            let clean = mount.starts_with('/') && !mount.split('/').any(|part| part == "..");
            faults.unless(clean, "system.boot_mount", "not a plain absolute path");
        }
    }
}

const NOT_A_HOST: &str = "not the address of a host";

fn check_static(fixed: &StaticAddress, faults: &mut Faults) {
    let at = |key: &str| format!("node.address.static.{key}");
    faults.unless(is_host_address(fixed.address), at("address"), NOT_A_HOST);
    if !(1..=30).contains(&fixed.prefix) {
        faults.add(at("prefix"), "must be 1 to 30");
        return;
    }
    if let Some(gateway) = fixed.gateway {
        let mask = u32::MAX << (32 - u32::from(fixed.prefix));
        let near = gateway.to_bits() & mask == fixed.address.to_bits() & mask;
        faults.unless(near, at("gateway"), "outside the node's network");
        faults.unless(gateway != fixed.address, at("gateway"), "is the node's own address");
    }
}

/// Whether one host can own the address: not unspecified, loopback, multicast or broadcast.
fn is_host_address(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { path: path.into(), message: message.into() });
    }

    fn unless(&mut self, holds: bool, path: impl Into<String>, message: impl Into<String>) {
        if !holds {
            self.add(path, message);
        }
    }
}
