//! The node plan: everything a recipe needs to know of one node, resolved and typed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::Serialize;

use nodeconf::{Address, Iptables, NodeConfig, NodeSecrets, Role, Secret, Swap};

use super::k3s::K3sConfig;

/// One node of a profile, with every default filled in and every secret it needs.
///
/// `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodePlan {
    /// The profile's name (`master3`), for reports and records.
    pub profile: String,
    /// The cluster as every one of its nodes knows it.
    pub cluster: nodeconf::Cluster,
    /// The node itself.
    pub node: nodeconf::Node,
    /// The base image.
    pub image: ImageSource,
    /// Size of the root file system.
    pub root_size: RootSize,
    /// Its K3s; `None` on a database node.
    pub k3s: Option<K3sPlan>,
    /// Its operating system.
    pub system: SystemPlan,
    /// Its network.
    pub network: NetworkPlan,
    /// Who gives addresses to services of type LoadBalancer.
    pub load_balancer: LoadBalancer,
    /// Manifests for K3s to apply, ascending by name; servers only.
    pub manifests: Vec<HostFile>,
    /// Files of the user's, in the profile's order.
    pub files: Vec<FilePlan>,
    /// Its keys and certificates.
    pub pki: PkiPlan,
    /// What [`nodeconf::paths::NODE_SECRETS`] will hold.
    pub secrets: NodeSecrets,
    /// Newest modification time of the host files that go into the image, seconds since 1970 UTC;
    /// 0 without any. The profile's own does not count: a copy of it bakes the same bytes.
    pub newest_input: u64,
}

/// Where the base image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSource {
    /// An entry of the catalogue.
    Id(String),
    /// A file of the user's.
    File(PathBuf),
    /// A download.
    Url {
        /// HTTP(S) URL.
        url: String,
        /// SHA-256 of the file as downloaded, lower-case hexadecimal.
        sha256: String,
    },
}

/// Size of the root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootSize {
    /// Grown only when the payload needs it, by what it needs and some room.
    Auto,
    /// Grown by this many bytes.
    Plus(u64),
    /// Grown to this many bytes; never shrunk.
    Exactly(u64),
}

/// A node's K3s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct K3sPlan {
    /// Release (`v1.36.5+k3s1`).
    pub version: String,
    /// SHA-256 the binary must have, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Whether its image bundle is baked too.
    pub airgap: bool,
    /// systemd unit that runs it.
    pub unit: &'static str,
    /// Subcommand: `server` or `agent`.
    pub command: &'static str,
    /// Content of [`nodeconf::paths::K3S_CONFIG`].
    pub config: K3sConfig,
    /// Environment of the unit (`k3s.service.env`, 0600).
    pub env: BTreeMap<String, Secret>,
    /// Small secret files by absolute path, each mode 0600, owner root, ended by a newline.
    pub secret_files: BTreeMap<&'static str, Secret>,
}

/// Which iptables the profile wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IptablesWish {
    /// The system's in legacy mode, where the image has it.
    Legacy,
    /// As the image has it.
    Auto,
    /// K3s's own.
    Bundled,
}

/// A node's keys and certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PkiPlan {
    /// Time of the files, seconds since 1970-01-01 UTC: equal on all nodes of the cluster.
    pub time: u64,
    /// Directories whose mode matters, outer before inner.
    pub directories: Vec<PkiDirectory>,
    /// The files, ascending by path.
    pub files: Vec<PkiFile>,
}

/// A directory of keys or certificates, owner root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PkiDirectory {
    /// Absolute path on the device.
    pub path: String,
    /// Permission bits.
    pub mode: u16,
}

/// A key, mode 0600, or a certificate, mode 0644; PEM, owner root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PkiFile {
    /// Absolute path on the device.
    pub path: String,
    /// Its content.
    pub text: Secret,
    /// Whether it is a key.
    pub private: bool,
}

/// A node's operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SystemPlan {
    /// Which iptables.
    pub iptables: IptablesWish,
    /// What becomes of swap.
    pub swap: Swap,
    /// tz database name (`Europe/Berlin`).
    pub timezone: String,
    /// Locale (`en_GB.UTF-8`), `None` to keep the image's.
    pub locale: Option<String>,
    /// Users to create, or to take over where the image has them.
    pub users: Vec<UserPlan>,
    /// The wireless network to join.
    pub wifi: Option<WifiPlan>,
    /// Whether sshd runs.
    pub ssh: bool,
    /// Debian packages to install.
    pub packages: Vec<String>,
    /// Whether cloud-init makes the node who it is.
    // Plans without it, and so incarnations, are what they were before it was there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cloud_init: bool,
}

/// A user of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserPlan {
    /// Login name.
    pub name: String,
    /// crypt(5) hash; `None` locks the password.
    pub password_hash: Option<Secret>,
    /// Lines of `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// Whether the user may sudo without a password.
    pub sudo: bool,
    /// Login shell.
    pub shell: String,
}

/// A wireless network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WifiPlan {
    /// Its name, 1 to 32 bytes.
    pub ssid: String,
    /// Passphrase (8 to 63 ASCII characters) or key (64 hexadecimal digits); `None` where open.
    pub psk: Option<Secret>,
    /// ISO 3166-1 country whose radio rules apply (`DE`).
    pub country: String,
    /// Whether the network hides its name.
    pub hidden: bool,
}

/// A node's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkPlan {
    /// Interface the node's address is on.
    pub interface: String,
    /// How it gets the address.
    pub address: Address,
    /// Time servers; empty for the image's own.
    pub ntp: Vec<String>,
    /// The other nodes' names and addresses, for `/etc/hosts`, ascending by address.
    pub hosts: Vec<(Ipv4Addr, String)>,
}

/// Who gives addresses to services of type LoadBalancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalancer {
    /// K3s's own.
    Servicelb,
    /// Nobody.
    None,
    /// MetalLB in layer-2 mode with these ranges, first and last address.
    Metallb(Vec<(Ipv4Addr, Ipv4Addr)>),
}

/// A file on the host that goes into the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostFile {
    /// Where it is on the host.
    pub path: PathBuf,
    /// Its name in the image.
    pub name: String,
    /// Its modification time, seconds since 1970 UTC.
    pub mtime: u64,
}

/// A file of the user's that goes into the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilePlan {
    /// Absolute path in the image.
    pub path: String,
    /// What it holds.
    pub content: FileContent,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What a file of the user's holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileContent {
    /// Written in the profile.
    Inline(String),
    /// On the host.
    Host(HostFile),
}

/// What only the base image and the bake itself can say about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseFacts {
    /// Where the FAT partition is mounted.
    pub boot_mount: Option<String>,
    /// Time of the bake (`SOURCE_DATE_EPOCH` or the newest input), seconds since 1970 UTC.
    pub clock_floor: u64,
    /// The iptables the recipe arranged.
    pub iptables: Iptables,
    /// Whether the image grows its root file system on the first boot.
    pub root_growth: bool,
}

/// How long `firstboot` waits for a synchronised clock, in seconds.
const TIME_WAIT: u32 = 120;

impl NodePlan {
    /// What [`nodeconf::paths::NODE_CONFIG`] will hold.
    #[must_use]
    pub fn config(&self, base: &BaseFacts) -> NodeConfig {
        NodeConfig {
            version: nodeconf::VERSION,
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            k3s: self
                .k3s
                .as_ref()
                .map(|k3s| nodeconf::K3s { version: k3s.version.clone(), unit: k3s.unit.into() }),
            system: nodeconf::System {
                boot_mount: base.boot_mount.clone(),
                clock_floor: base.clock_floor,
                time_wait: TIME_WAIT,
                iptables: base.iptables,
                swap: self.system.swap,
                memory_cgroup: self.node.role != Role::Database,
                root_growth: base.root_growth,
            },
            packages: Vec::new(),
        }
    }
}
