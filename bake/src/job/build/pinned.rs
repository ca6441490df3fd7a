//! What a lock pins goes into images, and nothing is chosen anew.

use std::collections::BTreeMap;
use std::fs::File;

use super::materials::{deb, local, named_files, verified};
use super::{Sources, file_name, firstboot};
use nodeconf::paths;

use crate::arch::Arch;
use crate::catalogue;
use crate::error::{Context, Result};
use crate::fetch::{Fetcher, Verified, k3s};
use crate::fs::root::Root;
use crate::job::{clock, fetch};
use crate::lock::{Locked, Part};
use crate::packages::{self, Pinned, Staged, Wanted};
use crate::profile::NodePlan;
use crate::recipe::{Bundle, Deb, Edit, Materials, Pins, wanted_packages, wants_metallb};

/// As [`super::materials::gather`], by the lock.
pub(super) fn gather(
    plan: &NodePlan,
    sources: &Sources,
    locked: &Locked,
    root: &Root,
    arch: Arch,
    fetcher: &Fetcher<'_>,
) -> Result<Materials> {
    let mut host_files = BTreeMap::new();
    for path in named_files(plan) {
        let material =
            local(path, file_name(path)).with_context(|| format!("reading {}", path.display()))?;
        let pinned = locked.file(path)?;
        locked.same(&pinned.path, pinned.sha256, &material.sha256)?;
        locked.as_long(&pinned.path, pinned.size, material.payload.0.len())?;
        host_files.insert(path.to_owned(), material);
    }
    // What is given as a file is still from where the lock says.
    let material = |part: &Part, found: Verified<File>, what: String| {
        verified(found, what, part.source.clone())
    };
    let fetched = |part, given| fetch::locked_part(fetcher, locked, part, given);
    let (mut program, mut airgap) = (None, None);
    if let Some(wanted) = &plan.k3s {
        let part = locked.part("k3s", Some(&wanted.version))?;
        if let Some(sha256) = &wanted.sha256 {
            locked.same("`k3s.sha256` of the profile", part.sha256, sha256)?;
        }
        let what = format!("K3s {} for {arch}", wanted.version);
        let given = sources.k3s.as_deref();
        program = Some(material(part, fetched(part, given)?, what)?);
        let given = sources.airgap_images.as_deref();
        if wanted.airgap || given.is_some() {
            let part = locked.part("k3s-airgap-images", Some(&wanted.version))?;
            let what = format!("images of K3s {} for {arch}", wanted.version);
            let found = fetched(part, given)?;
            let file_name = k3s::images_name(found.get(), found.path(), arch)?;
            if part.file.as_ref() != Some(&file_name) {
                let reason = format!("{what} must be called {file_name}, and the lock differs");
                return Err(locked.differs(reason));
            }
            airgap = Some(Bundle { file_name, material: material(part, found, what)? });
        }
    }
    let metallb = match wants_metallb(plan) {
        false => None,
        true => {
            let given = sources.metallb_manifest.as_deref();
            let release = catalogue::metallb()?.version;
            let part = locked.part("metallb", given.is_none().then_some(&*release))?;
            let version = part.version.as_deref().unwrap_or_default();
            let what = format!("MetalLB {version}'s manifest");
            Some(material(part, fetched(part, given)?, what)?)
        }
    };
    let packages = packages(plan, sources, locked, root, arch, fetcher)?;
    let path = firstboot::find(sources.firstboot.as_deref(), arch)?;
    let firstboot = local(&path, format!("firstboot for {arch}"))?;
    let part = locked.part("firstboot", None)?;
    let what = path.display().to_string();
    locked.same(&what, part.sha256, &firstboot.sha256)?;
    locked.as_long(&what, part.size, firstboot.payload.0.len())?;
    let pins = Pins::new(locked.lock().pins());
    Ok(Materials { firstboot, k3s: program, airgap, metallb, host_files, packages, pins })
}

/// Whether the lock knows every container image that the node's manifests name, and the archives that
/// it relies on are there.
///
/// # Errors
/// [`crate::error::Error::Verification`].
pub(super) fn container_images(locked: &Locked, pins: &Pins, edits: &[Edit]) -> Result<()> {
    for edit in edits {
        for name in pins.loose(edit)?.iter() {
            let known = locked.lock().container_images.iter().find(|image| image.name == *name);
            let Some(known) = known.filter(|image| image.sha256.is_none()) else {
                return Err(locked.differs(format!("container image {name} is not in the lock")));
            };
            let Some(archive) = &known.archive else { continue };
            let path = format!("{}/{archive}", paths::K3S_IMAGES);
            if !edits.iter().any(|edit| edit.action.path() == path) {
                let reason =
                    format!("container image {name} is to come from {archive}, which is not given");
                return Err(locked.differs(reason));
            }
        }
    }
    Ok(())
}

/// What was chosen when the lock was made, and nothing that is too much or missing.
fn packages(
    plan: &NodePlan,
    sources: &Sources,
    locked: &Locked,
    root: &Root,
    architecture: Arch,
    fetcher: &Fetcher<'_>,
) -> Result<Vec<Deb>> {
    let names = wanted_packages(plan);
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let folder = sources.packages.as_deref();
    let selection = locked.selection(&names)?;
    let logins = packages::Logins::read(root, architecture)?;
    let chosen = selection.iter().map(|(batch, package)| {
        let pinned = Pinned {
            name: &package.name,
            version: &package.version,
            architecture: &package.architecture,
            batch: *batch,
            url: package.source.as_deref(),
            sha256: package.sha256,
            size: package.size,
        };
        packages::fetch(&pinned, folder, &logins, fetcher)
    });
    let staged: Vec<Staged> =
        chosen.collect::<Result<_>>().context("fetching the packages that the lock pins")?;
    let wanted = Wanted { root, architecture, names: &names, now: clock::wall(), folder };
    let needed = packages::among(&wanted, &staged);
    let needed = needed.map_err(|e| locked.differs(format!("of its packages alone: {e}")))?;
    let pinned = selection.iter().map(|(batch, package)| (*batch, package.name.clone()));
    if !pinned.eq(needed.iter().cloned()) {
        let needed: Vec<String> = needed.into_iter().map(|(_, name)| name).collect();
        return Err(locked.differs(format!(
            "to have {} the image needs {}, in this order, and the lock says otherwise",
            names.join(", "),
            needed.join(", ")
        )));
    }
    let sources = selection.iter().map(|(_, package)| package.source.clone());
    staged.into_iter().zip(sources).map(|(staged, url)| deb(Staged { url, ..staged })).collect()
}
