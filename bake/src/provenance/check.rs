//! Whether an image still is as its record says.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Baked, Kind, Record, State, read_sealed};
use crate::error::{Error, Result};
use crate::fs::root::Root;

/// A path that is not as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The path.
    pub path: String,
    /// What differs, for people: "mode is 0644, recorded 0600".
    pub reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// Compares every recorded path with the image; an empty list means all are as recorded.
///
/// # Errors
/// What reading the image fails with.
pub fn check(root: &Root, record: &Record) -> Result<Vec<Mismatch>> {
    let sealed = read_sealed(root)?;
    let mut found = Vec::new();
    for baked in &record.files {
        if let Some(reason) = difference(root, baked, &sealed)? {
            found.push(Mismatch { path: baked.path.clone(), reason });
        }
    }
    Ok(found)
}

/// Whether the path is as recorded. `sealed` comes from [`read_sealed`].
///
/// # Errors
/// What reading the image fails with.
pub fn is_as_recorded(
    root: &Root,
    baked: &Baked,
    sealed: &BTreeMap<String, String>,
) -> Result<bool> {
    Ok(difference(root, baked, sealed)?.is_none())
}

fn difference(
    root: &Root,
    baked: &Baked,
    sealed: &BTreeMap<String, String>,
) -> Result<Option<String>> {
    let want = &baked.state;
    let found = observe(root, &baked.path)?;
    if found.kind != want.kind {
        return Ok(Some(format!("is {}, recorded {}", name(found.kind), name(want.kind))));
    }
    if want.kind == Kind::Absent {
        return Ok(None);
    }
    if found.target != want.target {
        let target = |s: &State| s.target.clone().unwrap_or_default();
        return Ok(Some(format!("points to {}, recorded {}", target(&found), target(want))));
    }
    let access = |s: &State| format!("{:04o} {}:{}", s.mode, s.uid, s.gid);
    if want.kind != Kind::Symlink && access(&found) != access(want) {
        return Ok(Some(format!("is {}, recorded {}", access(&found), access(want))));
    }
    let digest = if baked.secret { sealed.get(&baked.path) } else { want.sha256.as_ref() };
    match digest {
        Some(digest) if want.kind == Kind::File => {
            let actual = digest_of(root, &baked.path)?;
            Ok((actual != *digest).then(|| match baked.secret {
                true => "its content is not the one recorded".to_owned(),
                false => format!("sha256 is {actual}, recorded {digest}"),
            }))
        }
        _ => Ok(None),
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Directory => "a directory",
        Kind::Symlink => "a link",
        Kind::Absent => "missing",
    }
}

/// What is at a path now, without a digest.
///
/// # Errors
/// What reading the image fails with.
pub(crate) fn observe(root: &Root, path: &str) -> Result<State> {
    let found = root.lstat(path.as_bytes())?;
    let kind = Kind::of(found.as_ref().map(|m| m.kind));
    let target = match kind {
        Kind::Symlink => {
            Some(String::from_utf8_lossy(&root.read_link(path.as_bytes())?).into_owned())
        }
        _ => None,
    };
    let (mode, uid, gid) =
        found.map_or((0, 0, 0), |m| (m.attributes.mode, m.attributes.uid, m.attributes.gid));
    Ok(State { kind, mode, uid, gid, sha256: None, target })
}

/// SHA-256 of a regular file of the image.
///
/// # Errors
/// What reading the image fails with.
pub(crate) fn digest_of(root: &Root, path: &str) -> Result<String> {
    let mut reader = root.open(path.as_bytes())?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match reader.read(&mut buffer).map_err(|e| Error::io("reading from the image", path, e))? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}
