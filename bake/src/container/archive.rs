//! Names of the container images in an archive that K3s loads: a tar file as `docker save` and
//! `skopeo` write it, plain or compressed.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek};

use serde::Deserialize;

use super::Reference;
use crate::io::decompress::{self, Format, Limits, Refused};

/// Largest list of images in an archive, in bytes.
const LIST: u64 = 16 << 20;

/// An entry of `manifest.json` (Docker image specification 1.2, "Combined Image JSON").
#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
}

/// `index.json` (OCI image layout).
#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// By which containerd finds an image again that it imported (containerd's
/// `images/annotations.go`), else the OCI's own.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// The images in the archive, by their names in full.
///
/// # Errors
/// Those of `archive`, and `InvalidData` where it is no archive of images.
pub fn names(mut archive: impl Read + Seek + Send) -> io::Result<BTreeSet<String>> {
    match decompress::detect_at_start(&mut archive)? {
        Format::Refused(Refused::Tar) => listed(archive),
        _ => listed(decompress::open(archive, Limits::default())?),
    }
}

fn listed(archive: impl Read) -> io::Result<BTreeSet<String>> {
    let invalid = |e: serde_json::Error| io::Error::new(io::ErrorKind::InvalidData, e);
    let mut names = BTreeSet::new();
    let mut add = |name: &str| names.extend(name.parse().map(|name: Reference| name.to_string()));
    for entry in tar::Archive::new(archive).entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let path = path.strip_prefix(".").unwrap_or(&path);
        if path == std::path::Path::new("manifest.json") {
            let all: Vec<Saved> = serde_json::from_reader(entry.take(LIST)).map_err(invalid)?;
            all.iter().flat_map(|saved| saved.tags.iter().flatten()).for_each(|name| add(name));
        } else if path == std::path::Path::new("index.json") {
            let index: Index = serde_json::from_reader(entry.take(LIST)).map_err(invalid)?;
            for one in index.manifests {
                let name = NAMES.iter().find_map(|key| one.annotations.get(*key));
                name.into_iter().for_each(|name| add(name));
            }
        }
    }
    Ok(names)
}
