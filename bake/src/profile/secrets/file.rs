//! Where a cluster's secrets are kept: one file, mode 0600, replaced whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Claim, ClusterSecrets, Member, VERSION, first};
use crate::error::{Error, Fault, IoContext, Position, Result};
use crate::io::private::{self, Existing, folder};

/// A cluster's secrets and their file.
#[derive(Debug)]
pub struct SecretsFile {
    path: PathBuf,
    secrets: ClusterSecrets,
    origin: Origin,
}

/// How the secrets came to be what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They were there.
    Read,
    /// They were there without certificates, and got them now.
    Completed,
    /// They were made now.
    Created,
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
        let (mut secrets, origin) = match Self::read(path)? {
            Some(secrets) if secrets.version < VERSION => (secrets, Origin::Completed),
            Some(secrets) => (secrets, Origin::Read),
            None => (ClusterSecrets::generate(cluster, members, now)?, Origin::Created),
        };
        check_owner(path, &secrets, cluster)?;
        if secrets.complete(members, now)? || origin == Origin::Created {
            write(path, &secrets)?;
        }
        Ok(Self { path: path.to_owned(), secrets, origin })
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

    /// What this run did to the file.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Records that an image is made, and returns its incarnation.
    ///
    /// # Errors
    /// As [`SecretsFile::open`]; [`Error::NotFound`] for a node without a record.
    pub fn claim(&mut self, claim: &Claim<'_>) -> Result<u32> {
        let claimed = self.claim_all(std::slice::from_ref(claim))?;
        Ok(claimed.first().copied().unwrap_or_default())
    }

    /// As [`SecretsFile::claim`] for several images in turn, writing the file once.
    ///
    /// # Errors
    /// As [`SecretsFile::claim`]; nothing is recorded then.
    pub fn claim_all(&mut self, claims: &[Claim<'_>]) -> Result<Vec<u32>> {
        let _lock = lock(&self.path)?;
        // Another bake may have written since.
        if let Some(newer) = Self::read(&self.path)? {
            self.secrets = newer;
        }
        let mut secrets = self.secrets.clone();
        let (mut incarnations, mut any) = (Vec::with_capacity(claims.len()), false);
        for claim in claims {
            let missing = || Error::NotFound { what: "node", name: claim.node.into() };
            let (incarnation, changed) = secrets.claim(claim).ok_or_else(missing)?;
            incarnations.push(incarnation);
            any |= changed;
        }
        if any {
            write(&self.path, &secrets)?;
        }
        self.secrets = secrets;
        Ok(incarnations)
    }

    /// Claims a new incarnation for a card of `node`, above `known`, without baking it anew.
    ///
    /// # Errors
    /// As [`SecretsFile::claim`].
    pub fn raise(&mut self, node: &str, known: u32) -> Result<u32> {
        let _lock = lock(&self.path)?;
        if let Some(newer) = Self::read(&self.path)? {
            self.secrets = newer;
        }
        let record = self.secrets.nodes.get_mut(node);
        let record = record.ok_or_else(|| Error::NotFound { what: "node", name: node.into() })?;
        record.incarnation = record.incarnation.max(known).saturating_add(1);
        let raised = record.incarnation;
        write(&self.path, &self.secrets)?;
        Ok(raised)
    }

    /// Records that `node` left the cluster: the next image of that name is a new incarnation,
    /// even from unchanged inputs.
    ///
    /// # Errors
    /// As [`SecretsFile::open`].
    pub fn retire(&mut self, node: &str) -> Result<()> {
        let _lock = lock(&self.path)?;
        if let Some(newer) = Self::read(&self.path)? {
            self.secrets = newer;
        }
        if self.secrets.retire(node) {
            write(&self.path, &self.secrets)?;
        }
        Ok(())
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

fn write(path: &Path, secrets: &ClusterSecrets) -> Result<()> {
    let mut text =
        serde_json::to_vec_pretty(secrets).map_err(io::Error::from).at("writing", path)?;
    text.push(b'\n');
    private::write(path, &text, Existing::Replace)
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
