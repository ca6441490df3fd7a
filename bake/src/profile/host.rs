//! Files on the host that a profile names.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::check::{Checked, file_mode};
use super::faults::Faults;
use super::path::at;
use super::plan::{FileContent, FilePlan, HostFile};

/// Modification time in seconds since 1970 UTC; 0 for what is older or has none.
pub fn mtime(metadata: &Metadata) -> u64 {
    let since = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |d| d.as_secs())
}

/// The manifests a profile's patterns match, ascending by name.
pub fn manifests(checked: &Checked, folder: &Path, faults: &mut Faults<'_>) -> Vec<HostFile> {
    let mut found: Vec<HostFile> = Vec::new();
    for (i, pattern) in checked.raw.manifests.iter().enumerate() {
        let path = at!("manifests", i);
        let around = if Path::new(pattern).is_absolute() {
            String::new()
        } else {
            format!("{}/", glob::Pattern::escape(&folder.to_string_lossy()))
        };
        let Ok(matches) = glob::glob(&format!("{around}{pattern}")) else { continue };
        let before = found.len();
        for file in matches.flatten().filter(|file| !file.is_dir()) {
            match host_file(&file) {
                Err(message) => faults.add(&path, message),
                Ok(file) if !is_manifest(&file.name) => {
                    let message = format!("K3s would not apply `{}`", file.name);
                    let help = "name it with a-z, 0-9, `-` and `.`, ending in .yaml, .yml or .json";
                    faults.advise(&path, message, help);
                }
                Ok(file) => match found.iter().find(|other| other.name == file.name) {
                    Some(other) if other.path == file.path => {}
                    Some(_) => faults.add(&path, format!("two files are named `{}`", file.name)),
                    None => found.push(file),
                },
            }
        }
        if found.len() == before && faults.spares(&path) {
            if pattern.contains(['*', '?', '[']) {
                faults.warn(&path, format!("`{pattern}` matches no file"));
            } else if !folder.join(pattern).exists() {
                faults.add(&path, format!("`{pattern}` does not exist"));
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// K3s takes these endings; the name becomes that of an object (RFC 1123 subdomain).
fn is_manifest(name: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end))
        && name.split('.').all(nodeconf::names::is_label)
}

/// The user's files, their sources found.
pub fn files(checked: &Checked, folder: &Path, faults: &mut Faults<'_>) -> Vec<FilePlan> {
    let mut plans = Vec::new();
    for (i, file) in checked.raw.files.iter().enumerate() {
        let content = match (&file.source, &file.content) {
            (Some(source), None) => match host_file(&folder.join(source)) {
                Ok(found) => FileContent::Host(found),
                Err(message) => {
                    faults.add(&at!("files", i, "source"), message);
                    continue;
                }
            },
            (_, content) => FileContent::Inline(content.clone().unwrap_or_default()),
        };
        plans.push(FilePlan {
            path: file.path.clone(),
            content,
            mode: file_mode(&file.mode).unwrap_or(0o644),
            uid: file.uid,
            gid: file.gid,
        });
    }
    plans
}

fn host_file(path: &Path) -> Result<HostFile, String> {
    let shown = path.display();
    let metadata = fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("{shown} does not exist"),
        _ => format!("{shown} cannot be examined: {e}"),
    })?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(HostFile { path: path.to_owned(), name, mtime: mtime(&metadata) })
}
