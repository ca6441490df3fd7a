//! Which steps a node has.

use nodeconf::{NodeConfig, Role, Topology, VipProvider};

use super::StepId;

/// The steps of the node that `config` describes, in order.
pub fn steps(config: &NodeConfig) -> impl Iterator<Item = StepId> {
    StepId::ALL.into_iter().filter(|&step| applies(step, config))
}

fn applies(step: StepId, config: &NodeConfig) -> bool {
    let role = config.node.role;
    match step {
        StepId::Identity | StepId::Storage | StepId::Clock | StepId::Network | StepId::Seal => true,
        StepId::Packages => !config.packages.is_empty(),
        // The other providers need nothing on the node before K3s runs.
        StepId::Vip => {
            let provider = config.cluster.vip.as_ref().map(|vip| vip.provider);
            role == Role::Server && provider == Some(VipProvider::Keepalived)
        }
        StepId::Database => role == Role::Database,
        // A server of its own has nobody to ask.
        StepId::Bootstrap => match role {
            Role::Server => config.cluster.topology != Topology::Single,
            Role::Agent => true,
            Role::Database => false,
        },
        StepId::K3s | StepId::Confirm => config.k3s.is_some(),
    }
}

impl StepId {
    /// Which nodes have it, in words.
    pub(super) fn whose(self) -> &'static str {
        match self {
            Self::Packages => "where packages are staged",
            Self::Vip => "servers with keepalived",
            Self::Database => "database nodes",
            Self::Bootstrap => "agents, and servers of several",
            Self::K3s | Self::Confirm => "servers and agents",
            _ => "every node",
        }
    }
}
