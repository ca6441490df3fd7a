//! What an image says about its packages: apt's sources and keys, dpkg's database.

use super::deb822::Paragraphs;
use super::package::{Origin, Package};
use super::sources::{Source, Trust};
use crate::error::{Error, IoContext, Result};
use crate::fs::FileKind;
use crate::fs::root::Root;
use crate::openpgp::Keyring;

/// Largest list of sources or keyring in bytes.
const SMALL: u64 = 4 << 20;
/// Largest dpkg database in bytes: a full desktop has some 5 MB.
const STATUS: u64 = 256 << 20;
const STATUS_FILE: &str = "/var/lib/dpkg/status";

/// A text of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Where it lies.
    pub path: String,
    /// What it says.
    pub content: String,
}

/// Lists of sources in the order in which apt reads them.
///
/// # Errors
/// Unreadable trees.
pub fn source_lists(root: &Root) -> Result<Vec<Text>> {
    let mut paths = vec!["/etc/apt/sources.list".to_owned()];
    paths.extend(files_of(root, "/etc/apt/sources.list.d", &[".list", ".sources"])?);
    let mut texts = Vec::new();
    for path in paths {
        if let Some(bytes) = root.read(path.as_bytes(), SMALL)? {
            let content = String::from_utf8_lossy(&bytes).into_owned();
            texts.push(Text { path, content });
        }
    }
    Ok(texts)
}

/// apt preferences, which say that not the newest version is wanted.
///
/// # Errors
/// Unreadable trees.
pub fn preferences(root: &Root) -> Result<Vec<String>> {
    let mut paths = files_of(root, "/etc/apt/preferences.d", &["", ".pref"])?;
    if root.stat(b"/etc/apt/preferences")?.is_some() {
        paths.insert(0, "/etc/apt/preferences".into());
    }
    Ok(paths)
}

/// The keys whose signature counts for `source`.
///
/// # Errors
/// [`Error::NotFound`] where a file that `Signed-By` names is missing.
pub fn keyring(root: &Root, source: &Source) -> Result<Keyring> {
    let mut keyring = Keyring::default();
    match &source.trust {
        Trust::Inline(key) => {
            keyring.add(&source.file, key.as_bytes());
        }
        Trust::Files(paths) => {
            for path in paths {
                let Some(bytes) = root.read(path.as_bytes(), SMALL)? else {
                    let missing =
                        Error::NotFound { what: "keyring in the image", name: path.clone() };
                    return Err(missing.hint(format!("Signed-By in {} names it", source.file)));
                };
                keyring.add(path, &bytes);
            }
        }
        Trust::Everyone => return everyone(root),
        Trust::Fingerprints(fingerprints) => return Ok(everyone(root)?.only(fingerprints)),
    }
    Ok(keyring)
}

/// Keys that apt trusts for every source that names none (apt-key(8), apt-secure(8)).
fn everyone(root: &Root) -> Result<Keyring> {
    let mut keyring = Keyring::default();
    let mut paths = vec!["/etc/apt/trusted.gpg".to_owned()];
    paths.extend(files_of(root, "/etc/apt/trusted.gpg.d", &[".gpg", ".asc"])?);
    for path in paths {
        if let Some(bytes) = root.read(path.as_bytes(), SMALL)? {
            keyring.add(&path, &bytes);
        }
    }
    Ok(keyring)
}

/// Files of a folder whose names end in one of `suffixes`, by name; none where there is no folder.
/// The empty suffix stands for names without a dot.
fn files_of(root: &Root, folder: &str, suffixes: &[&str]) -> Result<Vec<String>> {
    let entries = match root.read_dir(folder.as_bytes()) {
        Ok(entries) => entries,
        Err(Error::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let fits = |name: &str| {
        suffixes.iter().any(|s| if s.is_empty() { !name.contains('.') } else { name.ends_with(s) })
    };
    let files = entries.into_iter().filter(|entry| entry.kind != FileKind::Directory);
    let names = files.filter_map(|entry| String::from_utf8(entry.name).ok());
    Ok(names.filter(|name| fits(name)).map(|name| format!("{folder}/{name}")).collect())
}

/// Packages that dpkg has installed (dpkg(1), deb-status in dpkg-query(1)).
///
/// # Errors
/// [`Error::Unsupported`] for an image without dpkg, or where it was interrupted;
/// [`Error::Corrupt`].
pub fn installed(root: &Root) -> Result<Vec<Package>> {
    let Some(status) = root.read(STATUS_FILE.as_bytes(), STATUS)? else {
        return Err(Error::Unsupported {
            what: "the image".into(),
            feature: format!("it has no {STATUS_FILE}: only Debian and its kin can have packages"),
        });
    };
    let corrupt = |reason: String| Error::Corrupt { what: STATUS_FILE.into(), reason };
    let mut reader = Paragraphs::new(status.as_slice());
    let mut found = Vec::new();
    while let Some(paragraph) = reader.read().at("reading", STATUS_FILE)? {
        let words: Vec<&str> = paragraph.text("Status").split_whitespace().collect();
        let [_, _, state] = words[..] else {
            return Err(corrupt(format!("{} has no status", paragraph.text("Package"))));
        };
        if matches!(state, "installed" | "triggers-pending" | "triggers-awaited") {
            found.push(Package::read(&paragraph, Origin::Installed).map_err(corrupt)?);
        }
    }
    Ok(found)
}
