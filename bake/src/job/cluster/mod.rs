//! A cluster, from outside: access to it, how it is, taking nodes from it, and
//! giving it other secrets.

pub mod api;
pub mod farewell;
pub mod kubeconfig;
pub mod remove;
pub mod rotate;
pub mod status;

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use nodeconf::paths::API_PORT;

/// Where the API answers: the shared address, and each server itself for when that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entrances {
    front: Option<SocketAddr>,
    servers: Vec<(String, SocketAddr)>,
}

impl Entrances {
    fn of(cluster: &nodeconf::Cluster) -> Self {
        let server = |peer: &nodeconf::Peer| {
            Some((peer.name.clone(), SocketAddr::from((peer.address?, API_PORT))))
        };
        Self {
            front: cluster.api_endpoint().map(SocketAddr::from),
            servers: cluster.servers.iter().filter_map(server).collect(),
        }
    }
}

/// Seconds since 1970-01-01 UTC.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
