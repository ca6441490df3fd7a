use std::sync::Arc;

pub use nodeconf::Bootstrap as Mode;
use nodeconf::NodeConfig;
use sha2::{Digest, Sha256};

use crate::Name;

/// What the servers of one cluster have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Every declared server, in declared order.
    pub servers: Vec<Name>,
    /// Who may found.
    pub mode: Mode,
    /// Digest of the cluster's id, its servers with their addresses, and the mode. Servers with
    /// different electorates were baked from different profiles and do not found together.
    pub electorate: Arc<str>,
}

impl Config {
    /// What a node's configuration says of its cluster.
    #[must_use]
    pub fn of(node: &NodeConfig) -> Self {
        let cluster = &node.cluster;
        let mut digest = Sha256::new();
        let mut field = |text: &str| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        };
        field("bake electorate 1");
        field(&cluster.id);
        match &cluster.bootstrap {
            Mode::Majority => field("majority"),
            Mode::All => field("all"),
            Mode::Designated { server } => {
                field("designated");
                field(server);
            }
        }
        for server in &cluster.servers {
            field(&server.name);
            field(&server.address.map(|a| a.to_string()).unwrap_or_default());
        }
        Self {
            servers: cluster.servers.iter().map(|s| s.name.as_str().into()).collect(),
            mode: cluster.bootstrap.clone(),
            electorate: hex::encode(digest.finalize()).into(),
        }
    }

    /// More than half of the declared servers.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.servers.len() / 2 + 1
    }

    /// Whether the cluster declares a server of that name.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// Where in the declared order the server stands, from 0.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.servers.iter().position(|server| **server == *name)
    }
}
