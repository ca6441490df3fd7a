//! Making a lock of a profile: everything is fetched as a bake does, and written down.

mod images;

use std::path::Path;

use super::build::{Sources, Workshop, base_name};
use crate::catalogue;
use crate::error::{Error, Result};
use crate::event::{Event, Sink};
use crate::fetch::{Fetcher, shown_text};
use crate::io::digest::Sha256;
use crate::lock::{Base, Lock, OwnFile, Package, Part, Selection, VERSION, own_path};
use crate::profile::{ImageSource, NodePlan};
use crate::recipe::{self, Deb, Material, Materials, Pins, wanted_packages};
use crate::sys::interrupt::Cancel;
use images::{Images, Registries};

/// What the nodes of a profile would be baked of: of today's choice, or, with a lock in `sources`,
/// of that. `folder` is the profile's. Container images whose digest no registry tells stay as they
/// are where `unpinned_images`.
///
/// # Errors
/// As [`Workshop::open`], [`Workshop::plan`] and [`Fetcher::container_image`].
pub fn make(
    folder: &Path,
    plans: &[NodePlan],
    sources: &Sources,
    unpinned_images: bool,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Lock> {
    let workshop = Workshop::open(plans, sources, fetcher, sink)?;
    let Some(first) = plans.first() else {
        return Err(Error::Usage("the profile has no node".into()));
    };
    let mut lock = Lock {
        version: VERSION,
        bake: env!("CARGO_PKG_VERSION").into(),
        profile: first.profile.clone(),
        time: i64::MIN,
        base: base(&workshop, &first.image, fetcher)?,
        parts: Vec::new(),
        files: Vec::new(),
        packages: Vec::new(),
        selections: Vec::new(),
        container_images: Vec::new(),
    };
    let mut images = Images::default();
    for plan in plans {
        take(&mut lock, folder, &workshop, plan)?;
        lock.time = lock.time.max(workshop.plan(plan.clone())?.time);
        // As their manifests have them: a lock in use has pinned them already.
        let materials = Materials { pins: Pins::default(), ..workshop.materials(plan)?.clone() };
        let traits = &workshop.base().traits;
        images.add(plan, &recipe::recipe(traits, plan, &materials, lock.time)?.edits, sink)?;
    }
    lock.container_images = match workshop.locked() {
        Some(locked) => images.locked_by(locked.lock(), fetcher, sink)?,
        None => {
            let arch = workshop.base().traits.architecture;
            let registries = Registries { fetcher, arch, or_leave: unpinned_images };
            images.pin(&registries, sink, cancel)?
        }
    };
    if plans.iter().any(|plan| plan.k3s.as_ref().is_some_and(|k3s| !k3s.airgap))
        && lock.part("k3s-airgap-images").is_none()
    {
        let message = "K3s's own images are not pinned: with `k3s.airgap: false` nodes pull them by \
                       the tags that K3s has";
        sink.emit(Event::Warning { message: message.into() });
    }
    lock.sort();
    Ok(lock)
}

fn base(workshop: &Workshop, source: &ImageSource, fetcher: &Fetcher<'_>) -> Result<Base> {
    if let (Some(locked), ImageSource::File(_)) = (workshop.locked(), source) {
        // It is what the lock says, by digest; where it lies now is nobody else's concern.
        return Ok(locked.lock().base.clone());
    }
    let found = workshop.base();
    // A raw file of the user's is not read whole for a bake.
    let own = || match source {
        ImageSource::File(path) => fetcher.digest_of(path),
        _ => Err(Error::NotFound { what: "digest of", name: found.name.clone() }),
    };
    let sha256 = found.fetched.published.map_or_else(own, Ok)?;
    Ok(Base {
        image: match source {
            ImageSource::Url { url, .. } => shown_text(url),
            other => base_name(other),
        },
        architecture: found.traits.architecture.name().into(),
        source: found.fetched.url.clone(),
        sha256,
        image_size: found.fetched.len,
        image_sha256: found.fetched.image.unwrap_or(sha256),
        verified: found.verified.clone(),
    })
}

/// Adds what the nodes of the plan's role are made of, where it is not there yet.
fn take(lock: &mut Lock, folder: &Path, workshop: &Workshop, plan: &NodePlan) -> Result<()> {
    let materials = workshop.materials(plan)?;
    let release = plan.k3s.as_ref().map(|k3s| k3s.version.clone());
    let metallb = catalogue::metallb()?.version;
    let bundle = materials.airgap.as_ref();
    for (name, version, file, material) in [
        ("firstboot", None, None, Some(&materials.firstboot)),
        ("k3s", release.clone(), None, materials.k3s.as_ref()),
        (
            "k3s-airgap-images",
            release,
            bundle.map(|b| b.file_name.clone()),
            bundle.map(|b| &b.material),
        ),
        (
            "metallb",
            materials.metallb.as_ref().and_then(|m| m.url.is_some().then_some(metallb)),
            None,
            materials.metallb.as_ref(),
        ),
    ] {
        let Some(material) = material.filter(|_| lock.part(name).is_none()) else { continue };
        let (sha256, size, source) = of(material)?;
        lock.parts.push(Part { name: name.into(), version, file, source, size, sha256 });
    }
    for (path, material) in &materials.host_files {
        let path = own_path(folder, path);
        if lock.files.iter().all(|file| file.path != path) {
            let (sha256, size, _) = of(material)?;
            lock.files.push(OwnFile { path, size, sha256 });
        }
    }
    let mut wanted = wanted_packages(plan);
    wanted.sort();
    if wanted.is_empty() || lock.selections.iter().any(|s| s.wanted == wanted) {
        return Ok(());
    }
    let mut batches: Vec<Vec<String>> = Vec::new();
    for Deb { package, material } in &materials.packages {
        let batch = usize::from(package.batch);
        batches.resize(batches.len().max(batch + 1), Vec::new());
        batches[batch].push(package.name.clone());
        let (sha256, size, source) = of(material)?;
        let package = Package {
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            source,
            size,
            sha256,
        };
        match lock.package(&package.name) {
            None => lock.packages.push(package),
            Some(other) if *other == package => {}
            Some(other) => {
                return Err(Error::Unsupported {
                    what: "a lock of the profile".into(),
                    feature: format!(
                        "{} in two versions, {} and {}",
                        package.name, other.version, package.version
                    ),
                });
            }
        }
    }
    lock.selections.push(Selection { wanted, batches });
    Ok(())
}

fn of(material: &Material) -> Result<(Sha256, u64, Option<String>)> {
    let sha256 = material.sha256.parse().map_err(Error::Usage)?;
    Ok((sha256, material.payload.0.len(), material.url.clone()))
}
