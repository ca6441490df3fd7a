//! Applies edits to an image, keeping what they change and recording what they leave.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::amend::Amendment;
use super::edit::{Access, Action, Edit, Source};
use crate::error::{Context, Error, Result};
use crate::fs::root::{MAX_LINKS, Root};
use crate::fs::{Attributes, Content, FileKind};
use crate::provenance::{
    self, Attestation, Baked, Before, Kind, ORIGINALS, SEALED, attestation, digest_of, observe,
};

/// A replaced file that is larger is not kept, nor amended.
const KEEP_LIMIT: u64 = 4 << 20;

/// Applies `edits` in their order, on top of what `earlier` ones left. What is made bears the time
/// `time`, in seconds since 1970 UTC.
///
/// Returns what all of them left, ascending by path; the record of it is written by [`seal`].
///
/// # Errors
/// [`Error::Usage`] where something the recipe requires is missing, and what the file systems
/// refuse.
pub fn apply<'e>(
    root: &mut Root,
    edits: impl IntoIterator<Item = &'e Edit>,
    time: i64,
    earlier: &Applied,
) -> Result<Applied> {
    let mut applier = Applier {
        root,
        time,
        earlier,
        before: BTreeMap::new(),
        secrets: BTreeSet::new(),
        digests: BTreeMap::new(),
    };
    for edit in edits {
        applier
            .one(&edit.action)
            .with_context(|| format!("editing {} ({})", edit.action.path(), edit.topic))?;
    }
    // Where the record will be: made by us, so taken away again by the next bake.
    applier.parents(nodeconf::paths::RECORD)?;
    applier.finish()
}

/// What a recipe left in an image.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// Every path made, changed or removed, ascending.
    pub files: Vec<Baked>,
    sealed: BTreeMap<String, String>,
}

impl Applied {
    /// What a recipe left, as the image's record tells.
    #[must_use]
    pub fn of(record: &provenance::Record, sealed: BTreeMap<String, String>) -> Self {
        Self { files: record.files.clone(), sealed }
    }

    fn find(&self, path: &str) -> Option<&Baked> {
        let found = self.files.binary_search_by(|baked| baked.path.as_str().cmp(path));
        found.ok().and_then(|index| self.files.get(index))
    }
}

/// Writes the record of a bake into the image, and the attestation of that where there are SBOMs.
///
/// # Errors
/// What the file system refuses.
pub fn seal(root: &mut Root, record: &provenance::Record, applied: &Applied) -> Result<()> {
    let attributes = |mode| Attributes { mode, uid: 0, gid: 0, mtime: record.time };
    if !applied.sealed.is_empty() {
        let sealed = serde_json::to_string_pretty(&applied.sealed).unwrap_or_default() + "\n";
        root.write(SEALED.as_bytes(), Content::Bytes(sealed.into()), attributes(0o600))?;
    }
    let record_json = record.to_json();
    if record.has_sbom() {
        let attestation = Attestation::of_record(record, &record_json).to_json();
        let path = attestation::INSIDE.as_bytes();
        root.write(path, Content::Bytes(attestation.into()), attributes(0o644))?;
    }
    let path = nodeconf::paths::RECORD.as_bytes();
    root.write(path, Content::Bytes(record_json.into()), attributes(0o644))
}

struct Applier<'r> {
    root: &'r mut Root,
    time: i64,
    earlier: &'r Applied,
    /// What the base had at each path that was touched, before the first touch.
    before: BTreeMap<String, Option<Before>>,
    secrets: BTreeSet<String>,
    /// Digests of files just written, so that large ones are not read back for the record.
    digests: BTreeMap<String, String>,
}

impl Applier<'_> {
    fn one(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Directory { path, access } => self.directory(path, *access),
            Action::Write { path, source, access, secret } => {
                self.mark(path, *secret);
                self.write(path, source, self.attributes(*access))
            }
            Action::Link { path, target } => self.link(path, target),
            Action::Amend { path, change, missing, secret } => {
                self.amend(path, change, *missing, *secret)
            }
            Action::Remove { path } => self.remove(path),
            Action::Stamp { path, access, seconds } => self.stamp(path, *access, *seconds),
            Action::Require { path, otherwise } => match self.root.stat(path.as_bytes())? {
                Some(_) => Ok(()),
                None => Err(Error::Usage(otherwise.clone())),
            },
        }
    }

    fn attributes(&self, access: Access) -> Attributes {
        let Access { mode, uid, gid } = access;
        Attributes { mode, uid, gid, mtime: self.time }
    }

    fn mark(&mut self, path: &str, secret: bool) {
        if secret {
            self.secrets.insert(path.to_owned());
        }
    }

    /// Remembers what is at `path`, unless an earlier edit has changed it.
    fn touch(&mut self, path: &str) -> Result<()> {
        self.digests.remove(path);
        if self.before.contains_key(path) {
            return Ok(());
        }
        if let Some(baked) = self.earlier.find(path) {
            self.before.insert(path.to_owned(), baked.before.clone());
            return Ok(());
        }
        self.parents(path)?;
        let state = observe(self.root, path)?;
        let Some(found) = self.root.lstat(path.as_bytes())?.filter(|_| state.kind != Kind::Absent)
        else {
            self.before.insert(path.to_owned(), None);
            return Ok(());
        };
        let kept = found.kind == FileKind::File && found.size <= KEEP_LIMIT;
        if kept {
            self.keep(path, found.attributes)?;
        }
        let before = Before { state, mtime: found.attributes.mtime, kept };
        self.before.insert(path.to_owned(), Some(before));
        Ok(())
    }

    fn keep(&mut self, path: &str, attributes: Attributes) -> Result<()> {
        let content = self.root.read(path.as_bytes(), KEEP_LIMIT)?.unwrap_or_default();
        let copy = format!("{ORIGINALS}{path}");
        self.parents(ORIGINALS)?;
        let private = Access::root(0o700);
        self.root.mkdir_all(parent(&copy).as_bytes(), self.attributes(private))?;
        let attributes = Attributes { mode: 0o600, uid: 0, gid: 0, ..attributes };
        self.root.write(copy.as_bytes(), Content::Bytes(content), attributes)
    }

    /// Makes the missing directories above `path`.
    fn parents(&mut self, path: &str) -> Result<()> {
        let dir = parent(path);
        match self.root.stat(dir.as_bytes())?.map(|m| m.kind) {
            Some(FileKind::Directory) => Ok(()),
            Some(_) => Err(Error::Usage(format!("{dir} of the image is no directory"))),
            None => {
                self.parents(dir)?;
                self.before.entry(dir.to_owned()).or_insert(None);
                self.root.mkdir(dir.as_bytes(), self.attributes(Access::root(0o755)))
            }
        }
    }

    fn directory(&mut self, path: &str, access: Access) -> Result<()> {
        self.touch(path)?;
        let found = self.root.lstat(path.as_bytes())?;
        let mtime = match &found {
            Some(m) if m.kind == FileKind::Directory => m.attributes.mtime,
            Some(_) => return Err(Error::Usage(format!("{path} of the image is no directory"))),
            None => self.time,
        };
        self.root.mkdir(path.as_bytes(), Attributes { mtime, ..self.attributes(access) })
    }

    fn write(&mut self, path: &str, source: &Source, attributes: Attributes) -> Result<()> {
        self.touch(path)?;
        if self.root.lstat(path.as_bytes())?.is_some_and(|m| m.kind == FileKind::Directory) {
            return Err(Error::Usage(format!("{path} of the image is a directory")));
        }
        let (content, digest) = match source {
            Source::Bytes(bytes) => {
                (Content::Bytes(bytes.clone()), hex::encode(Sha256::digest(bytes)))
            }
            Source::Material(material) => {
                (Content::Payload(material.payload.clone()), material.sha256.clone())
            }
        };
        self.root.write(path.as_bytes(), content, attributes)?;
        self.digests.insert(path.to_owned(), digest);
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.touch(path)?;
        let attributes = self.attributes(Access::root(0o777));
        self.root.symlink(path.as_bytes(), target.as_bytes(), attributes)
    }

    fn amend(
        &mut self,
        path: &str,
        change: &Amendment,
        missing: Option<Access>,
        secret: bool,
    ) -> Result<()> {
        let path = &self.destination(path)?;
        self.mark(path, secret);
        let found = self.root.lstat(path.as_bytes())?;
        let (old, attributes) = match (found, missing) {
            (Some(m), _) if m.kind == FileKind::File => {
                (self.root.read(path.as_bytes(), KEEP_LIMIT)?.unwrap_or_default(), m.attributes)
            }
            (Some(_), _) => return Err(Error::Usage(format!("{path} of the image is no file"))),
            (None, Some(access)) => (Vec::new(), self.attributes(access)),
            (None, None) => return Ok(()),
        };
        let new = change.apply(&old);
        if new == old {
            return Ok(());
        }
        let xattrs = match found_xattrs(self.root, path) {
            Ok(xattrs) => xattrs,
            Err(Error::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let attributes = Attributes { mtime: self.time, ..attributes };
        self.write(path, &Source::Bytes(new), attributes)?;
        for (name, value) in xattrs {
            self.root.set_xattr(path.as_bytes(), &name, Some(&value))?;
        }
        Ok(())
    }

    /// Follows a link in the last place: what is amended is the file it leads to.
    fn destination(&self, path: &str) -> Result<String> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let found = self.root.lstat(path.as_bytes())?;
            if found.is_none_or(|m| m.kind != FileKind::Symlink) {
                return Ok(path);
            }
            let target = self.root.read_link(path.as_bytes())?;
            let target = String::from_utf8(target).map_err(|_| Error::Unsupported {
                what: path.clone(),
                feature: "a link whose target is not UTF-8".into(),
            })?;
            path = match target.strip_prefix('/') {
                Some(_) => target,
                None => format!("{}/{target}", parent(&path).trim_end_matches('/')),
            };
        }
        Err(Error::Corrupt { what: path, reason: "its symbolic links loop".into() })
    }

    fn remove(&mut self, path: &str) -> Result<()> {
        match self.root.lstat(path.as_bytes())?.map(|m| m.kind) {
            None => Ok(()),
            Some(FileKind::Directory) => {
                Err(Error::Usage(format!("{path} of the image is a directory")))
            }
            Some(_) => {
                self.touch(path)?;
                self.root.remove_file(path.as_bytes())
            }
        }
    }

    fn stamp(&mut self, path: &str, access: Access, seconds: i64) -> Result<()> {
        let found = self.root.lstat(path.as_bytes())?;
        match found {
            Some(m) if m.kind == FileKind::File => {
                self.touch(path)?;
                let attributes = Attributes { mtime: seconds, ..m.attributes };
                self.root.set_attributes(path.as_bytes(), attributes)
            }
            Some(_) => Err(Error::Usage(format!("{path} of the image is no file"))),
            None => {
                let attributes = Attributes { mtime: seconds, ..self.attributes(access) };
                self.write(path, &Source::Bytes(Vec::new()), attributes)
            }
        }
    }

    fn finish(self) -> Result<Applied> {
        let untouched = |baked: &&Baked| !self.before.contains_key(&baked.path);
        let mut files: Vec<Baked> = self.earlier.files.iter().filter(untouched).cloned().collect();
        let mut sealed = self.earlier.sealed.clone();
        for (path, before) in self.before {
            sealed.remove(&path);
            let mut state = observe(self.root, &path)?;
            let secret = self.secrets.contains(&path);
            if state.kind == Kind::File {
                let digest = match self.digests.get(&path) {
                    Some(digest) => digest.clone(),
                    None => digest_of(self.root, &path)?,
                };
                if secret {
                    sealed.insert(path.clone(), digest);
                } else {
                    state.sha256 = Some(digest);
                }
            }
            files.push(Baked { path, state, secret, before });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Applied { files, sealed })
    }
}

fn found_xattrs(root: &Root, path: &str) -> Result<Vec<(String, Vec<u8>)>> {
    root.xattrs(path.as_bytes())
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}
