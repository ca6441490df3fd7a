//! Releases of K3s: which asset a node needs, what it must be, and whether it can run there.

use std::fs::File;

use url::Url;

use super::entry::Kind;
use super::{Fetcher, FileRequest, Verified, sums};
use crate::arch::Arch;
use crate::error::{Error, Result};
use crate::io::digest::Sha256;

mod elf;
mod local;

pub use local::{Local, images_name, local_binary, local_images};

const RELEASES: &str = "https://github.com/k3s-io/k3s/releases/download";
/// Lists of checksums have some ten lines.
const SUMS_LIMIT: u64 = 64 << 10;

/// What a release offers a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asset {
    /// The K3s program.
    Binary,
    /// The images its pods need, compressed with Zstandard.
    ImagesZst,
    /// The same, compressed with gzip, for releases that have no other.
    ImagesGz,
}

impl Asset {
    /// Its file name: the program is `k3s` for amd64 and `-armhf` for 32-bit ARM, while bundles
    /// (and lists of checksums) say `arm`.
    #[must_use]
    pub fn file_name(self, arch: Arch) -> String {
        match (self, arch) {
            (Self::Binary, Arch::Amd64) => "k3s".into(),
            (Self::Binary, arch) => format!("k3s-{arch}"),
            (Self::ImagesZst, arch) => format!("k3s-airgap-images-{}.tar.zst", short(arch)),
            (Self::ImagesGz, arch) => format!("k3s-airgap-images-{}.tar.gz", short(arch)),
        }
    }
}

/// Go's name of an architecture, which K3s's files have.
#[must_use]
pub fn short(arch: Arch) -> &'static str {
    match arch {
        Arch::Armhf => "arm",
        other => other.name(),
    }
}

/// The K3s program of `version` (`v1.36.5+k3s1`) for `arch`, from the cache or downloaded.
///
/// Without a `pin` it must be what the release's own list of checksums says.
///
/// # Errors
/// [`Error::Usage`] for a version that is none, [`Error::NotFound`] where the release has no such
/// asset or `--offline` forbids to ask, and those of [`Fetcher::file`].
pub fn binary(
    fetcher: &Fetcher<'_>,
    version: &str,
    arch: Arch,
    pin: Option<Sha256>,
) -> Result<Verified<File>> {
    let found = asset(fetcher, version, arch, Asset::Binary, pin)?
        .ok_or_else(|| missing(version, arch, Asset::Binary))?;
    elf::require(found.get(), found.path(), arch)?;
    Ok(found)
}

/// The bundle of images of `version` for `arch`, Zstandard where the release has it, else gzip;
/// with its file name, whose suffix K3s goes by.
///
/// # Errors
/// As [`binary`].
pub fn images(
    fetcher: &Fetcher<'_>,
    version: &str,
    arch: Arch,
    pin: impl Fn(&str) -> Option<Sha256>,
) -> Result<(String, Verified<File>)> {
    for kind in [Asset::ImagesZst, Asset::ImagesGz] {
        let pin = pin(&kind.file_name(arch));
        if let Some(found) = asset(fetcher, version, arch, kind, pin)? {
            return Ok((kind.file_name(arch), found));
        }
    }
    Err(missing(version, arch, Asset::ImagesZst))
}

/// `None` where the release's list of checksums does not name the asset.
fn asset(
    fetcher: &Fetcher<'_>,
    version: &str,
    arch: Arch,
    asset: Asset,
    pin: Option<Sha256>,
) -> Result<Option<Verified<File>>> {
    let file_name = asset.file_name(arch);
    let url = asset_url(version, &file_name)?;
    let name = format!("K3s {version} {file_name}");
    let sha256 = match pin {
        Some(pin) => pin,
        None => match known(fetcher, &url)? {
            Some(found) => return Ok(Some(found)),
            None => match published(fetcher, version, arch, &file_name)? {
                Some(sha256) => sha256,
                None => return Ok(None),
            },
        },
    };
    fetcher.file(&FileRequest { name, url, sha256, size: None }).map(Some)
}

/// An asset that was verified when it came into the cache.
fn known(fetcher: &Fetcher<'_>, url: &Url) -> Result<Option<Verified<File>>> {
    match fetcher.cache.find(Kind::File, |record| record.source == url.as_str()) {
        Some(key) => fetcher.cache.open_file(&key, fetcher.sink),
        None => Ok(None),
    }
}

/// What the release's list of checksums says of an asset.
fn published(
    fetcher: &Fetcher<'_>,
    version: &str,
    arch: Arch,
    file_name: &str,
) -> Result<Option<Sha256>> {
    let list = format!("sha256sum-{}.txt", short(arch));
    let url = asset_url(version, &list)?;
    if fetcher.options.mirror.as_ref().is_some_and(|m| m.scheme() == "http") {
        fetcher.warn(format!(
            "{list} of K3s {version} comes from a mirror over plain HTTP: pin the digest with \
             `k3s.sha256` in the profile to be sure"
        ));
    }
    let text = fetcher.text(&format!("{list} of K3s {version}"), &url, SUMS_LIMIT)?;
    sums::lookup(&text, file_name)
        .map_err(|reason| Error::Corrupt { what: format!("{list} of K3s {version}"), reason })
}

fn missing(version: &str, arch: Arch, asset: Asset) -> Error {
    let name = format!("{} in K3s {version}", asset.file_name(arch));
    Error::NotFound { what: "release asset", name }
        .hint("check the version in the profile (`k3s.version`), or give a file with --k3s")
}

/// Where a release has a file; the `+` of the version is escaped.
///
/// # Errors
/// [`Error::Usage`] for a version that is none.
pub fn asset_url(version: &str, file_name: &str) -> Result<Url> {
    let usage =
        || Error::Usage(format!("`{version}` is no K3s version: write for example v1.36.5+k3s1"));
    let sound = version.starts_with('v')
        && version.contains("+k3s")
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-".contains(&b));
    if !sound {
        return Err(usage());
    }
    let escaped = version.replace('+', "%2B");
    Url::parse(&format!("{RELEASES}/{escaped}/{file_name}")).map_err(|_| usage())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_named_as_the_releases_do() {
        let names = |asset: Asset| Arch::ALL.map(|arch| asset.file_name(arch));
        assert_eq!(names(Asset::Binary), ["k3s-arm64", "k3s-armhf", "k3s"]);
        assert_eq!(
            names(Asset::ImagesZst),
            [
                "k3s-airgap-images-arm64.tar.zst",
                "k3s-airgap-images-arm.tar.zst",
                "k3s-airgap-images-amd64.tar.zst"
            ]
        );
        assert_eq!(
            asset_url("v1.37.1+k3s1", "k3s").unwrap().as_str(),
            "https://github.com/k3s-io/k3s/releases/download/v1.37.1%2Bk3s1/k3s"
        );
    }

    #[test]
    fn versions_that_are_none_are_refused() {
        for version in ["", "latest", "1.36.5+k3s1", "v1.36.5", "v1.36.5+k3s1/../..", "v1 +k3s1"] {
            assert!(asset_url(version, "k3s").is_err(), "{version}");
        }
    }
}
