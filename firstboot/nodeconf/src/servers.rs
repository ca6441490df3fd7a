//! The servers that there are: those a card was baked with, and who came or left since.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{NodeConfig, Peer};

/// `POST` to a server's witness, by another server in its own name: an [`Introduction`].
pub const INTRODUCE: &str = "/v1/introduce";
/// `POST` to a server's witness, by the operator: a [`Dismissal`].
pub const DISMISS: &str = "/v1/dismiss";

/// "I am a server of this cluster."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introduction {
    /// The server's name, which its certificate proves.
    pub name: String,
    /// Its address, which the connection comes from.
    pub address: Ipv4Addr,
}

/// "That server is none any more."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dismissal {
    /// Its name.
    pub name: String,
}

/// The answer to either: it is kept for good. Reading is lenient, as that of the status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Noted {
    /// Whether the node's services go by it already.
    pub applied: bool,
    /// Why they do not.
    pub trouble: Option<String>,
}

/// What became of servers since a card was baked: the address of each that came, `None` for each
/// that left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Changes(pub BTreeMap<String, Option<Ipv4Addr>>);

impl Changes {
    /// Every server: the declared ones in their order, then those that came.
    #[must_use]
    pub fn servers(&self, config: &NodeConfig) -> Vec<Peer> {
        let declared = &config.cluster.servers;
        let kept = declared.iter().filter_map(|peer| match self.0.get(&peer.name) {
            None => Some(peer.clone()),
            Some(None) => None,
            Some(address) => Some(Peer { name: peer.name.clone(), address: *address }),
        });
        let is_declared = |name: &str| declared.iter().any(|peer| peer.name == name);
        let came = self.0.iter().filter(|(name, address)| address.is_some() && !is_declared(name));
        kept.chain(came.map(|(name, address)| Peer { name: name.clone(), address: *address }))
            .collect()
    }

    /// Whether the server was taken out of the cluster.
    #[must_use]
    pub fn dismissed(&self, name: &str) -> bool {
        self.0.get(name) == Some(&None)
    }

    /// The same with a server that is there; `self` where that is known already.
    #[must_use]
    pub fn with(&self, config: &NodeConfig, server: &Introduction) -> Self {
        self.change(config, &server.name, Some(server.address))
    }

    /// The same without a server.
    #[must_use]
    pub fn without(&self, config: &NodeConfig, name: &str) -> Self {
        self.change(config, name, None)
    }

    fn change(&self, config: &NodeConfig, name: &str, address: Option<Ipv4Addr>) -> Self {
        let declared = config.cluster.servers.iter().find(|peer| peer.name == name);
        let mut changes = self.clone();
        if declared.map(|peer| peer.address) == Some(address)
            || (declared.is_none() && address.is_none())
        {
            changes.0.remove(name);
        } else {
            changes.0.insert(name.to_owned(), address);
        }
        changes
    }
}
