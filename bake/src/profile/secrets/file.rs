//! Where a cluster's secrets are kept: one file, mode 0600, replaced whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::NamedTempFile;

use super::{ClusterSecrets, Member, VERSION, first};
use crate::error::{Error, Fault, IoContext, Position, Result};

/// A cluster's secrets and their file.
#[derive(Debug)]
pub struct SecretsFile {
    path: PathBuf,
    secrets: ClusterSecrets,
    created: bool,
}

impl SecretsFile {
    /// Reads the secrets, or makes them on first use; nodes new to the profile get theirs, and
    /// secrets of an older version what they lack.
    ///
    /// # Errors
    /// [`Error::Refused`] where others can read the file or it belongs to another cluster,
    /// [`Error::Invalid`] where it is damaged, [`Error::Io`].
    pub fn open(path: &Path, cluster: &str, members: &[Member]) -> Result<Self> {
        let _lock = lock(path)?;
        let now = now();
        let (mut secrets, created) = match Self::read(path)? {
            Some(secrets) => (secrets, false),
            None => (ClusterSecrets::generate(cluster, members, now)?, true),
        };
        check_owner(path, &secrets, cluster)?;
        if secrets.complete(members, now)? || created {
            write(path, &secrets)?;
        }
        Ok(Self { path: path.to_owned(), secrets, created })
    }

    /// Reads the secrets without making or changing anything; `None` where there are none yet.
    /// What secrets of an older version lack is then a placeholder.
    ///
    /// # Errors
    /// As [`SecretsFile::open`].
    pub fn peek(path: &Path, cluster: &str) -> Result<Option<ClusterSecrets>> {
        let secrets = Self::read(path)?;
        if let Some(secrets) = &secrets {
            check_owner(path, secrets, cluster)?;
        }
        Ok(secrets)
    }

    /// The secrets.
    #[must_use]
    pub fn secrets(&self) -> &ClusterSecrets {
        &self.secrets
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this run made the file.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Records that an image of `node` is made from inputs with digest `inputs` and returns its
    /// incarnation: unchanged inputs keep it, changed ones and `replace` raise it.
    ///
    /// # Errors
    /// As [`SecretsFile::open`]; [`Error::NotFound`] for a node without a record.
    pub fn claim(&mut self, node: &str, inputs: &str, replace: bool) -> Result<u32> {
        let _lock = lock(&self.path)?;
        // Another bake may have written since.
        if let Some(newer) = Self::read(&self.path)? {
            self.secrets = newer;
        }
        let claimed = self.secrets.claim(node, inputs, replace);
        let (incarnation, changed) =
            claimed.ok_or_else(|| Error::NotFound { what: "node", name: node.into() })?;
        if changed {
            write(&self.path, &self.secrets)?;
        }
        Ok(incarnation)
    }

    fn read(path: &Path) -> Result<Option<ClusterSecrets>> {
        let text = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.at("reading", path)?,
        };
        check_mode(path)?;
        parse(path, &text).map(Some)
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<ClusterSecrets> {
    let invalid = |at, message: &str| Error::Invalid {
        what: format!("secrets file {}", path.display()),
        faults: vec![Fault { key: String::new(), at, message: message.into(), help: None }],
    };
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u64,
    }
    let version = serde_json::from_slice(text).map_or(u64::from(VERSION), |v: Versioned| v.version);
    let read = match version {
        1 => serde_json::from_slice(text).map(|first: first::ClusterSecrets| first.into()),
        v if v == u64::from(VERSION) => serde_json::from_slice(text),
        _ => {
            let message =
                format!("version {version} is not supported, this bake reads up to {VERSION}");
            return Err(invalid(None, &message));
        }
    };
    // serde's message quotes the value it met, which may be a secret.
    read.map_err(|e| {
        let at = Position { line: e.line().max(1), column: e.column().max(1) };
        invalid(Some(at), "damaged: not what a cluster's secrets look like from here on")
            .hint("restore it from a backup; without it no node can join its cluster again")
    })
}

/// Seconds since 1970-01-01 UTC. Only what is kept in the file may depend on it.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn check_owner(path: &Path, secrets: &ClusterSecrets, cluster: &str) -> Result<()> {
    if secrets.cluster == cluster {
        return Ok(());
    }
    let reason = format!("they belong to cluster `{}`", secrets.cluster);
    let action = format!("use the secrets in {} for cluster `{cluster}`", path.display());
    Err(Error::Refused { action, reason }.hint("name another file with `--secrets`"))
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).at("examining", path)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let reason = format!("others can read or change it (mode {mode:04o})");
    let action = format!("use the secrets in {}", path.display());
    Err(Error::Refused { action, reason }.hint(format!("chmod 600 {}", path.display())))
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<()> {
    Ok(())
}

/// Replaces the file: temporary file (mode 0600 from its first byte), sync, rename, sync.
fn write(path: &Path, secrets: &ClusterSecrets) -> Result<()> {
    let folder = folder(path);
    let mut text =
        serde_json::to_vec_pretty(secrets).map_err(io::Error::from).at("writing", path)?;
    text.push(b'\n');
    let mut file = NamedTempFile::new_in(folder).at("creating a file beside", path)?;
    file.write_all(&text).at("writing", path)?;
    file.as_file().sync_all().at("syncing", path)?;
    file.persist(path).map_err(|e| e.error).at("replacing", path)?;
    sync_folder(folder)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|dir| dir.sync_all()).at("syncing", folder)
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

/// Keeps other bakes of the same cluster out until dropped. The folder is locked because the
/// file itself is replaced.
#[cfg(unix)]
fn lock(path: &Path) -> Result<Option<File>> {
    let folder = folder(path);
    let dir = File::open(folder).at("opening", folder)?;
    dir.lock().at("locking", folder)?;
    Ok(Some(dir))
}

/// Elsewhere a folder cannot be locked; two first uses at once are then the operator's to avoid.
#[cfg(not(unix))]
fn lock(_: &Path) -> Result<Option<File>> {
    Ok(None)
}

#[cfg(all(test, unix))]
#[path = "file_tests.rs"]
mod tests;
