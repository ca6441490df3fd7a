//! What servers share: their authorities and the service key, in the datastore and on the way to
//! a joining server (K3s `pkg/bootstrap`, `pkg/cluster/bootstrap.go`).

use std::fs;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::pki::{Tls, write};
use crate::store::Store;
use crate::{Fatal, log};

/// K3s's names for the files below `server/tls`.
const FILES: [(&str, &str); 11] = [
    ("ServerCA", "server-ca.crt"),
    ("ServerCAKey", "server-ca.key"),
    ("ClientCA", "client-ca.crt"),
    ("ClientCAKey", "client-ca.key"),
    ("RequestHeaderCA", "request-header-ca.crt"),
    ("RequestHeaderCAKey", "request-header-ca.key"),
    ("ETCDServerCA", "etcd/server-ca.crt"),
    ("ETCDServerCAKey", "etcd/server-ca.key"),
    ("ETCDPeerCA", "etcd/peer-ca.crt"),
    ("ETCDPeerCAKey", "etcd/peer-ca.key"),
    ("ServiceKey", "service.key"),
];

/// A file on disk counts as newer from this many seconds on (K3s, `systemTimeSkew`).
const SKEW: i64 = 3;

/// Below it lies one key per token.
const KEYS: &str = "/bootstrap/";

/// What the datastore knows of a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, nor of any other: it is new.
    Nothing,
    /// The files.
    Ours(String),
    /// Files of another token.
    Another,
}

/// The files of this server, with their times.
pub fn collect(tls: &Tls) -> Result<String, Fatal> {
    let mut files = Map::new();
    for (name, path) in FILES {
        let path = tls.file(path);
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        let content = fs::read(&path).map_err(failed)?;
        let changed = fs::metadata(&path).and_then(|m| m.modified()).map_err(failed)?;
        let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        files.insert(name.into(), json!({"Timestamp": changed, "Content": BASE64.encode(content)}));
    }
    Ok(Value::Object(files).to_string())
}

/// Brings this server's files in line: those that are missing or older are written; one that
/// differs and is newer ends the process.
pub fn reconcile(tls: &Tls, text: &str) -> Result<(), Fatal> {
    let files: Value = serde_json::from_str(text).map_err(|e| format!("bootstrap data: {e}"))?;
    let mut stale = Vec::new();
    let mut newer = Vec::new();
    for (name, path) in FILES {
        let Some(content) = files[name]["Content"].as_str() else { continue };
        let content = BASE64.decode(content).map_err(|e| format!("bootstrap data: {e}"))?;
        let path = tls.file(path);
        match fs::read(&path) {
            Ok(ours) if ours == content => continue,
            Ok(_) => {
                let changed = fs::metadata(&path).and_then(|m| m.modified());
                let changed = changed.ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
                let ours = changed.map_or(0, |t| i64::try_from(t.as_secs()).unwrap_or_default());
                if ours - files[name]["Timestamp"].as_i64().unwrap_or_default() >= SKEW {
                    newer.push(path.display().to_string());
                }
            }
            Err(_) => {}
        }
        stale.push((path, content));
    }
    if !newer.is_empty() {
        return Err(format!(
            "{} newer than datastore and could cause a cluster outage. Remove the file(s) from \
             disk and restart to be recreated from datastore.",
            newer.join(", ")
        ));
    }
    if !stale.is_empty() {
        log::line("warning", "updating bootstrap data on disk from datastore");
    }
    stale.iter().try_for_each(|(path, content)| write(path, content, 0o600))
}

/// Looks for the files of `password`.
pub fn find(store: &dyn Store, password: &str) -> Result<Found, Fatal> {
    let (key, found) = (key(password), store.list(KEYS)?);
    let others = !found.is_empty();
    Ok(match found.into_iter().find(|entry| entry.key == key) {
        Some(entry) => Found::Ours(entry.value),
        None if others => Found::Another,
        None => Found::Nothing,
    })
}

/// Writes them, if nobody has; `false` where somebody was faster.
pub fn save(store: &dyn Store, password: &str, files: &str) -> Result<bool, Fatal> {
    store.swap(&key(password), files, 0)
}

/// K3s derives it from the token's SHA-256.
fn key(password: &str) -> String {
    let hash = digest(&SHA256, password.as_bytes());
    let hex: String = hash.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{KEYS}{hex}")
}
