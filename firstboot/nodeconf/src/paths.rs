//! Files, units and ports that `bake` and `firstboot` share. All paths are on the device.

/// Node configuration, mode 0644.
pub const NODE_CONFIG: &str = "/etc/bake/node.json";
/// Node secrets, mode 0600.
pub const NODE_SECRETS: &str = "/etc/bake/secrets.json";
/// What was baked, by what, from which digests; mode 0644.
pub const RECORD: &str = "/etc/bake/record.json";
/// Directory of the three files above, mode 0755.
pub const CONFIG_DIR: &str = "/etc/bake";

/// Keys and certificates of the witness, mode 0700. They stay for the life of the card.
pub const WITNESS_DIR: &str = "/etc/bake/witness";
/// The CA that issued every witness certificate of the cluster, PEM, mode 0644.
pub const WITNESS_CA: &str = "/etc/bake/witness/ca.crt";
/// This node's certificate, PEM: for servers good for both sides of TLS, else for serving only.
pub const WITNESS_CERT: &str = "/etc/bake/witness/node.crt";
/// Its key, PKCS#8 PEM, mode 0600.
pub const WITNESS_KEY: &str = "/etc/bake/witness/node.key";
/// The bundle K3s answers `/cacerts` with (`server-ca.crt`), PEM, mode 0644; servers and agents.
pub const API_CA: &str = "/etc/bake/api/server-ca.crt";
/// Administrator's certificate for the time before K3s runs here, PEM; servers only, erased when
/// the node is sealed.
pub const API_ADMIN_CERT: &str = "/etc/bake/api/admin.crt";
/// Its key, PKCS#8 PEM, mode 0600; erased when the node is sealed.
pub const API_ADMIN_KEY: &str = "/etc/bake/api/admin.key";

/// Certificates of the cluster's own database, mode 0700; on its node and on the servers.
pub const DATABASE_DIR: &str = "/etc/bake/database";
/// The CA that issued the database server's certificate, PEM, mode 0644 (`datastore-cafile`).
pub const DATABASE_CA: &str = "/etc/bake/database/ca.crt";
/// The database server's certificate for its address, PEM; on its node only.
pub const DATABASE_CERT: &str = "/etc/bake/database/server.crt";
/// Its key, PKCS#8 PEM, mode 0600, owner root.
pub const DATABASE_KEY: &str = "/etc/bake/database/server.key";
/// PostgreSQL's settings as baked, mode 0644; on the database node only.
pub const DATABASE_CONFIG: &str = "/etc/bake/database/postgresql.conf";
/// Who may connect to PostgreSQL (`pg_hba.conf`) as baked, mode 0644; on the database node only.
pub const DATABASE_ACCESS: &str = "/etc/bake/database/pg_hba.conf";
/// Where PostgreSQL reads its certificate and key, whatever its version; mode 0700, its own.
pub const POSTGRES_TLS: &str = "/var/lib/postgresql/bake";

/// State that survives a reboot, mode 0755.
pub const STATE_DIR: &str = "/var/lib/bake";
/// Which steps are done, mode 0600.
pub const LEDGER: &str = "/var/lib/bake/ledger.json";
/// What the node says about itself, mode 0644.
pub const STATUS: &str = "/var/lib/bake/status.json";
/// What the witness promised and learnt, mode 0600. Only the witness writes it.
pub const WITNESS_STATE: &str = "/var/lib/bake/witness.json";
/// Servers that came or left since the card was baked ([`crate::servers::Changes`]), mode 0600.
/// Only the witness writes it.
pub const SERVERS: &str = "/var/lib/bake/servers.json";
/// Servers that once took this one in, mode 0600. Only `firstboot servers` writes it.
pub const SERVERS_KNOWN: &str = "/var/lib/bake/servers-known.json";
/// Packages that lie ready for installation, mode 0755.
pub const PACKAGES: &str = "/var/lib/bake/packages";
/// Dumps of the cluster's own database, mode 0700, PostgreSQL's own.
pub const BACKUPS: &str = "/var/lib/bake/backups";
/// State that does not survive a reboot, mode 0755.
pub const RUNTIME_DIR: &str = "/run/bake";
/// What `firstboot servers` has done in this boot, mode 0644.
pub const SERVERS_STATE: &str = "/run/bake/servers.json";
/// There once keepalived may run in this boot, mode 0644.
pub const VIP_ADMITTED: &str = "/run/bake/vip-admitted";
/// Log for people, beside `config.txt` on the boot partition: name only, since releases mount it
/// in different places ([`crate::System::boot_mount`]).
pub const BOOT_LOG: &str = "bake-firstboot.log";

/// The device binary, mode 0755.
pub const FIRSTBOOT: &str = "/usr/local/lib/bake/firstboot";
/// Its unit, by name.
pub const FIRSTBOOT_UNIT: &str = "bake-firstboot.service";
/// The unit of the witness, by name; on every node.
pub const WITNESS_UNIT: &str = "bake-witness.service";
/// The unit that tells servers of each other, by name; on servers of
/// several.
pub const SERVERS_UNIT: &str = "bake-servers.service";
/// Where units of ours and of K3s lie.
pub const UNIT_DIR: &str = "/etc/systemd/system";

/// The set of nftables, in `inet filter`, of the other servers' addresses.
pub const NFT_SERVERS: &str = "bake_servers";
/// keepalived's configuration, mode 0600 (it names the other servers).
pub const KEEPALIVED_CONFIG: &str = "/etc/keepalived/keepalived.conf";
/// HAProxy's configuration, mode 0644.
pub const HAPROXY_CONFIG: &str = "/etc/haproxy/haproxy.cfg";

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
/// Certificate authorities, placed before the first start (K3s docs, custom CA certificates).
pub const K3S_TLS: &str = "/var/lib/rancher/k3s/server/tls";
/// K3s's own database; there only where it uses neither etcd nor an external datastore.
pub const K3S_SQLITE: &str = "/var/lib/rancher/k3s/server/db/state.db";
/// There as soon as embedded etcd has data (K3s `pkg/etcd`: the WAL directory decides).
pub const K3S_ETCD_WAL: &str = "/var/lib/rancher/k3s/server/db/etcd/member/wal";
/// Manifests that K3s applies by itself.
pub const K3S_MANIFESTS: &str = "/var/lib/rancher/k3s/server/manifests";
/// Image archives that K3s imports by itself.
pub const K3S_IMAGES: &str = "/var/lib/rancher/k3s/agent/images";

/// Kubernetes API and K3s supervisor of one server, TCP.
pub const API_PORT: u16 = 6443;
/// Load-balanced API behind the VIP unless the profile says otherwise, TCP.
pub const VIP_PORT: u16 = 16443;
/// Witness and state of every node, TCP.
pub const WITNESS_PORT: u16 = 16444;
/// PostgreSQL of a `database` node, TCP.
pub const POSTGRES_PORT: u16 = 5432;
