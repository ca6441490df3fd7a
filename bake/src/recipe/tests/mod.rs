//! Recipes for every release and role, applied, applied again, and taken back.

mod again;
mod cloud_init;
mod database;
mod firewall;
mod fixtures;
mod golden;
mod hostile;
mod manifests;
mod plans;
mod scopes;
mod secrets;
mod vip;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::apply::{Applied, apply, seal};
use super::{Bundle, Deb, Material, Materials, Recipe, Scope, Traits, recipe};
use crate::fs::root::Root;
use crate::fs::{FileKind, Metadata};
use crate::profile::{FileContent, NodePlan};
use crate::provenance::sbom::Sbom;
use crate::provenance::{Base, Record, Subject, VERSION};
use crate::store::{BytesSource, Payload};

fn material(content: &str, what: &str) -> Material {
    Material {
        payload: Payload(std::sync::Arc::new(BytesSource::new(content.as_bytes()))),
        sha256: hex::encode(Sha256::digest(content)),
        what: what.into(),
        url: None,
    }
}

fn materials(plan: &NodePlan) -> Materials {
    let mut host_files = BTreeMap::new();
    for manifest in &plan.manifests {
        host_files.insert(manifest.path.clone(), material("kind: Namespace\n", &manifest.name));
    }
    for file in &plan.files {
        if let FileContent::Host(host) = &file.content {
            host_files.insert(host.path.clone(), material("from the host\n", &host.name));
        }
    }
    Materials {
        firstboot: material("a device binary", "firstboot"),
        k3s: plan.k3s.as_ref().map(|k3s| material("a K3s", &format!("K3s {}", k3s.version))),
        airgap: plan.k3s.as_ref().filter(|k3s| k3s.airgap).map(|_| Bundle {
            file_name: "k3s-airgap-images.tar.zst".into(),
            material: material("container images", "images"),
        }),
        pins: super::Pins::default(),
        metallb: super::wants_metallb(plan).then(|| material("kind: Namespace\n", "MetalLB")),
        host_files,
        packages: super::wanted_packages(plan).iter().map(|name| deb(name)).collect(),
    }
}

fn deb(name: &str) -> Deb {
    let material = material(&format!("package {name}"), name);
    let package = nodeconf::Package {
        name: name.into(),
        version: "1:2-3".into(),
        architecture: "arm64".into(),
        file: format!("{name}_1%3a2-3_arm64.deb"),
        sha256: material.sha256.clone(),
        batch: 0,
    };
    Deb { package, material }
}

fn recipe_for(root: &Root, plan: &NodePlan) -> Recipe {
    let traits = Traits::detect(root).unwrap();
    recipe(&traits, plan, &materials(plan), fixtures::BUILT).unwrap()
}

/// Shared edits first, then the node's, as the job does.
fn apply_all(root: &mut Root, recipe: &Recipe) -> crate::error::Result<Applied> {
    let golden = apply(root, recipe.of(Scope::Shared), fixtures::BUILT, &Applied::default())?;
    apply(root, recipe.of(Scope::Node), fixtures::BUILT, &golden)
}

/// Bakes as the job does, without opening and writing images.
fn bake(root: &mut Root, plan: &NodePlan) -> Applied {
    super::undo::undo(root).unwrap();
    let mut recipe = recipe_for(root, plan);
    let sbom = Sbom { spdx: "{}\n".into(), cyclonedx: "{}\n".into() };
    recipe.edits.extend(super::sbom_edits(sbom));
    let applied = apply_all(root, &recipe).unwrap();
    seal(root, &record(plan, &applied), &applied).unwrap();
    applied
}

fn record(plan: &NodePlan, applied: &Applied) -> Record {
    Record {
        version: VERSION,
        tool: "bake test".into(),
        node: Subject {
            profile: plan.profile.clone(),
            profile_sha256: None,
            lock_sha256: None,
            cluster: plan.cluster.name.clone(),
            name: Some(plan.node.name.clone()),
            role: plan.node.role,
            incarnation: Some(1),
        },
        base: Base {
            name: "base".into(),
            os: String::new(),
            architecture: String::new(),
            sha256: None,
            verified: None,
        },
        components: Vec::new(),
        packages: Vec::new(),
        container_images: BTreeMap::new(),
        shared: String::new(),
        time: fixtures::BUILT,
        files: applied.files.clone(),
    }
}

fn text(root: &Root, path: &str) -> String {
    let bytes = root.read(path.as_bytes(), 1 << 20).unwrap();
    String::from_utf8(bytes.unwrap_or_else(|| panic!("{path} is missing"))).unwrap()
}

/// Everything in a system, in the order of its paths: what is compared before and after.
fn listing(root: &Root) -> BTreeMap<String, (Metadata, String)> {
    fn walk(root: &Root, path: &str, all: &mut BTreeMap<String, (Metadata, String)>) {
        for entry in root.read_dir(path.as_bytes()).unwrap() {
            let name = String::from_utf8(entry.name).unwrap();
            let inner = format!("{}/{name}", path.trim_end_matches('/'));
            let found = root.lstat(inner.as_bytes()).unwrap().unwrap();
            let content = match found.kind {
                FileKind::File => {
                    String::from_utf8_lossy(&root.read(inner.as_bytes(), 1 << 24).unwrap().unwrap())
                        .into_owned()
                }
                FileKind::Symlink => {
                    String::from_utf8_lossy(&root.read_link(inner.as_bytes()).unwrap()).into_owned()
                }
                _ => String::new(),
            };
            // Inode numbers are no property of the file.
            let found = Metadata { inode: 0, ..found };
            let is_dir = found.kind == FileKind::Directory;
            all.insert(inner.clone(), (found, content));
            if is_dir {
                walk(root, &inner, all);
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(root, "/", &mut all);
    all
}
