//! What keepalived and HAProxy are told: as text, from a node's configuration and the servers that
//! there are. `bake` writes it for those of the profile, the node anew when one comes or leaves.

mod haproxy;
mod keepalived;

use crate::{NodeConfig, Peer, Role, Vip, VipProvider};

/// Asked by keepalived whether HAProxy works, mode 0755.
pub const ALIVE: &str = "/usr/local/lib/bake/vip-alive";
/// Where HAProxy answers it, TCP on the loopback interface.
pub const ALIVE_PORT: u16 = 16442;
/// First words of both files.
pub const OURS: &str = "# Written by bake";

/// A server's part in the shared address.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    config: &'a NodeConfig,
    vip: &'a Vip,
    servers: &'a [Peer],
}

impl<'a> Shared<'a> {
    /// That of the node, among `servers`; `None` for one that has none: keepalived does not run there.
    #[must_use]
    pub fn of(config: &'a NodeConfig, servers: &'a [Peer]) -> Option<Self> {
        let vip = config.cluster.vip.as_ref()?;
        let takes_part =
            config.node.role == Role::Server && vip.provider == VipProvider::Keepalived;
        takes_part.then_some(Self { config, vip, servers })
    }

    /// `keepalived.conf`.
    #[must_use]
    pub fn keepalived(&self) -> String {
        keepalived::config(self)
    }

    /// `haproxy.cfg`.
    #[must_use]
    pub fn haproxy(&self) -> String {
        haproxy::config(self)
    }

    fn others(&self) -> impl Iterator<Item = &'a Peer> {
        let own = &self.config.node.name;
        self.servers.iter().filter(move |peer| peer.name != *own)
    }

    /// How many servers are declared before this one.
    fn rank(&self) -> usize {
        let own = &self.config.node.name;
        self.servers.iter().position(|peer| peer.name == *own).unwrap_or(self.servers.len())
    }
}
