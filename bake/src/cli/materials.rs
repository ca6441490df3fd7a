//! What the verbs that bake have in common: what images are made of, besides the profile.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::io::digest::Sha256;
use crate::job::build::Sources;
use crate::lock;
use crate::profile::{ClusterSecrets, ImageSource, NodePlan, Profile, Source};

/// What images are made of.
#[derive(Debug, Clone, clap::Args)]
pub struct Materials {
    /// Base image instead of the profile's: a file, or an id from `bake images list`
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Set a value of the profile (repeatable): `--set k3s.airgap=false`
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The cluster's secrets [default: beside the profile; the first node or kubeconfig makes them]
    #[arg(long, value_name = "FILE")]
    pub secrets: Option<PathBuf>,
    /// K3s program to bake instead of the released one
    #[arg(long, value_name = "FILE")]
    pub k3s: Option<PathBuf>,
    /// Archive of container images to bake instead of the released one
    #[arg(long, value_name = "FILE")]
    pub airgap_images: Option<PathBuf>,
    /// MetalLB's manifest to bake instead of the pinned release's
    #[arg(long, value_name = "FILE")]
    pub metallb_manifest: Option<PathBuf>,
    /// Device binary to bake instead of the one that came with bake
    #[arg(long, value_name = "FILE")]
    pub firstboot: Option<PathBuf>,
    /// Folder of .deb files to take packages from instead of the image's own sources
    #[arg(long, value_name = "FOLDER")]
    pub packages: Option<PathBuf>,
    /// Fail where the profile has no lock (NAME.lock.yaml beside it)
    #[arg(long, conflicts_with = "no_lock")]
    pub locked: bool,
    /// Bake what there is today, even if the profile has a lock
    #[arg(long)]
    pub no_lock: bool,
    /// Leave out the SBOMs and the attestation, in the image and beside it
    #[arg(long)]
    pub no_sbom: bool,
}

impl Materials {
    /// Where the parts of the nodes of this profile come from.
    #[must_use]
    pub fn sources(&self, profile: &Source) -> Sources {
        Sources {
            profile_sha256: Some(Sha256::of(profile.text.as_bytes()).to_string()),
            k3s: self.k3s.clone(),
            airgap_images: self.airgap_images.clone(),
            metallb_manifest: self.metallb_manifest.clone(),
            firstboot: self.firstboot.clone(),
            packages: self.packages.clone(),
            lock: match profile.lock_path() {
                _ if self.no_lock => lock::Use::Ignored,
                path if self.locked => lock::Use::Required(path),
                path => lock::Use::IfThere(path),
            },
            no_sbom: self.no_sbom,
        }
    }

    /// The plan of a node, on the base image that is asked for.
    ///
    /// # Errors
    /// As [`Profile::plan`]; [`Error::Usage`] for a base image without a digest.
    pub fn plan(
        &self,
        profile: &Profile,
        node: &str,
        secrets: &ClusterSecrets,
    ) -> Result<NodePlan> {
        let mut plan = profile.plan(node, secrets)?;
        if let Some(base) = &self.base {
            plan.image = image(base)?;
        }
        Ok(plan)
    }
}

/// A file where there is one or the text looks like a path, else a name from the catalogue.
fn image(text: &str) -> Result<ImageSource> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(Error::Usage(format!("--base {text}: what must its sha256 be?"))
            .hint("name both in the profile, `image: {url: …, sha256: …}`, or download it first"));
    }
    let path = Path::new(text);
    let is_file = path.exists() || text.contains(std::path::is_separator);
    Ok(if is_file { ImageSource::File(path.to_owned()) } else { ImageSource::Id(text.to_owned()) })
}
