//! What an earlier release left in the folder: that alone is replaced unasked.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::sign::Signer;
use super::{LISTS, sums};
use crate::emit::{self, Spec};
use crate::error::{Error, IoContext, Result};
use crate::io::whole;
use crate::job::build::documents;
use crate::provenance::Attestation;
use crate::provenance::attestation::SUFFIX;

/// No list of digests is longer.
const LIMIT: u64 = 4 << 20;

/// What may be replaced.
pub(super) struct Earlier<'f> {
    folder: &'f Path,
    /// Names of an earlier release's files.
    names: BTreeSet<String>,
    force: bool,
}

impl<'f> Earlier<'f> {
    /// Reads the list of digests in `folder`; with `force` everything may be replaced.
    ///
    /// # Errors
    /// [`Error::Io`] where it is there and the system does not hand it out.
    pub fn read(folder: &'f Path, force: bool) -> Result<Self> {
        let path = folder.join(sums::NAME);
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => drop(file.take(LIMIT).read_to_end(&mut text).at("reading", &path)?),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("opening", &path, e)),
        }
        let text = String::from_utf8_lossy(&text);
        let mut names: BTreeSet<String> =
            sums::parse(&text).map(|(name, _)| name.to_owned()).collect();
        match LISTS.iter().all(|list| names.contains(*list)) {
            true => names.extend(sums_and_signatures()),
            // Digests of something else.
            false => names.clear(),
        }
        Ok(Self { folder, names, force })
    }

    /// Checks that the files which every release has may be written.
    ///
    /// # Errors
    /// [`Error::Refused`] for one that no release left there.
    pub fn allows_lists(&self) -> Result<()> {
        let lists = LISTS.map(String::from).into_iter();
        let names = lists.chain(sums_and_signatures()).collect::<Vec<_>>();
        self.regular(&names)?;
        self.known(&names)
    }

    /// Checks that an image called `file` may be written, with what lies beside it. A release that
    /// was ended before it had a list of digests is told by the image's attestation.
    ///
    /// # Errors
    /// As [`Earlier::allows_lists`].
    pub fn allows_image(&self, file: &str) -> Result<()> {
        let path = self.folder.join(file);
        let beside = documents::all_beside(&path).chain([documents::beside(&path, ".bmap")]);
        let mut names: Vec<String> = beside.map(|beside| documents::name(&beside)).collect();
        names.push(file.to_owned());
        self.regular(&names)?;
        if self.attested(file) { Ok(()) } else { self.known(&names) }
    }

    /// Whether an attestation beside `file` says that it is a release's.
    fn attested(&self, file: &str) -> bool {
        let path = self.folder.join(format!("{file}{SUFFIX}"));
        let there = whole::read(&path).ok().and_then(|text| Attestation::parse(file, &text).ok());
        there.is_some_and(|there| {
            there.asked().node.is_none() && there.subject.first().is_some_and(|s| s.name == file)
        })
    }

    /// Nothing that no release left there, unless it may go.
    fn known(&self, names: &[String]) -> Result<()> {
        let strange = |name: &&String| {
            !self.force && !self.names.contains(*name) && self.folder.join(name).exists()
        };
        let Some(name) = names.iter().find(strange) else { return Ok(()) };
        let action = format!("overwrite {}", self.folder.join(name).display());
        let reason = "it exists, and is not what an earlier release left there".into();
        Err(Error::Refused { action, reason }
            .hint("release into another folder, or use --force to replace it"))
    }

    /// No folders, devices or links to nowhere.
    fn regular(&self, names: &[String]) -> Result<()> {
        let spec = |name| Spec { force: true, ..Spec::new(self.folder.join(name)) };
        names.iter().try_for_each(|name| emit::preflight(&spec(name)))
    }
}

fn sums_and_signatures() -> impl Iterator<Item = String> {
    [""].into_iter().chain(Signer::SUFFIXES).map(|suffix| format!("{}{suffix}", sums::NAME))
}
