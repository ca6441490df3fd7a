use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{Error, Package, VERSION};

/// What one node is and what it is part of. No secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// [`VERSION`] of the file.
    pub version: u32,
    /// The cluster the node belongs to; equal on all its nodes.
    pub cluster: Cluster,
    /// The node itself.
    pub node: Node,
    /// Its K3s; absent on a database node.
    pub k3s: Option<K3s>,
    /// Its operating system.
    pub system: System,
    /// Packages that lie ready for installation, in the order in which dpkg may take them.
    #[serde(default)]
    pub packages: Vec<Package>,
}

/// How the servers keep the cluster's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// One server with K3s's own SQLite.
    Single,
    /// Servers that form an etcd cluster among themselves.
    EmbeddedEtcd,
    /// Servers that share a database.
    ExternalDatastore,
}

/// Who may found the cluster, where the servers must agree on it (embedded etcd).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Bootstrap {
    /// The server that a majority of the declared servers promised it to.
    Majority,
    /// The server that all declared servers promised it to.
    All,
    /// This server, without asking.
    Designated {
        /// Its name.
        server: String,
    },
}

/// How fast workloads leave a node that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failover {
    /// Kubernetes's own times (300 s tolerations).
    Default,
    /// Tolerations of 0 s and quicker node monitoring.
    Fast,
}

/// The cluster a node belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Name, an RFC 1123 label.
    pub name: String,
    /// UUID from the secrets file: two clusters of one name differ here.
    pub id: String,
    /// How state is kept.
    pub topology: Topology,
    /// The shared address, where there is one.
    pub vip: Option<Vip>,
    /// Every declared server, in the profile's order.
    pub servers: Vec<Peer>,
    /// The shared database of [`Topology::ExternalDatastore`].
    pub datastore: Option<Datastore>,
    /// Who may found it.
    pub bootstrap: Bootstrap,
    /// How fast workloads leave a failed node.
    pub failover: Failover,
}

impl Cluster {
    /// Where clients reach the API: the VIP, else the first server's fixed address.
    #[must_use]
    pub fn api_endpoint(&self) -> Option<(Ipv4Addr, u16)> {
        match &self.vip {
            Some(vip) => Some((vip.address, vip.port)),
            None => Some((self.servers.first()?.address?, crate::paths::API_PORT)),
        }
    }
}

/// Who moves the shared address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VipProvider {
    /// keepalived and HAProxy on the servers.
    Keepalived,
    /// The kube-vip manifest.
    KubeVip,
    /// Something outside the cluster.
    None,
}

/// The shared address of the servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vip {
    /// IPv4 address.
    pub address: Ipv4Addr,
    /// TCP port of the load-balanced API.
    pub port: u16,
    /// Who moves it.
    pub provider: VipProvider,
}

/// One declared server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its fixed address; a single server may have none (DHCP).
    pub address: Option<Ipv4Addr>,
}

/// Kind of shared database (K3s docs, datastore).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatastoreKind {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// etcd outside the cluster.
    Etcd,
}

/// Where the shared database is; its credentials are secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datastore {
    /// Kind of database.
    pub kind: DatastoreKind,
    /// Host names or addresses, each with its TCP port (`192.168.24.21:5432`).
    pub hosts: Vec<String>,
    /// The node of this cluster that runs it, where one does.
    pub node: Option<String>,
}

/// What a node does in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Control plane, and work.
    Server,
    /// Work only.
    Agent,
    /// The shared database; no K3s.
    Database,
}

/// The node itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Host name and Kubernetes node name, an RFC 1123 label.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// How it gets its address.
    pub address: Address,
    /// Network interface (`eth0`).
    pub interface: String,
    /// How often this node was made anew, from 1.
    pub incarnation: u32,
}

/// How a node gets its address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Address {
    /// From the network.
    Dhcp,
    /// Fixed.
    Static(StaticAddress),
}

/// A fixed IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticAddress {
    /// The node's own address.
    pub address: Ipv4Addr,
    /// Length of the network prefix, 1 to 30.
    pub prefix: u8,
    /// Default route; none on a network without a way out.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
}

/// The node's K3s. Its arguments are in [`crate::paths::K3S_CONFIG`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3s {
    /// Release (`v1.36.5+k3s1`).
    pub version: String,
    /// systemd unit that runs it.
    pub unit: String,
}

/// Which iptables the node must end up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Iptables {
    /// The system's, in legacy mode.
    Legacy,
    /// The system's, as the image has it.
    Image,
    /// K3s's own; the image has none or must not use it.
    Bundled,
}

/// What becomes of swap space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Swap {
    /// None is active.
    Off,
    /// As the image has it.
    Keep,
}

/// What `firstboot` expects of the operating system, and how patient it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Where the FAT partition is mounted (`/boot/firmware`), `null` where there is none.
    pub boot_mount: Option<String>,
    /// The clock may never be before this: seconds since 1970-01-01 UTC.
    pub clock_floor: u64,
    /// How long to wait for a synchronised clock before going on, in seconds.
    pub time_wait: u32,
    /// iptables the node must end up with.
    pub iptables: Iptables,
    /// What becomes of swap.
    pub swap: Swap,
    /// Whether the memory cgroup controller must be there (K3s needs it).
    pub memory_cgroup: bool,
    /// Whether the root file system fills its card after the first boot.
    pub root_growth: bool,
}

impl NodeConfig {
    /// Reads and validates a node configuration.
    ///
    /// # Errors
    /// [`Error::Version`] for one of another version, [`Error::Syntax`] where the JSON or its
    /// shape is wrong, [`Error::Invalid`] with every contradiction.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        check_version(json)?;
        let config: Self = serde_json::from_slice(json).map_err(|e| Error::syntax(&e))?;
        config.validate()?;
        Ok(config)
    }

    /// Canonical text: keys in a fixed order, two spaces, one newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        canonical(self)
    }

    /// Where clients reach the API of the cluster: the VIP, else the only server's address.
    #[must_use]
    pub fn api_endpoint(&self) -> Option<(Ipv4Addr, u16)> {
        self.cluster.api_endpoint()
    }

    /// The name by which `node`'s witness certificate is known to the others.
    #[must_use]
    pub fn witness_name(&self, node: &str) -> String {
        crate::names::witness_name(node, &self.cluster.id)
    }

    /// The servers other than this node.
    pub fn other_servers(&self) -> impl Iterator<Item = &Peer> {
        self.cluster.servers.iter().filter(|peer| peer.name != self.node.name)
    }
}

pub(crate) fn canonical(value: &impl Serialize) -> String {
    let mut text =
        serde_json::to_string_pretty(value).expect("plain data with string keys always serialises");
    text.push('\n');
    text
}

/// Looks at the version alone first, so that a newer file is called newer and not malformed.
pub(crate) fn check_version(json: &[u8]) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let found = serde_json::from_slice::<Versioned>(json).map_err(|e| Error::syntax(&e))?.version;
    if !(1..=u64::from(VERSION)).contains(&found) {
        return Err(Error::Version { found, supported: VERSION });
    }
    Ok(())
}
