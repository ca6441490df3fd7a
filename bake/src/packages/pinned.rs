//! Packages that were chosen before, by a lock.

use std::path::Path;

use super::universe::Universe;
use super::{Logins, Staged, Wanted, fetch_from, image, local, select, staged};
use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::io::digest::Sha256;

/// A package that was chosen before.
#[derive(Debug, Clone, Copy)]
pub struct Pinned<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its architecture.
    pub architecture: &'a str,
    /// Which of dpkg's calls it belongs to.
    pub batch: u16,
    /// Where it is; `None` where the user has the file.
    pub url: Option<&'a str>,
    /// What it must be.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
}

/// A package that was chosen before, and nothing is chosen anew: from where it was, with the login
/// that the image has for it, or out of `folder`.
///
/// # Errors
/// [`Error::NotFound`] where it is not in the folder, [`Error::Verification`] where the package
/// says of itself something else, and those of [`Fetcher::file`].
pub fn fetch(
    pinned: &Pinned<'_>,
    folder: Option<&Path>,
    logins: &Logins,
    fetcher: &Fetcher<'_>,
) -> Result<Staged> {
    let Pinned { name, version, architecture, batch, sha256, size, .. } = *pinned;
    let what = format!("package {name} {version}");
    let (deb, url) = match (folder, pinned.url) {
        (Some(folder), _) => (local::find(folder, sha256, fetcher)?, None),
        (None, Some(url)) => {
            (fetch_from(what.clone(), url, logins, sha256, size, fetcher)?, Some(url))
        }
        (None, None) => (None, None),
    };
    let deb = deb.ok_or_else(|| {
        Error::NotFound { what: "package", name: format!("{name} {version}, sha256 {sha256}") }
            .hint("it was a file of yours: give its folder with --packages")
    })?;
    // What it is called and where it goes is taken from here: it must be what dpkg will read.
    let own = local::read(deb.get(), deb.path())?;
    let shown = |name: &str, version: &str, architecture: &str, len: u64| {
        format!("{name} {version} for {architecture}, {len} bytes")
    };
    let is = shown(&own.name, own.version.as_str(), &own.architecture, deb.len());
    let pinned = shown(name, version, architecture, size);
    if is != pinned {
        let reason = format!("it is {is}, and not {pinned}");
        return Err(Error::Verification { what, reason }
            .hint("`bake lock --update` writes down what it is"));
    }
    let url = url.map(str::to_owned);
    Ok(staged(name, version, architecture, batch, deb, url))
}

/// As [`super::choose`], where there are no packages in the world but these: what is needed of
/// them, each with its batch.
///
/// # Errors
/// As [`super::choose`], where they are not enough.
pub fn among(wanted: &Wanted<'_>, staged: &[Staged]) -> Result<Vec<(u16, String)>> {
    let native = wanted.architecture.name();
    let mut universe = Universe::new(native, image::installed(wanted.root)?);
    for Staged { deb, .. } in staged {
        universe.offer(local::read(deb.get(), deb.path())?, super::OWN);
    }
    let chosen = select(&mut universe, wanted.names, "the lock")?;
    Ok(chosen.into_iter().map(|(batch, package)| (batch, package.name)).collect())
}
