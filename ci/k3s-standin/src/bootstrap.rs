//! What servers share: their authorities, the service key and the passwords of both tokens, in the
//! datastore and on the way to a joining server (K3s `pkg/bootstrap`, `pkg/cluster/bootstrap.go`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::pki::{Tls, write};
use crate::store::Store;
use crate::{Fatal, cipher, log};

/// Below `server`: the passwords that open the supervisor.
pub const PASSWORDS: &str = "cred/passwd";

/// K3s's names for the files below `server/tls`, and [`PASSWORDS`].
const FILES: [(&str, &str); 12] = [
    ("PasswdFile", PASSWORDS),
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

/// The words of a token that did not make the data.
pub const ANOTHER_TOKEN: &str = "bootstrap data already found and encrypted with different token";

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

/// Where a shared file lies.
fn place(tls: &Tls, path: &str) -> PathBuf {
    match path.starts_with("cred/") {
        true => tls.0.parent().unwrap_or(Path::new("/")).join(path),
        false => tls.file(path),
    }
}

/// Whether this server has had all it shares with others; if not, all is written over (K3s,
/// `certDirsExist`).
fn is_complete(tls: &Tls) -> bool {
    let holds = |dir: PathBuf| fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some());
    ["server-ca.crt", "etcd/server-ca.crt", PASSWORDS]
        .iter()
        .all(|file| place(tls, file).parent().is_some_and(|dir| holds(dir.to_owned())))
}

/// The files of this server, with their times.
pub fn collect(tls: &Tls) -> Result<String, Fatal> {
    let mut files = Map::new();
    for (name, path) in FILES {
        let path = place(tls, path);
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        let content = fs::read(&path).map_err(failed)?;
        let changed = fs::metadata(&path).and_then(|m| m.modified()).map_err(failed)?;
        let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        files.insert(name.into(), json!({"Timestamp": changed, "Content": BASE64.encode(content)}));
    }
    Ok(Value::Object(files).to_string())
}

/// Brings this server's files in line: those that are missing or older are written, with the
/// times they have elsewhere; one that differs and is newer ends the process.
pub fn reconcile(tls: &Tls, text: &str) -> Result<(), Fatal> {
    let files: Value = serde_json::from_str(text).map_err(|e| format!("bootstrap data: {e}"))?;
    log::line("info", "Reconciling bootstrap data between datastore and disk");
    let judges = is_complete(tls);
    let mut stale = Vec::new();
    let mut newer = Vec::new();
    for (name, path) in FILES {
        let Some(content) = files[name]["Content"].as_str() else { continue };
        let content = BASE64.decode(content).map_err(|e| format!("bootstrap data: {e}"))?;
        let (path, time) = (place(tls, path), files[name]["Timestamp"].as_i64().unwrap_or(0));
        match fs::read(&path) {
            Ok(ours) if ours == content => continue,
            Ok(_) if judges && changed(&path) - time >= SKEW => {
                newer.push(path.display().to_string());
            }
            Ok(_) => {
                let line = format!("{} will be updated from the datastore.", path.display());
                log::line("warning", &line);
            }
            Err(_) => {
                let line = format!("{} doesn't exist. continuing...", path.display());
                log::line("warning", &line);
            }
        }
        stale.push((path, content, time));
    }
    if !newer.is_empty() {
        return Err(format!(
            "{} newer than datastore and could cause a cluster outage. Remove the file(s) from \
             disk and restart to be recreated from datastore.",
            newer.join(", ")
        ));
    }
    if !stale.is_empty() {
        log::line("warning", "Updating bootstrap data on disk from datastore");
    }
    stale.iter().try_for_each(|(path, content, time)| {
        write(path, content, 0o600)?;
        let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(*time).unwrap_or_default());
        let set = fs::File::options().write(true).open(path).and_then(|f| f.set_modified(time));
        set.map_err(|e| format!("{}: {e}", path.display()))
    })
}

/// When a file was changed, in seconds since 1970.
fn changed(path: &Path) -> i64 {
    let time = fs::metadata(path).and_then(|m| m.modified()).ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or_default())
}

/// Looks for the files of `password`.
pub fn find(store: &dyn Store, password: &str) -> Result<Found, Fatal> {
    let (key, found) = (key(password), store.list(KEYS)?);
    let others = !found.is_empty();
    Ok(match found.into_iter().find(|entry| entry.key == key) {
        Some(entry) => Found::Ours(cipher::open(password, &entry.value)?),
        None if others => Found::Another,
        None => Found::Nothing,
    })
}

/// Writes them, if nobody has; `false` where somebody was faster.
pub fn save(store: &dyn Store, password: &str, files: &str) -> Result<bool, Fatal> {
    store.swap(&key(password), &cipher::seal(password, files)?, 0)
}

/// Encrypts what there is with another password, then replaces it by this server's files (K3s
/// `RotateBootstrapToken` and `Save`).
pub fn rotate(store: &dyn Store, tls: &Tls, old: &str, new: &str) -> Result<(), Fatal> {
    let (from, to) = (key(old), key(new));
    let before = store.list(KEYS)?.into_iter().find(|entry| entry.key == from && from != to);
    if let Some(entry) = before {
        let files = cipher::open(old, &entry.value)?;
        store.swap(&to, &cipher::seal(new, &files)?, 0)?;
        log::line("info", &format!("created bootstrap key {to}"));
        store.delete(&from)?;
    }
    let sealed = cipher::seal(new, &collect(tls)?)?;
    match store.list(KEYS)?.as_slice() {
        [] => store.swap(&to, &sealed, 0).map(drop),
        [entry] if entry.key == to => store.swap(&to, &sealed, entry.revision).map(drop),
        [_] => Err(ANOTHER_TOKEN.into()),
        _ => Err("found multiple bootstrap keys in storage".into()),
    }
}

/// K3s derives it from the token's SHA-256.
fn key(password: &str) -> String {
    let hash = digest(&SHA256, password.as_bytes());
    let hex: String = hash.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{KEYS}{hex}")
}
