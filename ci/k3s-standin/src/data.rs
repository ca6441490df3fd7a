//! What a server remembers: the part of a datastore that tests can see.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::Fatal;
use crate::pki::write;

/// A registered node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// InternalIP.
    pub address: String,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    /// Labels given at registration.
    pub labels: BTreeMap<String, String>,
}

/// The datastore.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    #[serde(skip)]
    file: PathBuf,
    /// uid of namespace kube-system: what tells two clusters apart.
    pub uid: String,
    /// Server password the data was made with.
    pub password: String,
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
}

impl Data {
    /// Opens the datastore below `dir`, or founds a cluster with `password`.
    pub fn open(dir: &Path, password: &str) -> Result<Self, Fatal> {
        let file = dir.join("stand-in.json");
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let uid = random_hex::<16>()?;
                let data =
                    Self { file, uid, password: password.to_owned(), nodes: BTreeMap::new() };
                return data.save().map(|()| data);
            }
            Err(e) => return Err(format!("{}: {e}", file.display())),
        };
        let data: Self =
            serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        if data.password != password {
            return Err("starting kubernetes: preparing server: bootstrap data already found and \
                        encrypted with different token"
                .into());
        }
        Ok(Self { file, ..data })
    }

    /// Adds a node, if it is not there.
    pub fn register(&mut self, name: &str, node: Node) -> Result<(), Fatal> {
        if self.nodes.contains_key(name) {
            return Ok(());
        }
        self.nodes.insert(name.to_owned(), node);
        self.save()
    }

    fn save(&self) -> Result<(), Fatal> {
        let text = serde_json::to_vec_pretty(self).map_err(|e| e.to_string())?;
        write(&self.file, &text, 0o600)
    }
}

/// Random bytes, as hexadecimal.
pub fn random_hex<const N: usize>() -> Result<String, Fatal> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
