//! Making a lock of a profile: everything is fetched as a bake does, and written down.

use std::collections::BTreeSet;
use std::path::Path;

use super::build::{Sources, Workshop, base_name};
use crate::catalogue;
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink};
use crate::fetch::Fetcher;
use crate::io::digest::Sha256;
use crate::lock::{Base, Lock, OwnFile, Package, Part, Selection, VERSION, own_path};
use crate::profile::{ImageSource, NodePlan};
use crate::recipe::{self, Action, Deb, Material, wanted_packages};

/// Largest manifest that is searched for container images, in bytes.
const MANIFEST: u64 = 16 << 20;

/// What the nodes of a profile would be baked of: of today's choice, or, with a lock in `sources`,
/// of that. `folder` is the profile's.
///
/// # Errors
/// As [`Workshop::open`] and [`Workshop::plan`].
pub fn make(
    folder: &Path,
    plans: &[NodePlan],
    sources: &Sources,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
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
    for plan in plans {
        take(&mut lock, folder, &workshop, plan)?;
        let planned = workshop.plan(plan.clone())?;
        lock.time = lock.time.max(planned.time);
        for edit in &planned.recipe.edits {
            images(&edit.action, &mut lock.container_images)?;
        }
    }
    lock.sort();
    if let Some(message) = unpinned(&lock.container_images) {
        sink.emit(Event::Warning { message });
    }
    Ok(lock)
}

/// What is to be said of container images that have a tag and no digest.
fn unpinned(images: &[String]) -> Option<String> {
    let loose = images.iter().filter(|name| !name.contains("@sha256:"));
    let loose: Vec<&str> = loose.map(String::as_str).collect();
    (!loose.is_empty()).then(|| {
        format!(
            "not pinned, but for what the archive of container images has: nodes pull whatever \
             {} is then; NAME@sha256:… in the manifest pins it",
            loose.join(", ")
        )
    })
}

fn base(workshop: &Workshop, source: &ImageSource, fetcher: &Fetcher<'_>) -> Result<Base> {
    let found = workshop.base();
    // A raw file of the user's is not read whole for a bake.
    let own = || match source {
        ImageSource::File(path) => fetcher.digest_of(path),
        _ => Err(Error::NotFound { what: "digest of", name: found.name.clone() }),
    };
    let sha256 = found.fetched.published.map_or_else(own, Ok)?;
    Ok(Base {
        image: match source {
            ImageSource::Url { url, .. } => url.clone(),
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

/// Container images that a manifest names: `image: NAME`, which is how a pod says it.
fn images(action: &Action, into: &mut Vec<String>) -> Result<()> {
    let Action::Write { path, source, .. } = action else { return Ok(()) };
    if !path.starts_with(nodeconf::paths::K3S_MANIFESTS) || source.len() > MANIFEST {
        return Ok(());
    }
    let bytes = match source {
        recipe::Source::Bytes(bytes) => bytes.clone(),
        recipe::Source::Material(material) => {
            let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or(0)];
            material.payload.0.read_at(0, &mut bytes).at("reading", &material.what)?;
            bytes
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let named: BTreeSet<String> = text.lines().filter_map(image).collect();
    into.extend(named);
    Ok(())
}

fn image(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("- ").trim_start();
    let value = line.strip_prefix("image:")?.split(" #").next().unwrap_or_default().trim();
    let value = value.trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}
