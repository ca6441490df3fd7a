//! The etcd process: started with K3s's options, watched, and dead when its parent is.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::{Cluster, Member};
use crate::{Fatal, log};

/// etcd says this when its cluster removed it (etcd `rafthttp.ErrMemberRemoved`).
const REMOVED: &str = "the member has been permanently removed from the cluster";
/// How long the last etcd of this server may take to free its ports.
const PORT_PATIENCE: Duration = Duration::from_secs(5);

/// How etcd ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Its cluster removed it.
    Removed,
    /// Anything else; with what it said last.
    Died(String),
}

/// `k3s etcd-child PARENT PROGRAM ARGUMENT…`: binds its life to the parent's, then becomes etcd.
/// prctl(2) keeps the signal over execve(2).
pub fn become_etcd(args: &[String]) -> Result<(), Fatal> {
    let [parent, program, rest @ ..] = args else { return Err("etcd-child is internal".into()) };
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| e.to_string())?;
    if getppid().map(|pid| pid.as_raw_nonzero().to_string()).as_ref() != Some(parent) {
        return Err("the parent is gone already".into());
    }
    Err(format!("{program}: {}", Command::new(program).args(rest).exec()))
}

impl Member {
    /// Runs etcd until it ends. The signal at the parent's death is sent when the *thread* that
    /// started the child ends: the caller's thread must live as long as the process.
    pub fn run(&self, cluster: Option<&Cluster>) -> Result<Ended, Fatal> {
        self.wait_for_ports();
        let mut child = self.spawn(cluster)?;
        let mut removed = false;
        let mut last = String::new();
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                removed |= line.contains(REMOVED);
                if !line.contains("\"level\":\"info\"") && !line.contains("\"level\":\"debug\"") {
                    log::raw(&line);
                    last = line;
                }
            }
        }
        let status = child.wait().map_err(|e| e.to_string())?;
        Ok(match removed {
            true => Ended::Removed,
            false => Ended::Died(format!("{status}: {last}")),
        })
    }

    fn spawn(&self, cluster: Option<&Cluster>) -> Result<Child, Fatal> {
        let program = std::env::var("K3S_STANDIN_ETCD").unwrap_or_else(|_| "etcd".into());
        let mut command = Command::new("/proc/self/exe");
        command.arg0("k3s").args(["etcd-child", &std::process::id().to_string(), &program]);
        command.args(self.options(cluster));
        // etcd would tell systemd that it is ready, in our name.
        command.env_remove("NOTIFY_SOCKET");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ETCD_") {
                command.env_remove(name);
            }
        }
        if cfg!(not(target_arch = "x86_64")) {
            // etcd 3.4 starts on arm64 only when asked to.
            command
                .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH.replace("aarch64", "arm64"));
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("starting etcd: {e}"))
    }

    fn options(&self, cluster: Option<&Cluster>) -> Vec<String> {
        let time =
            |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
        let file = |name: &str| self.tls.file(name).display().to_string();
        let (mut clients, metrics) = match self.is_loopback() {
            true => (self.client_url(), format!("http://{}:2381", self.address)),
            false => (self.client_url(), "http://127.0.0.1:2381".into()),
        };
        if !self.is_loopback() {
            clients.push_str(",https://127.0.0.1:2379");
        }
        let mut options: Vec<(&str, String)> = vec![
            ("name", self.name.clone()),
            ("data-dir", self.dir.display().to_string()),
            ("listen-client-urls", clients),
            ("listen-peer-urls", self.peer_url()),
            ("listen-metrics-urls", metrics),
            ("advertise-client-urls", self.client_url()),
            ("cert-file", file("etcd/server-client.crt")),
            ("key-file", file("etcd/server-client.key")),
            ("trusted-ca-file", file("etcd/server-ca.crt")),
            ("client-cert-auth", "true".into()),
            ("peer-cert-file", file("etcd/peer-server-client.crt")),
            ("peer-key-file", file("etcd/peer-server-client.key")),
            ("peer-trusted-ca-file", file("etcd/peer-ca.crt")),
            ("peer-client-cert-auth", "true".into()),
            ("heartbeat-interval", time("K3S_STANDIN_ETCD_HEARTBEAT_MS", "100")),
            ("election-timeout", time("K3S_STANDIN_ETCD_ELECTION_MS", "1000")),
            ("logger", "zap".into()),
            ("log-outputs", "stderr".into()),
        ];
        if let Some(cluster) = cluster {
            options.push(("initial-advertise-peer-urls", self.peer_url()));
            options.push(("initial-cluster", cluster.members.clone()));
            options.push(("initial-cluster-state", cluster.state.into()));
        }
        let own = options.into_iter().map(|(name, value)| format!("--{name}={value}"));
        own.chain(self.args.iter().map(|arg| format!("--{arg}"))).collect()
    }

    /// The etcd of a server that was just killed may be a moment behind it.
    fn wait_for_ports(&self) {
        let begun = Instant::now();
        let busy = |port| TcpListener::bind((self.address.as_str(), port)).is_err();
        while begun.elapsed() < PORT_PATIENCE && (busy(2379) || busy(2380)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
