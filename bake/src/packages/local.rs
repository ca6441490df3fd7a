//! A folder of `.deb` files instead of the image's sources: the user vouches for them.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::deb822;
use super::package::{Origin, Package};
use crate::error::{Error, IoContext, Result};
use crate::fetch::{Fetcher, Verified};
use crate::io::decompress::{self, Limits};
use crate::io::digest::Sha256;

/// Largest `control.tar` in bytes once unpacked.
const CONTROL: u64 = 64 << 20;
/// Members of a package before its data (deb(5)): `debian-binary`, the control archive, and what
/// a later format may put between.
const MEMBERS: usize = 8;

/// All packages in `folder`, by file name.
///
/// # Errors
/// [`Error::NotFound`] where there is none, [`Error::Corrupt`] for a file that is no package.
pub fn packages(folder: &Path) -> Result<Vec<Package>> {
    let paths = files(folder)?;
    if paths.is_empty() {
        return Err(Error::NotFound {
            what: "package (*.deb)",
            name: folder.display().to_string(),
        });
    }
    paths.into_iter().map(|path| read(&File::open(&path).at("opening", &path)?, &path)).collect()
}

/// The package of a folder with this digest.
///
/// # Errors
/// [`Error::Io`], [`Error::Interrupted`].
pub fn find(
    folder: &Path,
    sha256: Sha256,
    fetcher: &Fetcher<'_>,
) -> Result<Option<Verified<File>>> {
    for path in files(folder)? {
        if fetcher.digest_of(&path)? == sha256 {
            // Read once more: only what was compared just now is believed.
            return Ok(Some(fetcher.own_file(&path)?).filter(|file| file.sha256() == sha256));
        }
    }
    Ok(None)
}

/// The packages of a folder, by file name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).at("reading", folder)? {
        let path = entry.at("reading", folder)?.path();
        if path.extension().is_some_and(|e| e == "deb") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// What the package that is open says of itself.
///
/// # Errors
/// [`Error::Corrupt`] for a file that is no package.
pub fn read(file: &File, path: &Path) -> Result<Package> {
    let corrupt =
        |reason: String| Error::Corrupt { what: format!("package {}", path.display()), reason };
    let control =
        control(file, path)?.ok_or_else(|| corrupt("it has no control file (deb(5))".into()))?;
    let mut paragraphs = deb822::all(&control, false).map_err(|e| corrupt(e.to_string()))?;
    if paragraphs.len() != 1 {
        return Err(corrupt("its control file has not one paragraph".into()));
    }
    Package::read(&paragraphs.remove(0), Origin::File(path.to_owned())).map_err(corrupt)
}

/// The file `control` of the archive `control.tar.*` of the package.
fn control(file: &File, path: &Path) -> Result<Option<Vec<u8>>> {
    let mut file = BufReader::new(file);
    file.rewind().at("reading", path)?;
    let mut magic = [0; 8];
    if file.read_exact(&mut magic).is_err() || magic != *b"!<arch>\n" {
        return Ok(None);
    }
    for _ in 0..MEMBERS {
        let mut header = [0; 60];
        if file.read_exact(&mut header).is_err() {
            return Ok(None);
        }
        let name =
            String::from_utf8_lossy(&header[..16]).trim_end().trim_end_matches('/').to_owned();
        let len = String::from_utf8_lossy(&header[48..58]).trim_end().parse::<u64>();
        let Ok(len) = len else { return Ok(None) };
        // Members start on even bytes (ar(5)).
        if !name.starts_with("control.tar") {
            let skip = i64::try_from(len + len % 2).unwrap_or(i64::MAX);
            file.seek_relative(skip).at("reading", path)?;
            continue;
        }
        let mut packed = Vec::new();
        file.by_ref().take(len.min(CONTROL)).read_to_end(&mut packed).at("reading", path)?;
        let limits = Limits { output: CONTROL, ..Limits::default() };
        let tar = decompress::decompress(&packed, limits)
            .map_err(|e| decompress::into_error(e, "control archive", path))?;
        return member(&tar).at("reading", path);
    }
    Ok(None)
}

fn member(tar: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.file_name().is_some_and(|name| name == "control") {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(Some(content));
        }
    }
    Ok(None)
}
