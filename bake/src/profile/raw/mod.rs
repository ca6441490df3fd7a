//! A profile as written: the one description of its keys. The JSON Schema, the structural checks
//! and the reference in `docs/profiles.md` all come from these types and their comments.
//!
//! Values with a syntax of their own stay text here; `check` reads them, so that a fault in one
//! does not hide the others.

mod cluster;
mod node;
mod system;

use schemars::JsonSchema;
use serde::Deserialize;

pub use cluster::{
    Bootstrap, Cluster, Failover, LoadBalancer, LoadBalancerProvider, Topology, Vip, VipProvider,
};
pub use node::{File, Node, Octal, Role};
pub use system::{Identity, Iptables, Network, Swap, System, Wifi};

/// A K3s cluster and the nodes it is made of. `bake` turns each node into an image.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "bake profile")]
pub struct Profile {
    /// Version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    #[expect(dead_code, reason = "checked before anything else is read")]
    pub version: u32,
    /// What the nodes have in common.
    pub cluster: Cluster,
    /// The base image: an id of `bake images list`, a path (relative to the profile), or a URL
    /// with the digest of what it must deliver.
    pub image: Image,
    /// Size of the root file system: `auto` grows it only when needed, `+1GiB` by so much, `8GiB`
    /// to so much. It fills the card on the first boot in any case.
    #[serde(default = "auto")]
    pub root_size: String,
    /// The K3s all nodes run.
    pub k3s: K3s,
    /// Operating system settings of all nodes.
    #[serde(default)]
    pub system: System,
    /// The network the nodes are on.
    #[serde(default)]
    pub network: Network,
    /// Kubernetes manifests that the servers apply by themselves: paths or globs relative to the
    /// profile.
    #[serde(default)]
    pub manifests: Vec<String>,
    /// Further files for every node.
    #[serde(default)]
    pub files: Vec<File>,
    /// The nodes. The first server has the highest priority for the shared address.
    #[schemars(length(min = 1))]
    pub nodes: Vec<Node>,
}

/// Where the base image comes from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "an image id, a path, or a mapping with `url` and `sha256`")]
pub enum Image {
    /// An id of the catalogue, or a path.
    Name(String),
    /// A download.
    Download(Download),
}

/// A base image to download.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// HTTP or HTTPS address of the image, compressed or not.
    pub url: String,
    /// SHA-256 of the file as downloaded, 64 hexadecimal digits.
    pub sha256: String,
}

/// The K3s all nodes run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct K3s {
    /// Release, such as `v1.36.5+k3s1`.
    pub version: String,
    /// Whether the images K3s itself needs are baked in, so that no node needs the internet.
    #[serde(default = "yes")]
    pub airgap: bool,
    /// SHA-256 that the K3s binary must have; without it the release's own checksum file decides.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Further keys of K3s's `config.yaml`, by the names of its flags without dashes. A key that
    /// only servers know is left out on agents.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Further environment variables of the K3s service (`HTTP_PROXY`, `K3S_…`).
    #[serde(default)]
    pub env: std::collections::BTreeMap<String, String>,
}

fn auto() -> String {
    "auto".into()
}

pub(super) fn yes() -> bool {
    true
}
