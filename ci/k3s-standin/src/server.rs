//! `k3s server`: checks, files, port, and what becomes true when.

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;

use crate::config::Config;
use crate::data::{Data, Node, random_hex};
use crate::pki::{Tls, write};
use crate::token::{Token, ca_hash};
use crate::{Fatal, api, log, rooted, version};

/// A running server.
#[derive(Debug)]
pub struct Server {
    begun: Instant,
    /// From here on `/ping` answers; everything is 503 before.
    ping: Duration,
    /// From here on the API is ready and the node registered.
    ready: Duration,
    /// From here on the node is Ready.
    node_ready: Duration,
    /// The datastore.
    pub data: Mutex<Data>,
    /// Certificates.
    pub tls: Tls,
}

impl Server {
    /// Whether `/ping` answers.
    pub fn answers(&self) -> bool {
        self.begun.elapsed() >= self.ping
    }

    /// Whether the API is ready.
    pub fn is_ready(&self) -> bool {
        self.begun.elapsed() >= self.ready
    }

    /// Whether its nodes are Ready.
    pub fn nodes_are_ready(&self) -> bool {
        self.begun.elapsed() >= self.node_ready
    }
}

/// Runs until it is killed.
pub fn run(args: &[String]) -> Result<(), Fatal> {
    let config = Config::load(args)?;
    log::line("info", &format!("Starting k3s {} (stand-in)", version()));
    require_memory_cgroup()?;
    refuse_what_is_missing(&config)?;
    let data_dir = config.path("data-dir", "/var/lib/rancher/k3s");
    let tls = Tls(data_dir.join("server/tls"));
    let token = server_token(&config, &data_dir, &tls)?;
    let data = Data::open(&data_dir.join("server/db"), &token.password)?;
    tls.ensure_authorities()?;
    write_tokens(&config, &data_dir, &tls, &token)?;
    let name = node_name(&config)?;
    let address = node_address(&config);
    tls.serving(names(&config, &name, &address))?;
    tls.admin()?;
    let port = port(&config)?;
    write_kubeconfig(&config, &tls, port)?;

    let server = Arc::new(Server {
        begun: Instant::now(),
        ping: from_env("K3S_STANDIN_PING_MS", 2000)?,
        ready: from_env("K3S_STANDIN_READY_MS", 4000)?,
        node_ready: from_env("K3S_STANDIN_NODE_MS", 6000)?,
        data: Mutex::new(data),
        tls,
    });
    let bind = config.get("bind-address").unwrap_or("0.0.0.0");
    let bind: IpAddr = bind.parse().map_err(|e| format!("bind-address {bind}: {e}"))?;
    let listener = api::Listener::bind(SocketAddr::new(bind, port), Arc::clone(&server))?;
    std::thread::spawn(move || become_ready(&server, &config, &name, &address));
    listener.serve()
}

/// Registers the node and tells systemd, once the API is ready.
fn become_ready(server: &Server, config: &Config, name: &str, address: &str) {
    while !server.is_ready() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let labels = config
        .all("node-label")
        .filter_map(|label| label.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let node = Node { address: address.to_owned(), created, labels };
    let registered = server.data.lock().map_err(|e| e.to_string());
    match registered.and_then(|mut data| data.register(name, node)) {
        Ok(()) => log::line("info", "k3s is up and running"),
        Err(e) => {
            // etcd and SQLite end the process when the disk is full.
            log::line("fatal", &e);
            std::process::exit(1);
        }
    }
    notify("READY=1");
}

/// K3s refuses to run containers without accounting memory (K3s `pkg/cgroups`).
fn require_memory_cgroup() -> Result<(), Fatal> {
    let v2 = fs::read_to_string(rooted("/sys/fs/cgroup/cgroup.controllers"));
    let found = match v2 {
        Ok(controllers) => controllers.split_whitespace().any(|name| name == "memory"),
        Err(_) => fs::read_to_string(rooted("/proc/cgroups")).is_ok_and(|text| {
            text.lines().any(|l| l.starts_with("memory") && l.trim_end().ends_with('1'))
        }),
    };
    if found {
        return Ok(());
    }
    Err("Failed to find memory cgroup, you may need to add \"cgroup_memory=1 \
         cgroup_enable=memory\" to your linux cmdline (/boot/cmdline.txt on a Raspberry Pi)"
        .into())
}

/// Better no test than one that believes it has joined.
fn refuse_what_is_missing(config: &Config) -> Result<(), Fatal> {
    let asked =
        ["server", "datastore-endpoint"].into_iter().filter(|key| config.get(key).is_some());
    let switched = ["cluster-init", "cluster-reset"].into_iter().filter(|key| config.is_on(key));
    if let Some(key) = asked.chain(switched).next() {
        return Err(format!("the stand-in is a single server and has no {key}"));
    }
    Ok(())
}

fn server_token(config: &Config, data_dir: &Path, tls: &Tls) -> Result<Token, Fatal> {
    let file = data_dir.join("server/token");
    let token = match (Token::configured(config, "token")?, fs::read_to_string(&file)) {
        (Some(token), _) => token,
        (None, Ok(text)) => Token::parse(&text)?,
        (None, Err(_)) => Token { pin: None, password: random_hex::<16>()? },
    };
    if let Some(pin) = &token.pin {
        if !tls.was_placed() {
            return Err("a full token needs the CA it pins below server/tls".into());
        }
        let hash = ca_hash(&tls.read("server-ca.crt")?)?;
        if hash != *pin {
            return Err(format!(
                "token CA hash does not match the Cluster CA certificate hash: {pin} != {hash}"
            ));
        }
    }
    Ok(token)
}

fn write_tokens(config: &Config, data: &Path, tls: &Tls, token: &Token) -> Result<(), Fatal> {
    let hash = ca_hash(&tls.read("server-ca.crt")?)?;
    let full = token.full(&hash, "server");
    write(&data.join("server/token"), full.as_bytes(), 0o600)?;
    if let Some(agent) = Token::configured(config, "agent-token")? {
        let full = agent.full(&hash, "node");
        write(&data.join("server/agent-token"), full.as_bytes(), 0o600)?;
    }
    let link = data.join("server/node-token");
    if link.symlink_metadata().is_err() {
        std::os::unix::fs::symlink(data.join("server/token"), &link).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn node_name(config: &Config) -> Result<String, Fatal> {
    if let Some(name) = config.get("node-name") {
        return Ok(name.to_lowercase());
    }
    let file = rooted("/proc/sys/kernel/hostname");
    let name = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(name.trim().to_lowercase())
}

/// The configured address, or the one packets to the world would have; nothing is sent.
fn node_address(config: &Config) -> String {
    if let Some(address) = config.get("node-ip") {
        return address.to_owned();
    }
    UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()))
        .map_or_else(|_| "127.0.0.1".into(), |address| address.ip().to_string())
}

fn names(config: &Config, node: &str, address: &str) -> Vec<String> {
    let fixed = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
        "10.43.0.1",
        node,
        address,
    ];
    fixed.into_iter().chain(config.all("tls-san")).map(str::to_owned).collect()
}

fn port(config: &Config) -> Result<u16, Fatal> {
    let port = config.get("https-listen-port").unwrap_or("6443");
    port.parse().map_err(|e| format!("https-listen-port {port}: {e}"))
}

fn write_kubeconfig(config: &Config, tls: &Tls, port: u16) -> Result<(), Fatal> {
    let data = |name: &str| -> Result<String, Fatal> {
        Ok(base64::engine::general_purpose::STANDARD.encode(tls.read(name)?))
    };
    let text = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    \
         server: https://127.0.0.1:{port}\n  name: default\ncontexts:\n- context:\n    \
         cluster: default\n    user: default\n  name: default\ncurrent-context: default\n\
         kind: Config\nusers:\n- name: default\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\n",
        data("server-ca.crt")?,
        data("client-admin.crt")?,
        data("client-admin.key")?
    );
    let mode = config.get("write-kubeconfig-mode").unwrap_or("0600");
    let mode = u32::from_str_radix(mode, 8).map_err(|e| format!("kubeconfig mode: {e}"))?;
    let file: PathBuf = config.path("write-kubeconfig", "/etc/rancher/k3s/k3s.yaml");
    write(&file, text.as_bytes(), mode)
}

fn from_env(name: &str, default: u64) -> Result<Duration, Fatal> {
    let Ok(text) = std::env::var(name) else { return Ok(Duration::from_millis(default)) };
    text.parse().map(Duration::from_millis).map_err(|e| format!("{name}={text}: {e}"))
}

/// sd_notify(3).
fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(hidden) => UnixAddr::from_abstract_name(hidden),
        None => UnixAddr::from_pathname(&name),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(state.as_bytes(), &address);
    }
}
