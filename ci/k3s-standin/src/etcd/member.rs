//! This server as a member: its name, its way into a cluster, its removal (K3s `pkg/etcd`).

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::access::Access;
use crate::pki::{Tls, write};
use crate::settings::{Generation, random_hex};
use crate::{Fatal, log};

use super::Gateway;

/// How long K3s waits for the cluster it joins.
const JOIN_PATIENCE: Duration = Duration::from_secs(20);

/// How etcd is to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `--initial-cluster`.
    pub members: String,
    /// `--initial-cluster-state`.
    pub state: &'static str,
}

/// Why a member could not join.
#[derive(Debug)]
pub enum Refusal {
    /// Might be otherwise a second later.
    Wait(String),
    /// Ends the process.
    Fatal(String),
}

/// This server's member.
#[derive(Debug, Clone)]
pub struct Member {
    /// `NODE-XXXXXXXX`.
    pub name: String,
    /// Node name.
    pub node: String,
    /// Address for clients and peers.
    pub address: String,
    /// `server/db/etcd`.
    pub dir: PathBuf,
    /// Certificates.
    pub tls: Tls,
    /// `etcd-arg`.
    pub args: Vec<String>,
}

impl Member {
    /// Takes up the member's name, or gives it one. A tombstone sends the old data aside.
    pub fn new(
        dir: PathBuf,
        node: &str,
        address: &str,
        tls: &Tls,
        joins: bool,
        generation: Generation,
    ) -> Result<Self, Fatal> {
        let failed = |e: std::io::Error| format!("{}: {e}", dir.display());
        if dir.join("tombstone").exists() {
            if generation == Generation::New && !joins {
                return Err("etcd tombstone file has been detected: this node was removed from \
                            its cluster; set server to rejoin it"
                    .into());
            }
            log::line(
                "info",
                "tombstone file has been detected, removing data dir to rejoin the cluster",
            );
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            fs::rename(&dir, dir.with_file_name(format!("etcd-old-{now}"))).map_err(failed)?;
        }
        let file = dir.join("name");
        let name = match fs::read_to_string(&file) {
            Ok(name) => name,
            Err(_) => {
                let name = format!("{node}-{}", random_hex::<4>()?);
                write(&file, name.as_bytes(), 0o600)?;
                name
            }
        };
        let tls = tls.clone();
        Ok(Self { name, node: node.into(), address: address.into(), dir, tls, args: Vec::new() })
    }

    /// Whether etcd has data, which decides everything (K3s looks for the write-ahead log).
    pub fn has_data(dir: &std::path::Path) -> bool {
        dir.join("member/wal").is_dir() && !dir.join("tombstone").exists()
    }

    /// For peers.
    pub fn peer_url(&self) -> String {
        format!("https://{}:2380", self.address)
    }

    /// For clients.
    pub fn client_url(&self) -> String {
        format!("https://{}:2379", self.address)
    }

    /// A client of the member itself. Where several nodes share a loopback device, 127.0.0.1
    /// belongs to none of them.
    pub fn local(&self, patience: Duration) -> Result<Gateway, Fatal> {
        let address = if self.is_loopback() { &self.address } else { "127.0.0.1" };
        Gateway::new(&self.tls, vec![format!("https://{address}:2379")], patience)
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.address.starts_with("127.")
    }

    /// A cluster of this member alone.
    pub fn alone(&self) -> Cluster {
        Cluster { members: format!("{}={}", self.name, self.peer_url()), state: "new" }
    }

    /// Becomes a learner of the cluster behind `access`.
    pub fn join(&self, access: &Access, generation: Generation) -> Result<Cluster, Refusal> {
        let urls = access.etcd_urls(&self.address).map_err(|e| waits(generation, e))?;
        let gateway = Gateway::new(&self.tls, urls, JOIN_PATIENCE).map_err(Refusal::Fatal)?;
        let found = gateway.members().map_err(|e| waits(generation, e))?;
        let mut cluster = Vec::new();
        let mut add = true;
        for peer in found {
            let Some(url) = peer.peer_urls.first() else { continue };
            let ours = *url == self.peer_url();
            let name = if peer.name.is_empty() && ours { &self.name } else { &peer.name };
            let node = name.rsplit_once('-').map_or(name.as_str(), |(node, _)| node);
            if *name != self.name && node == self.node {
                // A name that was used up must not stay.
                let _ = fs::remove_file(self.dir.join("name"));
                return Err(Refusal::Fatal(
                    "duplicate node name found, please use a unique name for this node".into(),
                ));
            }
            add &= !(*name == self.name && ours);
            cluster.push(format!("{name}={url}"));
        }
        if add {
            let us = format!("{}={}", self.name, self.peer_url());
            log::line("info", &format!("Adding member {us} to etcd cluster {cluster:?}"));
            gateway.add_learner(&self.peer_url()).map_err(|e| waits(generation, e))?;
            cluster.push(us);
        }
        Ok(Cluster { members: cluster.join(","), state: "existing" })
    }

    /// Joins, as patiently as the generation is.
    pub fn join_patiently(
        &self,
        access: &Access,
        generation: Generation,
    ) -> Result<Cluster, Fatal> {
        loop {
            match self.join(access, generation) {
                Ok(cluster) => return Ok(cluster),
                Err(Refusal::Fatal(e)) => return Err(format!("ETCD join failed: {e}")),
                Err(Refusal::Wait(e)) => {
                    log::line(
                        "info",
                        &format!("Waiting for other members to finish joining etcd cluster: {e}"),
                    );
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }

    /// Leaves the mark that makes the next start begin anew.
    pub fn bury(&self) -> Result<(), Fatal> {
        write(&self.dir.join("tombstone"), b"", 0o600)
    }
}

/// K3s before 1.26.5 ended on every refusal; later ones wait where waiting can help.
fn waits(generation: Generation, error: String) -> Refusal {
    let passing = ["too many learner", "unhealthy cluster", "timed out", "/db/info", "connection"];
    match generation {
        Generation::New if passing.iter().any(|part| error.contains(part)) => Refusal::Wait(error),
        _ => Refusal::Fatal(error),
    }
}
