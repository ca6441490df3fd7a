//! Host files that go into the image, each with its digest.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base::Base;
use super::{Sources, file_name, firstboot};
use crate::arch::Arch;
use crate::catalogue;
use crate::error::{Context, IoContext, Result};
use crate::event::Sink;
use crate::fetch::{Fetcher, Verified, k3s};
use crate::fs::root::Root;
use crate::io::digest::Sha256;
use crate::job::{clock, fetch};
use crate::packages::{self, Staged, Wanted};
use crate::profile::{FileContent, HostFile, NodePlan};
use crate::provenance::{Component, purl};
use crate::recipe::{Bundle, Deb, Material, Materials, Pins, wanted_packages, wants_metallb};
use crate::store::{FileSource, Payload};

pub(super) fn gather(
    plan: &NodePlan,
    sources: &Sources,
    root: &Root,
    arch: Arch,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
) -> Result<Materials> {
    let host_files = host_files(plan)?;
    // What lies here first: nobody shall wait for downloads to learn that it is missing.
    let firstboot = firstboot::find(sources.firstboot.as_deref(), arch)?;
    let firstboot = local(&firstboot, format!("firstboot for {arch}"))?;
    let (mut program, mut airgap) = (None, None);
    if let Some(wanted) = &plan.k3s {
        let local = sources.k3s.as_deref();
        let found = fetch::k3s_binary(fetcher, sink, wanted, arch, local)?;
        let url = k3s::asset_url(&wanted.version, &k3s::Asset::Binary.file_name(arch))?;
        let url = local.is_none().then(|| url.to_string());
        program = Some(verified(found, format!("K3s {} for {arch}", wanted.version), url)?);
        let local = sources.airgap_images.as_deref();
        if wanted.airgap || local.is_some() {
            let (file_name, found) = fetch::k3s_images(fetcher, wanted, arch, local)?;
            let what = format!("images of K3s {} for {arch}", wanted.version);
            let url = k3s::asset_url(&wanted.version, &file_name)?;
            let url = local.is_none().then(|| url.to_string());
            airgap = Some(Bundle { file_name, material: verified(found, what, url)? });
        }
    }
    let metallb = match &sources.metallb_manifest {
        _ if !wants_metallb(plan) => None,
        Some(path) => Some(local(path, file_name(path))?),
        None => {
            let (what, found) = fetch::metallb(fetcher)?;
            Some(verified(found, what, Some(catalogue::metallb()?.url))?)
        }
    };
    let packages = packages(plan, sources.packages.as_deref(), root, arch, fetcher, sink)?;
    let pins = Pins::default();
    Ok(Materials { firstboot, k3s: program, airgap, metallb, host_files, packages, pins })
}

/// The files that the profile names, by their path on the host.
pub(super) fn host_files(plan: &NodePlan) -> Result<BTreeMap<PathBuf, Material>> {
    let mut host_files = BTreeMap::new();
    for path in named_files(plan) {
        let what = file_name(path);
        let material = local(path, what).with_context(|| format!("reading {}", path.display()))?;
        host_files.insert(path.to_owned(), material);
    }
    Ok(host_files)
}

/// What the node needs of its distribution and the image does not have.
fn packages(
    plan: &NodePlan,
    folder: Option<&Path>,
    root: &Root,
    architecture: Arch,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
) -> Result<Vec<Deb>> {
    let names = wanted_packages(plan);
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = Wanted { root, architecture, names: &names, now: clock::wall(), folder };
    let staged = packages::gather(&wanted, fetcher, sink)?.into_iter();
    staged.map(deb).collect()
}

pub(super) fn deb(staged: Staged) -> Result<Deb> {
    let Staged { package, deb, url } = staged;
    let what = format!("{} {}", package.name, package.version);
    Ok(Deb { package, material: verified(deb, what, url)? })
}

/// What makes an image of the node another one, besides its plan.
pub(super) fn inputs(
    base: &Base,
    components: &[Component],
    pins: &Pins,
) -> BTreeMap<String, String> {
    let image = match &base.sha256 {
        Some(digest) => digest.clone(),
        // Reading all of a raw image of the user's to tell it from another costs too much.
        None => format!("{}, built {}", base.traits.os, base.traits.built),
    };
    let mut all = BTreeMap::from([("base".to_owned(), image)]);
    all.extend(components.iter().map(|component| {
        let kind = if component.is_package() { "package " } else { "" };
        (format!("{kind}{}", component.name), component.sha256.clone())
    }));
    let pinned = pins.digests().iter();
    all.extend(
        pinned.map(|(name, sha256)| (format!("container image {name}"), sha256.to_string())),
    );
    all
}

/// What the record says came from elsewhere, in the order in which people look for it; packages
/// last. Of a file the user named, nobody knows the release. `distribution` is the `ID` of the
/// image's os-release.
pub(super) fn components(
    plan: &NodePlan,
    sources: &Sources,
    materials: &Materials,
    distribution: &str,
) -> Result<Vec<Component>> {
    let release = |named: &Option<PathBuf>| {
        let k3s = plan.k3s.as_ref().filter(|_| named.is_none());
        k3s.map(|k3s| k3s.version.clone())
    };
    let component = |name: &str, released: Option<(String, String)>, material: &Material| {
        let (version, purl) = released.unzip();
        Component { name: name.into(), version, sha256: material.sha256.clone(), purl }
    };
    let of_k3s = |version: Option<String>, file: &str| {
        let url = |v: &str| purl::plain("github", &["k3s-io", "k3s"], Some(v)) + file;
        version.map(|version| (version.clone(), url(&version)))
    };
    let mut all = vec![component("firstboot", None, &materials.firstboot)];
    let binary = |m| component("k3s", of_k3s(release(&sources.k3s), ""), m);
    all.extend(materials.k3s.iter().map(binary));
    all.extend(materials.airgap.iter().map(|bundle| {
        let file = format!("#{}", purl::encode(&bundle.file_name));
        let released = of_k3s(release(&sources.airgap_images), &file);
        component("k3s-airgap-images", released, &bundle.material)
    }));
    if let Some(manifest) = &materials.metallb {
        let pinned = match &sources.metallb_manifest {
            Some(_) => None,
            None => Some(catalogue::metallb()?.version),
        };
        let url = |v: &str| purl::plain("github", &["metallb", "metallb"], Some(v));
        let released = pinned.map(|version| (version.clone(), url(&version)));
        all.push(component("metallb", released, manifest));
    }
    all.extend(materials.packages.iter().map(|Deb { package, material }| {
        let url = purl::deb(distribution, &package.name, &package.version, &package.architecture);
        component(&package.name, Some((package.version.clone(), url)), material)
    }));
    Ok(all)
}

pub(super) fn named_files(plan: &NodePlan) -> impl Iterator<Item = &Path> {
    let files = plan.files.iter().filter_map(|file| match &file.content {
        FileContent::Host(HostFile { path, .. }) => Some(path.as_path()),
        FileContent::Inline(_) => None,
    });
    plan.manifests.iter().map(|m| m.path.as_path()).chain(files)
}

pub(super) fn verified(
    found: Verified<File>,
    what: String,
    url: Option<String>,
) -> Result<Material> {
    let (sha256, path) = (found.sha256().to_string(), found.path().to_owned());
    let source = FileSource::of_file(found.into_inner(), path)?;
    Ok(Material { payload: Payload(Arc::new(source)), sha256, what, url })
}

pub(super) fn local(path: &Path, what: String) -> Result<Material> {
    let path: PathBuf = path.to_owned();
    // Opened first and hashed through the same handle: what is baked is what was hashed.
    let source = FileSource::open(&path)?;
    let file = File::open(&path).at("opening", &path)?;
    let (sha256, _) = Sha256::of_reader(&file).at("reading", &path)?;
    let payload = Payload(Arc::new(source));
    Ok(Material { payload, sha256: sha256.to_string(), what, url: None })
}
