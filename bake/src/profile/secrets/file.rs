//! Where a cluster's secrets are kept: one file, mode 0600, replaced whole or not at all; encrypted
//! or not, as it was before.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::{Claim, ClusterSecrets, Member, Rotated, VERSION, first};
use crate::error::{Error, Fault, IoContext, Position, Result};
use crate::io::digest::Sha256;
use crate::io::private::{self, Existing};
use crate::io::sealed::{self, Keys, Lock};
use crate::io::whole;

/// A cluster's secrets and their file.
#[derive(Debug)]
pub struct SecretsFile {
    path: PathBuf,
    secrets: ClusterSecrets,
    origin: Origin,
    lock: Option<Lock>,
    keys: Keys,
    /// Digest of the file as it was last seen, to tell whether another bake has changed it:
    /// opening a sealed file anew costs a good part of a second.
    seen: Option<Sha256>,
}

/// The file's content.
struct Stored {
    secrets: ClusterSecrets,
    lock: Option<Lock>,
    digest: Sha256,
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
    pub fn open(path: &Path, cluster: &str, members: &[Member], keys: &Keys) -> Result<Self> {
        Self::open_or_make(path, cluster, members, keys, None)
    }

    /// As [`SecretsFile::open`]; where there are none yet, they are made and encrypted by `lock`,
    /// so that the disk never has them as clear text.
    ///
    /// # Errors
    /// As [`SecretsFile::open`].
    pub fn open_or_make(
        path: &Path,
        cluster: &str,
        members: &[Member],
        keys: &Keys,
        lock: Option<Lock>,
    ) -> Result<Self> {
        let _lock = hold(path)?;
        let now = now();
        let (secrets, origin, lock, seen) = match read(path, keys)? {
            Some(Stored { secrets, lock, digest }) => {
                let old = secrets.version < VERSION;
                (secrets, if old { Origin::Completed } else { Origin::Read }, lock, Some(digest))
            }
            None => {
                let new = ClusterSecrets::generate(cluster, members, now)?;
                (new, Origin::Created, lock, None)
            }
        };
        check_owner(path, &secrets, cluster)?;
        let keys = keys.clone();
        let mut file = Self { path: path.to_owned(), secrets, origin, lock, keys, seen };
        if file.secrets.complete(members, now)? || origin == Origin::Created {
            file.write()?;
        }
        Ok(file)
    }

    /// Reads the secrets without making or changing anything; `None` where there are none yet.
    /// What secrets of an older version lack is then a placeholder.
    ///
    /// # Errors
    /// As [`SecretsFile::open`].
    pub fn look(path: &Path, cluster: &str, keys: &Keys) -> Result<Option<Self>> {
        let Some(Stored { secrets, lock, digest }) = read(path, keys)? else { return Ok(None) };
        check_owner(path, &secrets, cluster)?;
        let (path, keys) = (path.to_owned(), keys.clone());
        Ok(Some(Self { path, secrets, origin: Origin::Read, lock, keys, seen: Some(digest) }))
    }

    /// As [`SecretsFile::look`], only the secrets.
    ///
    /// # Errors
    /// As [`SecretsFile::open`].
    pub fn peek(path: &Path, cluster: &str, keys: &Keys) -> Result<Option<ClusterSecrets>> {
        Ok(Self::look(path, cluster, keys)?.map(|file| file.secrets))
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

    /// What it takes to read the file; `None` where it is clear text.
    #[must_use]
    pub fn lock(&self) -> Option<&Lock> {
        self.lock.as_ref()
    }

    /// Keeps the secrets from now on as `lock` says; as clear text without one.
    ///
    /// # Errors
    /// As [`SecretsFile::open`].
    pub fn relock(&mut self, lock: Option<Lock>) -> Result<()> {
        self.change(|file| {
            file.lock = lock;
            Ok(((), true))
        })
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
        self.change(|file| {
            let mut secrets = file.secrets.clone();
            let (mut incarnations, mut any) = (Vec::with_capacity(claims.len()), false);
            for claim in claims {
                let missing = || Error::NotFound { what: "node", name: claim.node.into() };
                let (incarnation, changed) = secrets.claim(claim).ok_or_else(missing)?;
                incarnations.push(incarnation);
                any |= changed;
            }
            file.secrets = secrets;
            Ok((incarnations, any))
        })
    }

    /// Claims a new incarnation for a card of `node`, above `known`, without baking it anew.
    ///
    /// # Errors
    /// As [`SecretsFile::claim`].
    pub fn raise(&mut self, node: &str, known: u32) -> Result<u32> {
        self.change(|file| {
            let record = file.secrets.nodes.get_mut(node);
            let record =
                record.ok_or_else(|| Error::NotFound { what: "node", name: node.into() })?;
            record.incarnation = record.incarnation.max(known).saturating_add(1);
            Ok((record.incarnation, true))
        })
    }

    /// Records that `node` left the cluster: the next image of that name is a new incarnation,
    /// even from unchanged inputs.
    ///
    /// # Errors
    /// As [`SecretsFile::open`].
    pub fn retire(&mut self, node: &str) -> Result<()> {
        self.change(|file| Ok(((), file.secrets.retire(node))))
    }

    /// Makes the secrets that are to take the place of others; a rotation of the same that is
    /// under way goes on. Returns whether any were made.
    ///
    /// # Errors
    /// As [`SecretsFile::open`]; [`Error::Refused`] where another rotation is under way.
    pub fn begin_rotation(&mut self, what: Rotated) -> Result<bool> {
        self.change(|file| file.secrets.begin(what).map(|made| (made, made)))
    }

    /// Ends the rotation under way: the new secrets count from now on, or with `abandon` the old
    /// ones go on. Returns what was rotated, `None` where nothing was.
    ///
    /// # Errors
    /// As [`SecretsFile::open`].
    pub fn end_rotation(&mut self, abandon: bool) -> Result<Option<Rotated>> {
        self.change(|file| {
            let Some(after) = file.secrets.rotated() else { return Ok((None, false)) };
            let what = file.secrets.next.take().map(|next| next.what());
            if !abandon {
                file.secrets = after;
            }
            Ok((what, true))
        })
    }

    /// Changes what is in the file by now, while nobody else does; `change` tells whether it did.
    fn change<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<(T, bool)>) -> Result<T> {
        let _lock = hold(&self.path)?;
        self.refresh()?;
        let (value, changed) = change(self)?;
        if changed {
            self.write()?;
        }
        Ok(value)
    }

    /// Takes what another bake may have written since.
    fn refresh(&mut self) -> Result<()> {
        let now = load(&self.path)?;
        let newer = now.filter(|bytes| Some(Sha256::of(bytes)) != self.seen);
        let Some(bytes) = newer else { return Ok(()) };
        let newer = unlock(&self.path, &bytes, &self.keys)?;
        (self.secrets, self.lock, self.seen) = (newer.secrets, newer.lock, Some(newer.digest));
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        if let Some(Lock::Recipients(all)) = &self.lock {
            self.secrets.recipients.clone_from(all);
        } else {
            self.secrets.recipients.clear();
        }
        let text = self.secrets.to_json();
        let sealed = self.lock.as_ref().map(|lock| sealed::seal(text.as_bytes(), lock));
        let sealed = sealed.transpose()?;
        let bytes = sealed.as_deref().unwrap_or(text.as_bytes());
        private::write(&self.path, bytes, Existing::Replace)?;
        self.seen = Some(Sha256::of(bytes));
        Ok(())
    }
}

fn load(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A pipe would be waited for, and can be neither locked nor replaced.
        Ok(metadata) if !metadata.is_file() => {
            let action = format!("use the secrets in {}", path.display());
            return Err(Error::Refused { action, reason: "it is no regular file".into() });
        }
        _ => {}
    }
    whole::read(path).at("reading", path).map(|bytes| Some(Zeroizing::new(bytes)))
}

fn read(path: &Path, keys: &Keys) -> Result<Option<Stored>> {
    load(path)?.map(|bytes| unlock(path, &bytes, keys)).transpose()
}

fn unlock(path: &Path, bytes: &[u8], keys: &Keys) -> Result<Stored> {
    let digest = Sha256::of(bytes);
    if !sealed::is_sealed(bytes) {
        check_mode(path)?;
        return Ok(Stored { secrets: parse(path, bytes)?, lock: None, digest });
    }
    let what = format!("secrets file {}", path.display());
    let opened = sealed::open(&what, bytes, keys)?;
    let secrets = parse(path, &opened.content)?;
    let lock = match opened.passphrase {
        Some(passphrase) => Lock::Passphrase(passphrase),
        // Sealed by hand, then: for whom, only who did it knows.
        None if secrets.recipients.is_empty() => keys.recipients(&what)?,
        None => Lock::of(&secrets.recipients)?,
    };
    Ok(Stored { secrets, lock: Some(lock), digest })
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

/// Keeps other bakes of the same cluster out until dropped. The folder is locked because the
/// file itself is replaced.
#[cfg(unix)]
fn hold(path: &Path) -> Result<Option<File>> {
    let folder = private::folder(path);
    let dir = File::open(folder).at("opening", folder)?;
    dir.lock().at("locking", folder)?;
    Ok(Some(dir))
}

/// Elsewhere a folder cannot be locked; two first uses at once are then the operator's to avoid.
#[cfg(not(unix))]
fn hold(_: &Path) -> Result<Option<File>> {
    Ok(None)
}

#[cfg(all(test, unix))]
#[path = "file_tests.rs"]
mod tests;
