//! Debian packages for an image: chosen by the image's own apt sources and dpkg database, verified
//! from the archive's signature down to each file, and cached (docs/packages.md).
//!
//! [`gather`] is the way in. Inside: [`sources`] and [`image`] read the image, [`archive`] decides
//! what is believed, [`universe`], [`resolve`] and [`order`] what is installed.

mod archive;
pub mod deb822;
mod image;
mod local;
mod login;
mod order;
pub mod package;
mod pinned;
pub mod relation;
mod release;
mod resolve;
mod sources;
mod universe;
pub mod version;

use std::fs::File;
use std::path::Path;

use crate::arch::Arch;
use crate::error::{Context, Error, Result};
use crate::event::{Event, Sink};
use crate::fetch::{Fetcher, FileRequest, Verified};
use crate::fs::root::Root;
use crate::io::digest::Sha256;
pub use image::{Installed, inventory};
pub use login::Logins;
pub use pinned::{Pinned, among, fetch};

use archive::Archive;
use package::{Origin, Package};
use resolve::Unsolved;
use sources::Sources;
use universe::Universe;

/// Priority of files of the user's, as apt has it for a source that says nothing.
const OWN: u16 = 500;

/// What is wanted, and of which image.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The image's files.
    pub root: &'a Root,
    /// Its architecture.
    pub architecture: Arch,
    /// Packages that must be there once all is installed.
    pub names: &'a [String],
    /// The time now, in seconds since 1970-01-01 UTC: what has expired is not believed.
    pub now: i64,
    /// A folder of `.deb` files to take everything from, instead of the image's sources.
    pub folder: Option<&'a Path>,
}

/// A package to install.
#[derive(Debug)]
pub struct Staged {
    /// As the device's configuration lists it.
    pub package: nodeconf::Package,
    /// The file.
    pub deb: Verified<File>,
    /// Where it was fetched from; `None` for a file of the user's.
    pub url: Option<String>,
}

/// The packages that must be installed for all of the names to be there, in the order in which
/// dpkg may take them; none where the image has them all.
///
/// # Errors
/// [`Error::Verification`] for lists or packages that are not what a key of the image vouches for,
/// [`Error::NotFound`] for packages no source has and for what is not in the cache with
/// `--offline`, [`Error::Unsupported`] where dependencies cannot be met, and those of [`Fetcher`].
pub fn gather(wanted: &Wanted<'_>, fetcher: &Fetcher<'_>, sink: &dyn Sink) -> Result<Vec<Staged>> {
    let chosen = choose(wanted, fetcher, sink)?;
    let logins = Logins::read(wanted.root, wanted.architecture)?;
    let chosen = chosen.into_iter();
    let staged = chosen.map(|(batch, package)| stage(batch, &package, &logins, fetcher));
    staged.collect::<Result<_>>().context("fetching packages for the image")
}

/// As [`gather`], before anything but lists was downloaded: the packages, each with its batch.
///
/// # Errors
/// As [`gather`].
pub fn choose(
    wanted: &Wanted<'_>,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
) -> Result<Vec<(u16, Package)>> {
    let native = wanted.architecture.name();
    let mut universe = Universe::new(native, image::installed(wanted.root)?);
    if wanted.names.iter().all(|name| universe.installed(name).is_some()) {
        return Ok(Vec::new());
    }
    let searched = match wanted.folder {
        Some(folder) => {
            for package in local::packages(folder)? {
                universe.offer(package, OWN);
            }
            folder.display().to_string()
        }
        None => from_sources(wanted, &mut universe, fetcher, sink)?,
    };
    select(&mut universe, wanted.names, &searched)
}

/// What must be installed of all that was offered; `searched` says where that came from.
fn select(
    universe: &mut Universe,
    names: &[String],
    searched: &str,
) -> Result<Vec<(u16, Package)>> {
    let corrupt = |reason| Error::Corrupt { what: "what packages depend on".into(), reason };
    universe.index().map_err(corrupt)?;
    let universe = &*universe;
    let chosen = resolve::resolve(universe, names).map_err(|e| unsolved(e, searched))?;
    let ordered = order::order(universe, &chosen).map_err(corrupt)?;
    Ok(ordered.into_iter().map(|(batch, package)| (batch, package.clone())).collect())
}

/// Offers what all of the image's sources have; says which they are.
fn from_sources(
    wanted: &Wanted<'_>,
    universe: &mut Universe,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
) -> Result<String> {
    let architecture = wanted.architecture.name();
    let sources = Sources::read(&image::source_lists(wanted.root)?, architecture)
        .map_err(|reason| Error::Corrupt { what: "the image's package sources".into(), reason })?;
    for message in sources.left_out {
        sink.emit(Event::Warning { message });
    }
    for path in image::preferences(wanted.root)? {
        let message = format!(
            "{path} of the image is not followed: the newest version of each package is taken"
        );
        sink.emit(Event::Warning { message });
    }
    if sources.found.is_empty() {
        let missing =
            Error::NotFound { what: "package source in the image", name: "/etc/apt".into() };
        return Err(missing.hint("give a folder of .deb files with --packages"));
    }
    for source in &sources.found {
        let keyring = image::keyring(wanted.root, source)?;
        let archive = Archive::open(source, &keyring, fetcher, wanted.now, sink)?;
        let priority = archive.priority();
        archive
            .packages(architecture, fetcher, sink, |package| universe.offer(package, priority))?;
    }
    let names = sources.found.iter().map(|source| format!("{} {}", source.uri, source.suite));
    Ok(names.collect::<Vec<_>>().join(", "))
}

fn unsolved(fault: Unsolved, searched: &str) -> Error {
    match fault {
        Unsolved::Missing(name) => {
            Error::NotFound { what: "package", name }.hint(format!("searched: {searched}"))
        }
        Unsolved::Ambiguous { name, providers } => {
            Error::NotFound { what: "package", name: name.clone() }
                .hint(format!("{name} is provided by {}: name one of them", providers.join(", ")))
        }
        Unsolved::Unsatisfiable { name, reason } => {
            Error::Unsupported { what: format!("package {name} on this image"), feature: reason }
                .hint(format!("searched: {searched}"))
        }
    }
}

fn stage(batch: u16, package: &Package, logins: &Logins, fetcher: &Fetcher<'_>) -> Result<Staged> {
    let name = format!("package {} {}", package.name, package.version);
    let (deb, url) = match &package.origin {
        Origin::Archive { url, sha256, size } => {
            (fetch_from(name.clone(), url, logins, *sha256, *size, fetcher)?, Some(url.clone()))
        }
        Origin::File(path) => (Some(fetcher.own_file(path)?), None),
        Origin::Installed => (None, None),
    };
    let installed = || Error::Corrupt { what: name, reason: "it is installed already".into() };
    let (version, architecture) = (package.version.as_str(), &package.architecture);
    let deb = deb.ok_or_else(installed)?;
    Ok(staged(&package.name, version, architecture, batch, deb, url))
}

fn fetch_from(
    name: String,
    url: &str,
    logins: &Logins,
    sha256: Sha256,
    size: u64,
    fetcher: &Fetcher<'_>,
) -> Result<Option<Verified<File>>> {
    let url = logins
        .url(url)
        .map_err(|e| Error::Corrupt { what: name.clone(), reason: format!("its source: {e}") })?;
    fetcher.indexed(&FileRequest { url, name, sha256, size: Some(size) }).map(Some)
}

fn staged(
    name: &str,
    version: &str,
    architecture: &str,
    batch: u16,
    deb: Verified<File>,
    url: Option<String>,
) -> Staged {
    // An epoch's colon has no place in a file name; apt escapes it the same way.
    let escaped = version.replace(':', "%3a");
    let package = nodeconf::Package {
        file: format!("{name}_{escaped}_{architecture}.deb"),
        name: name.into(),
        version: version.into(),
        architecture: architecture.into(),
        sha256: deb.sha256().to_string(),
        batch,
    };
    Staged { package, deb, url }
}
