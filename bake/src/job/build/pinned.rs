//! What a lock pins goes into images, and nothing is chosen anew.

use std::collections::BTreeMap;

use super::materials::{deb, local, named_files, verified};
use super::{Sources, file_name, firstboot};
use crate::arch::Arch;
use crate::error::{Context, Result};
use crate::fetch::Fetcher;
use crate::job::fetch;
use crate::lock::{Locked, Part};
use crate::packages::{self, Pinned};
use crate::profile::NodePlan;
use crate::recipe::{Bundle, Deb, Materials, wanted_packages, wants_metallb};

/// As [`super::materials::gather`], by the lock.
pub(super) fn gather(
    plan: &NodePlan,
    sources: &Sources,
    locked: &Locked,
    arch: Arch,
    fetcher: &Fetcher<'_>,
) -> Result<Materials> {
    let mut host_files = BTreeMap::new();
    for path in named_files(plan) {
        let material =
            local(path, file_name(path)).with_context(|| format!("reading {}", path.display()))?;
        let pinned = locked.file(path)?;
        locked.same(&pinned.path, pinned.sha256, &material.sha256)?;
        host_files.insert(path.to_owned(), material);
    }
    let material = |part: &Part, given: Option<&std::path::Path>, what: String| {
        let found = fetch::locked_part(fetcher, locked, part, given)?;
        let url = part.source.clone().filter(|_| given.is_none());
        verified(found, what, url)
    };
    let (mut program, mut airgap) = (None, None);
    if let Some(wanted) = &plan.k3s {
        let part = locked.part("k3s", Some(&wanted.version))?;
        if let Some(sha256) = &wanted.sha256 {
            locked.same("`k3s.sha256` of the profile", part.sha256, sha256)?;
        }
        let what = format!("K3s {} for {arch}", wanted.version);
        program = Some(material(part, sources.k3s.as_deref(), what)?);
        let given = sources.airgap_images.as_deref();
        if wanted.airgap || given.is_some() {
            let part = locked.part("k3s-airgap-images", Some(&wanted.version))?;
            let what = format!("images of K3s {} for {arch}", wanted.version);
            let file_name = part.file.clone().unwrap_or_else(|| part.name.clone());
            airgap = Some(Bundle { file_name, material: material(part, given, what)? });
        }
    }
    let metallb = match wants_metallb(plan) {
        false => None,
        true => {
            let part = locked.part("metallb", None)?;
            let version = part.version.as_deref().unwrap_or_default();
            let given = sources.metallb_manifest.as_deref();
            Some(material(part, given, format!("MetalLB {version}'s manifest"))?)
        }
    };
    let packages = packages(plan, sources, locked, fetcher)?;
    let path = firstboot::find(sources.firstboot.as_deref(), arch)?;
    let firstboot = local(&path, format!("firstboot for {arch}"))?;
    let part = locked.part("firstboot", None)?;
    locked.same(&path.display().to_string(), part.sha256, &firstboot.sha256)?;
    Ok(Materials { firstboot, k3s: program, airgap, metallb, host_files, packages })
}

/// What was chosen when the lock was made.
fn packages(
    plan: &NodePlan,
    sources: &Sources,
    locked: &Locked,
    fetcher: &Fetcher<'_>,
) -> Result<Vec<Deb>> {
    let names = wanted_packages(plan);
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let chosen = locked.selection(&names)?.into_iter().map(|(batch, package)| {
        let pinned = Pinned {
            name: &package.name,
            version: &package.version,
            architecture: &package.architecture,
            batch,
            url: package.source.as_deref(),
            sha256: package.sha256,
            size: package.size,
        };
        deb(packages::fetch(&pinned, sources.packages.as_deref(), fetcher)?)
    });
    chosen.collect::<Result<_>>().context("fetching the packages that the lock pins")
}
