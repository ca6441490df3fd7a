//! Files, units and ports that `bake` and `firstboot` share. All paths are on the device.

/// Node configuration, mode 0644.
pub const NODE_CONFIG: &str = "/etc/bake/node.json";
/// Node secrets, mode 0600.
pub const NODE_SECRETS: &str = "/etc/bake/secrets.json";
/// What was baked, by what, from which digests; mode 0644.
pub const RECORD: &str = "/etc/bake/record.json";
/// Directory of the three files above, mode 0755.
pub const CONFIG_DIR: &str = "/etc/bake";

/// State that survives a reboot, mode 0755.
pub const STATE_DIR: &str = "/var/lib/bake";
/// Which steps are done, mode 0600.
pub const LEDGER: &str = "/var/lib/bake/ledger.json";
/// What the node says about itself, mode 0644.
pub const STATUS: &str = "/var/lib/bake/status.json";
/// State that does not survive a reboot, mode 0755.
pub const RUNTIME_DIR: &str = "/run/bake";
/// Log for people, beside `config.txt` on the boot partition: name only, since releases mount it
/// in different places ([`crate::System::boot_mount`]).
pub const BOOT_LOG: &str = "bake-firstboot.log";

/// The device binary, mode 0755.
pub const FIRSTBOOT: &str = "/usr/local/lib/bake/firstboot";
/// Its unit, by name.
pub const FIRSTBOOT_UNIT: &str = "bake-firstboot.service";
/// Where units of ours and of K3s lie.
pub const UNIT_DIR: &str = "/etc/systemd/system";

/// The K3s binary, mode 0755.
pub const K3S: &str = "/usr/local/bin/k3s";
/// Unit of a server (K3s install.sh).
pub const K3S_SERVER_UNIT: &str = "k3s.service";
/// Unit of an agent (K3s install.sh).
pub const K3S_AGENT_UNIT: &str = "k3s-agent.service";
/// K3s's configuration as baked, mode 0600.
pub const K3S_CONFIG: &str = "/etc/rancher/k3s/config.yaml";
/// Drop-ins that override it, read in the order of their names (K3s docs, configuration).
pub const K3S_CONFIG_DIR: &str = "/etc/rancher/k3s/config.yaml.d";
/// The drop-in `firstboot` owns: how to found or join is decided on the device, never baked.
pub const K3S_DECISION: &str = "/etc/rancher/k3s/config.yaml.d/50-bake.yaml";
/// Token that lets servers join (`token-file`), mode 0600.
pub const K3S_TOKEN: &str = "/etc/rancher/k3s/server-token";
/// Token that lets agents join (`agent-token-file` on servers, `token-file` on agents), 0600.
pub const K3S_AGENT_TOKEN: &str = "/etc/rancher/k3s/agent-token";
/// Password that ties the node's name to the node, mode 0600 (K3s docs, agent registration).
pub const K3S_NODE_PASSWORD: &str = "/etc/rancher/node/password";
/// K3s's data, mode 0755.
pub const K3S_DATA: &str = "/var/lib/rancher/k3s";
/// Manifests that K3s applies by itself.
pub const K3S_MANIFESTS: &str = "/var/lib/rancher/k3s/server/manifests";
/// Image archives that K3s imports by itself.
pub const K3S_IMAGES: &str = "/var/lib/rancher/k3s/agent/images";

/// Kubernetes API and K3s supervisor of one server, TCP.
pub const API_PORT: u16 = 6443;
/// Load-balanced API behind the VIP unless the profile says otherwise, TCP.
pub const VIP_PORT: u16 = 16443;
/// PostgreSQL of a `database` node, TCP.
pub const POSTGRES_PORT: u16 = 5432;
