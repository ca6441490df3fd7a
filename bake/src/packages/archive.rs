//! One suite of an archive: its signed `Release`, and the indexes that it vouches for.

use std::fs::File;
use std::io::BufReader;

use url::Url;

use super::deb822::Paragraphs;
use super::login::Logins;
use super::package::{Origin, Package};
use super::release::{Listed, Release};
use super::sources::Source;
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink};
use crate::fetch::{Fetcher, FileRequest, Verified};
use crate::io::decompress::{self, Limits};
use crate::openpgp::{self, Cleartext, Keyring};

/// Largest `Release` in bytes; Debian's has 0.2 MB, Ubuntu's 0.3 MB.
const RELEASE: u64 = 16 << 20;
/// Largest index in bytes once unpacked; Debian's `main` has 50 MB.
const INDEX: u64 = 1 << 30;

/// A suite whose signature holds.
#[derive(Debug)]
pub struct Archive<'s> {
    source: &'s Source,
    release: Release,
}

impl<'s> Archive<'s> {
    /// Fetches `InRelease`, or else `Release` and `Release.gpg`, and verifies it.
    ///
    /// `now` is seconds since 1970-01-01 UTC. Where nothing may be downloaded, a copy in the cache
    /// that has expired will do, with a warning: it was valid when it came.
    ///
    /// # Errors
    /// [`Error::Verification`] where no key of `keyring` signed it or it has expired, and those
    /// of [`Fetcher::signed`].
    pub fn open(
        source: &'s Source,
        keyring: &Keyring,
        fetcher: &Fetcher<'_>,
        now: i64,
        sink: &dyn Sink,
    ) -> Result<Self> {
        let name = format!("the package lists of {} {}", source.uri, source.suite);
        let text = signed_release(source, keyring, fetcher, now, &name)?;
        let release = Release::parse(&text)
            .map_err(|reason| Error::Corrupt { what: name.clone(), reason })?;
        if let Some(until) = release.valid_until.filter(|&u| u < now && source.check_valid_until) {
            let reason = format!("they were valid until {}", day(until));
            if !fetcher.offline() {
                let hint = "this mirror is out of step, or this computer's clock is wrong; for an archive of \
                     old releases, add `check-valid-until=no` to the source in the image";
                return Err(Error::Verification { what: name, reason }.hint(hint));
            }
            sink.emit(Event::Warning { message: format!("{name} are from the cache: {reason}") });
        }
        Ok(Self { source, release })
    }

    /// apt's priority of its packages.
    #[must_use]
    pub fn priority(&self) -> u16 {
        self.release.priority
    }

    /// Reads its packages for `architecture` and for all, handing each to `take`.
    ///
    /// # Errors
    /// [`Error::Verification`] for an index that is not what `Release` says, [`Error::Corrupt`],
    /// and those of [`Fetcher::indexed`].
    pub fn packages(
        &self,
        architecture: &str,
        fetcher: &Fetcher<'_>,
        sink: &dyn Sink,
        mut take: impl FnMut(Package),
    ) -> Result<()> {
        for path in self.index_paths(architecture) {
            let Some((path, listed)) = self.release.index(&path) else {
                let Source { uri, suite, .. } = self.source;
                let message = format!("{uri} {suite} has no {path}, which its source asks for");
                sink.emit(Event::Note { message });
                continue;
            };
            let file = self.index(&path, listed, fetcher)?;
            self.read(&path, file, &mut take)?;
        }
        Ok(())
    }

    fn index_paths(&self, architecture: &str) -> Vec<String> {
        if self.source.components.is_empty() {
            return vec!["Packages".into()];
        }
        let mut architectures = vec![architecture];
        if self.release.separate_all {
            architectures.push("all");
        }
        let paths = |c: &String| {
            let path = |a: &&str| format!("{c}/binary-{a}/Packages");
            architectures.iter().map(path).collect::<Vec<_>>()
        };
        self.source.components.iter().flat_map(paths).collect()
    }

    fn index(&self, path: &str, listed: Listed, fetcher: &Fetcher<'_>) -> Result<Verified<File>> {
        let asked = match path.rsplit_once('/') {
            Some((folder, _)) if self.release.by_hash => {
                format!("{folder}/by-hash/SHA256/{}", listed.sha256)
            }
            _ => path.to_owned(),
        };
        fetcher.indexed(&FileRequest {
            name: format!("the package list {path} of {} {}", self.source.uri, self.source.suite),
            url: url(self.source, &asked)?,
            sha256: listed.sha256,
            size: Some(listed.size),
        })
    }

    fn read(&self, path: &str, file: Verified<File>, take: &mut impl FnMut(Package)) -> Result<()> {
        let (on_disk, name) = (file.path().to_owned(), format!("{path} of {}", self.source.uri));
        let limits = Limits { output: INDEX, ..Limits::default() };
        let decoder = decompress::open(file.into_inner(), limits)
            .map_err(|e| decompress::into_error(e, &name, &on_disk))?;
        let mut paragraphs = Paragraphs::new(BufReader::with_capacity(1 << 16, decoder));
        let corrupt = |reason: String| Error::Corrupt { what: name.clone(), reason };
        while let Some(paragraph) = paragraphs.read().at("reading", &on_disk)? {
            let missing =
                |field: &str| corrupt(format!("{} has no {field}", paragraph.text("Package")));
            let sha256 = paragraph.text("SHA256").parse().map_err(|_| missing("SHA256"))?;
            let size = paragraph.text("Size").parse().map_err(|_| missing("Size"))?;
            let file = paragraph.get("Filename").ok_or_else(|| missing("Filename"))?;
            let url = format!("{}/{}", self.source.uri, file.trim_start_matches("./"));
            let origin = Origin::Archive { url, sha256, size };
            take(Package::read(&paragraph, origin).map_err(corrupt)?);
        }
        Ok(())
    }
}

/// The text that a key of `keyring` signed; kept in the cache once that is known.
fn signed_release(
    source: &Source,
    keyring: &Keyring,
    fetcher: &Fetcher<'_>,
    now: i64,
    name: &str,
) -> Result<String> {
    let refused = |reason: String| Error::Verification { what: name.into(), reason };
    let now = u64::try_from(now).unwrap_or(0);
    let inline = url(source, "InRelease")?;
    if let Some(message) = fetcher.signed(name, &inline, RELEASE)? {
        let text =
            String::from_utf8(message.clone()).map_err(|_| refused("they are no text".into()))?;
        let clear = Cleartext::parse(&text).map_err(refused)?;
        clear.verify(keyring, now).map_err(|fault| untrusted(source, name, &fault))?;
        fetcher.remember(name, &inline, &message)?;
        return Ok(clear.text());
    }
    let (plain, detached) = (url(source, "Release")?, url(source, "Release.gpg")?);
    let absent = || {
        Error::NotFound { what: "signed Release file", name: folder(source) }.hint(format!(
            "{} of the image names this source: is the release still there, and signed?",
            source.file
        ))
    };
    let Some(text) = fetcher.signed(name, &plain, RELEASE)? else {
        fetcher.refuse_offline(name, &inline)?;
        return Err(absent());
    };
    let signature = fetcher.signed(name, &detached, RELEASE)?.ok_or_else(absent)?;
    openpgp::verify(&text, &signature, keyring, now)
        .map_err(|fault| untrusted(source, name, &fault))?;
    fetcher.remember(name, &plain, &text)?;
    fetcher.remember(name, &detached, &signature)?;
    String::from_utf8(text).map_err(|_| refused("they are no text".into()))
}

fn untrusted(source: &Source, name: &str, fault: &openpgp::Fault) -> Error {
    let error = Error::Verification { what: name.into(), reason: fault.to_string() };
    match fault {
        openpgp::Fault::UnknownKey { .. } => error.hint(format!(
            "{} of the image names the source; its key must be in the image too (Signed-By, or a newer image)",
            source.file
        )),
        _ => error.hint("a mirror is out of step, or something on the way changed it"),
    }
}

/// Where a suite's files are, with a slash at the end.
fn folder(source: &Source) -> String {
    if !source.components.is_empty() {
        return format!("{}/dists/{}/", source.uri, source.suite);
    }
    match source.suite.trim_start_matches("./").trim_matches('/') {
        "" => format!("{}/", source.uri),
        path => format!("{}/{path}/", source.uri),
    }
}

/// A file of the suite, to be asked for with the source's login.
fn url(source: &Source, file: &str) -> Result<Url> {
    let text = folder(source) + file;
    Logins::of(std::slice::from_ref(source)).url(&text).map_err(|e| Error::Corrupt {
        what: format!("the address {text} in the image's package sources"),
        reason: e.to_string(),
    })
}

fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| format!("@{seconds}"), |t| t.strftime("%Y-%m-%d").to_string())
}
