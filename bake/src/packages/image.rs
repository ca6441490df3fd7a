//! What an image says about its packages: apt's sources and keys, dpkg's database.

use super::deb822::{Paragraph, Paragraphs};
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
    let mut found = Vec::new();
    let complete = each_installed(root, |paragraph| {
        found.push(Package::read(paragraph, Origin::Installed)?);
        Ok(())
    })?;
    if !complete {
        return Err(Error::Unsupported {
            what: "the image".into(),
            feature: format!("it has no {STATUS_FILE}: only Debian and its kin can have packages"),
        });
    }
    Ok(found)
}

/// An installed package, as far as an inventory goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Debian architecture (`arm64`, `all`).
    pub architecture: String,
    /// Its version, epoch and revision included.
    pub version: String,
    /// The source package it was built from.
    pub source: String,
    /// That one's version.
    pub source_version: String,
}

/// What dpkg has installed, by name; nothing where the image has no dpkg.
///
/// # Errors
/// [`Error::Corrupt`].
pub fn inventory(root: &Root) -> Result<Vec<Installed>> {
    let mut found = Vec::new();
    each_installed(root, |paragraph| {
        let name = paragraph.text("Package").to_owned();
        let version = paragraph.text("Version").to_owned();
        // `Source: glibc (2.36-9)`, and only where it differs (deb-control(5)).
        let source = paragraph.get("Source").unwrap_or(&name);
        let (source, of) = source.split_once(' ').unwrap_or((source, ""));
        let of = of.trim().trim_start_matches('(').trim_end_matches(')');
        let source_version = if of.is_empty() { version.clone() } else { of.to_owned() };
        let (source, architecture) = (source.to_owned(), paragraph.text("Architecture").to_owned());
        found.push(Installed { name, architecture, version, source, source_version });
        Ok(())
    })?;
    found.sort();
    Ok(found)
}

/// Calls `take` for every package that dpkg has installed; `false` where the image has no dpkg.
fn each_installed(
    root: &Root,
    mut take: impl FnMut(&Paragraph) -> Result<(), String>,
) -> Result<bool> {
    let Some(status) = root.read(STATUS_FILE.as_bytes(), STATUS)? else { return Ok(false) };
    let corrupt = |reason: String| Error::Corrupt { what: STATUS_FILE.into(), reason };
    let mut reader = Paragraphs::new(status.as_slice());
    while let Some(paragraph) = reader.read().at("reading", STATUS_FILE)? {
        let words: Vec<&str> = paragraph.text("Status").split_whitespace().collect();
        let [_, _, state] = words[..] else {
            return Err(corrupt(format!("{} has no status", paragraph.text("Package"))));
        };
        if matches!(state, "installed" | "triggers-pending" | "triggers-awaited") {
            take(&paragraph).map_err(corrupt)?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::MemoryTree;
    use crate::fs::{Attributes, Content};

    #[test]
    fn the_inventory_knows_what_is_installed_and_from_which_source() {
        let mut root = Root::new(Box::new(MemoryTree::default()));
        assert_eq!(inventory(&root).unwrap(), []);
        let attributes = |mode| Attributes { mode, uid: 0, gid: 0, mtime: 0 };
        root.mkdir_all(b"/var/lib/dpkg", attributes(0o755)).unwrap();
        let status = "Package: libc6\nStatus: install ok installed\nArchitecture: arm64\n\
                      Source: glibc (2.36-9)\nVersion: 2.36-9+b1\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                      Package: bash\nStatus: hold ok installed\nArchitecture: arm64\nVersion: 5\n\n\
                      Package: zip\nStatus: install ok installed\nArchitecture: all\n\
                      Source: archivers\nVersion: 3\n";
        let content = Content::Bytes(status.into());
        root.write(STATUS_FILE.as_bytes(), content, attributes(0o644)).unwrap();
        let found = inventory(&root).unwrap();
        let shown: Vec<String> = found
            .iter()
            .map(|p| format!("{} {} {} {}", p.name, p.version, p.source, p.source_version))
            .collect();
        assert_eq!(shown, ["bash 5 bash 5", "libc6 2.36-9+b1 glibc 2.36-9", "zip 3 archivers 3"]);
    }
}
