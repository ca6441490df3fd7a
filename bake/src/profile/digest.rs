//! A digest of everything in a plan that shapes the node's image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::plan::{FileContent, HostFile, ImageSource, NodePlan};
use crate::error::{IoContext, Result};

#[derive(Serialize)]
struct Inputs<'a> {
    plan: &'a NodePlan,
    /// SHA-256 of the user's files, by where they go.
    files: BTreeMap<String, String>,
    /// SHA-256 of what the plan only names: base image, K3s, …
    more: &'a BTreeMap<String, String>,
}

impl NodePlan {
    /// SHA-256, in hexadecimal, of the plan, of the content of the files it names and of `more`
    /// (digests of the base image, K3s and the like, by a name of the caller's). The incarnation
    /// does not count, nor where files are or when they were changed: the same cluster baked in
    /// another folder has the same digest.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] where a file cannot be read.
    pub fn inputs_digest(&self, more: &BTreeMap<String, String>) -> Result<String> {
        self.inputs_digest_with(&BTreeMap::new(), more)
    }

    /// As [`NodePlan::inputs_digest`], where the SHA-256 of the files on the host in `known` need
    /// not be found again.
    ///
    /// # Errors
    /// As [`NodePlan::inputs_digest`].
    pub fn inputs_digest_with(
        &self,
        known: &BTreeMap<PathBuf, String>,
        more: &BTreeMap<String, String>,
    ) -> Result<String> {
        let mut plan = self.clone();
        plan.node.incarnation = 0;
        plan.newest_input = 0;
        plan.profile.clear();
        // Whatever it is, and wherever it comes from, `more` has its digest.
        plan.image = ImageSource::File(PathBuf::new());
        let mut files = BTreeMap::new();
        for manifest in &mut plan.manifests {
            files.insert(manifest.name.clone(), digest_and_forget(manifest, known)?);
        }
        for file in &mut plan.files {
            if let FileContent::Host(host) = &mut file.content {
                files.insert(file.path.clone(), digest_and_forget(host, known)?);
            }
        }
        let inputs = Inputs { plan: &plan, files, more };
        let text = serde_json::to_vec(&inputs).map_err(io::Error::from);
        Ok(hex::encode(Sha256::digest(text.at("encoding", "the inputs of the node")?)))
    }
}

fn digest_and_forget(file: &mut HostFile, known: &BTreeMap<PathBuf, String>) -> Result<String> {
    let digest = match known.get(&file.path) {
        Some(digest) => digest.clone(),
        None => digest(&file.path)?,
    };
    file.path.as_mut_os_string().clear();
    file.mtime = 0;
    Ok(digest)
}

fn digest(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut source = File::open(path).at("opening", path)?;
    let mut buffer = [0; 16384];
    loop {
        let count = source.read(&mut buffer).at("reading", path)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(hex::encode(hasher.finalize()))
}
