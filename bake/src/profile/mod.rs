//! Cluster profiles: YAML text → checked profile → one [`NodePlan`] for each node.

mod k3s;
mod plan;

pub use k3s::K3sConfig;
pub use plan::{
    BaseFacts, FileContent, FilePlan, HostFile, ImageSource, IptablesWish, K3sPlan, LoadBalancer,
    NetworkPlan, NodePlan, RootSize, SystemPlan, UserPlan, VrrpPlan, WifiPlan,
};
