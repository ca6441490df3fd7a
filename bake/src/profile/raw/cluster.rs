use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the nodes have in common.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Name of the cluster: letters a-z, digits and `-`.
    pub name: String,
    /// How the servers keep the cluster's state.
    pub topology: Topology,
    /// One address for all servers, so that losing any of them is not noticed.
    #[serde(default)]
    pub vip: Option<Vip>,
    /// Who gives addresses to services of type LoadBalancer.
    #[serde(default)]
    pub load_balancer: LoadBalancer,
    /// How fast workloads leave a node that fails.
    #[serde(default)]
    pub failover: Failover,
    /// Which server may found the cluster (topology `embedded-etcd`).
    #[serde(default)]
    pub bootstrap: Bootstrap,
    /// The shared database (topology `external-datastore`), where it is not a node of this
    /// profile with role `database`.
    #[serde(default)]
    pub datastore: Option<Datastore>,
}

/// How the servers keep the cluster's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// On the servers, which agree by etcd. Survives the loss of a minority: 1 of 3, 2 of 5.
    EmbeddedEtcd,
    /// In a database that all servers share.
    ExternalDatastore,
    /// On the only server.
    Single,
}

/// One address for all servers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vip {
    /// Unused IPv4 address in the nodes' network.
    pub address: String,
    /// TCP port of the API behind the address: 16443, with kube-vip 6443.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Who moves the address and balances the load.
    #[serde(default)]
    pub provider: VipProvider,
}

/// Who moves the shared address and balances the load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VipProvider {
    /// keepalived and HAProxy on the servers.
    #[default]
    Keepalived,
    /// kube-vip, inside the cluster.
    KubeVip,
    /// Something outside the cluster that you run.
    None,
}

/// Who gives addresses to services of type LoadBalancer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadBalancer {
    /// The provider.
    pub provider: LoadBalancerProvider,
    /// With `metallb`: ranges of unused addresses in the nodes' network, such as
    /// `192.168.24.41-192.168.24.49` or `192.168.24.48/29`.
    pub addresses: Vec<String>,
}

/// A provider of addresses for services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalancerProvider {
    /// K3s's own: a service has the addresses of all nodes.
    #[default]
    Servicelb,
    /// MetalLB in layer-2 mode: a service has an address of its own.
    Metallb,
    /// Nobody.
    None,
}

/// How fast workloads leave a node that fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Failover {
    /// As Kubernetes does by itself: after about six minutes.
    #[default]
    Default,
    /// As soon as the node is seen to be gone, which takes about 20 seconds.
    Fast,
}

/// Which server may found the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bootstrap {
    /// The one to which a majority of the servers promised it.
    #[default]
    Majority,
    /// The one to which all servers promised it.
    All,
    /// This one, without asking the others: re-baking it while the others run needs care.
    Designated(String),
}

/// A database outside the cluster.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Datastore {
    /// As K3s's `datastore-endpoint`: `postgres://…`, `mysql://…` or `https://…` for etcd. It
    /// may hold a password; then keep the profile to yourself.
    pub endpoint: String,
}

impl std::fmt::Debug for Datastore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Datastore { endpoint: [redacted] }")
    }
}
