//! Which servers came and left since this card was baked, kept in a file of the witness's own.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use nodeconf::servers::{Changes, Introduction, Noted};
use nodeconf::{Address, NodeConfig, Role, Topology, paths};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sealed::{seal, unseal};
use crate::finding::Condition;
use crate::sys::{Sys, read_text_if_there, write_durable};

/// More servers than any cluster has.
const MOST: usize = 32;

/// Why a server is not taken into the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not who it says, or not where.
    Forbidden(String),
    /// It cannot be one of our servers as things are.
    Conflict(String),
    /// We cannot keep anything now.
    Unable(Condition),
}

/// What `firstboot servers` has done in this boot ([`paths::SERVERS_STATE`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Whether the node's services go by a list.
    pub applied: bool,
    /// Which.
    pub digest: Option<String>,
    /// Why they do not go by the newest.
    pub trouble: Option<String>,
    /// Why keepalived does not run yet.
    pub held: Option<String>,
}

impl Progress {
    /// As it is written; nothing done where that cannot be read.
    pub fn read(sys: &dyn Sys) -> Self {
        let text = read_text_if_there(sys, paths::SERVERS_STATE).ok().flatten();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Whether the services go by this list.
    #[must_use]
    pub fn has_applied(&self, list: &List) -> bool {
        self.applied && self.digest == list.digest
    }
}

/// Whether the servers of a cluster tell each other who they are: where there are several.
#[must_use]
pub fn is_one_of_several(config: &NodeConfig) -> bool {
    config.node.role == Role::Server && config.cluster.topology != Topology::Single
}

/// The list as it is on the card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Who came and left.
    pub changes: Changes,
    /// Digest of the file, by which the list is known; `None` where nothing was ever kept.
    pub digest: Option<String>,
}

impl List {
    /// Reads it.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn read(sys: &dyn Sys) -> Result<Self, Condition> {
        let path = paths::SERVERS;
        let bytes = match sys.read(Path::new(path)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Condition::io(format!("reading {path}"), &e)),
        };
        let json = unseal(&bytes);
        let read = json.and_then(|json| serde_json::from_str(json).map_err(|e| e.to_string()));
        let changes = read.map_err(|why| {
            let what = format!("{path} is damaged, so who came later is not known: {why}");
            let remedy = "check the card; remove the file, and they introduce themselves again";
            Condition::new(what, remedy)
        })?;
        Ok(Self { changes, digest: Some(digest(&bytes)) })
    }

    /// The file that holds these changes.
    ///
    /// # Errors
    /// None with names and addresses.
    pub fn file(changes: &Changes) -> serde_json::Result<Vec<u8>> {
        seal(&serde_json::to_string(changes)?)
    }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The only one who writes the file.
#[derive(Default)]
pub(super) struct Roll(RefCell<Option<Changes>>);

impl Roll {
    /// Takes a server in that introduces itself from `source`.
    pub(super) fn introduce(
        &self,
        sys: &dyn Sys,
        config: &NodeConfig,
        server: &Introduction,
        source: IpAddr,
    ) -> Result<Noted, Refusal> {
        if source != IpAddr::V4(server.address) {
            let why = format!("{} speaks from {source}, not from {}", server.name, server.address);
            return Err(Refusal::Forbidden(why));
        }
        let old = self.changes(sys)?;
        if let Some(other) = owner(config, &old, server) {
            let why = format!("{} is the address of {other} here", server.address);
            return Err(Refusal::Conflict(why));
        }
        let new = old.with(config, server);
        if new.0.len() > MOST {
            return Err(Refusal::Conflict(format!(
                "{MOST} servers came or left: no more are kept"
            )));
        }
        self.keep(sys, &old, new)
    }

    /// Takes a server out.
    pub(super) fn dismiss(
        &self,
        sys: &dyn Sys,
        config: &NodeConfig,
        name: &str,
    ) -> Result<Noted, Refusal> {
        let old = self.changes(sys)?;
        let new = old.without(config, name);
        self.keep(sys, &old, new)
    }

    fn changes(&self, sys: &dyn Sys) -> Result<Changes, Refusal> {
        if let Some(changes) = &*self.0.borrow() {
            return Ok(changes.clone());
        }
        let read = List::read(sys).map_err(Refusal::Unable)?.changes;
        self.0.replace(Some(read.clone()));
        Ok(read)
    }

    fn keep(&self, sys: &dyn Sys, old: &Changes, new: Changes) -> Result<Noted, Refusal> {
        if new != *old {
            // What is in the file is not known until it is written.
            self.0.replace(None);
            write(sys, &new).map_err(Refusal::Unable)?;
            self.0.replace(Some(new));
        }
        let list = List::read(sys).map_err(Refusal::Unable)?;
        let progress = Progress::read(sys);
        let applied = progress.has_applied(&list);
        Ok(Noted { applied, trouble: progress.trouble.filter(|_| !applied) })
    }
}

/// Who has the server's address already.
fn owner(config: &NodeConfig, changes: &Changes, server: &Introduction) -> Option<String> {
    if config.cluster.vip.as_ref().is_some_and(|vip| vip.address == server.address) {
        return Some("all servers".into());
    }
    let own = match &config.node.address {
        Address::Static(own) => Some(own.address),
        Address::Dhcp => None,
    };
    if server.name != config.node.name && own == Some(server.address) {
        return Some(config.node.name.clone());
    }
    let others = changes.servers(config).into_iter().filter(|peer| peer.name != server.name);
    others.into_iter().find(|peer| peer.address == Some(server.address)).map(|peer| peer.name)
}

fn write(sys: &dyn Sys, changes: &Changes) -> Result<(), Condition> {
    let path = paths::SERVERS;
    let failed = |e: io::Error| Condition::io(format!("writing {path}"), &e);
    let bytes = List::file(changes).map_err(|e| failed(e.into()))?;
    sys.make_dirs(Path::new(paths::STATE_DIR), 0o755).map_err(failed)?;
    write_durable(sys, Path::new(path), &bytes, 0o600).map_err(failed)
}
