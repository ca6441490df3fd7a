//! Base image traits and node plan in, ordered edits out: pure data.
//!
//! [`traits`] reads what an image is, [`recipe`] says what it needs, as [`edit`]s that print
//! themselves; [`amend`] changes parts of files; [`apply`] does it all to an image, and [`undo`]
//! takes away what an earlier bake did.

pub mod amend;
pub mod apply;
pub mod booted;
pub mod edit;
pub mod traits;
pub mod undo;

mod cloud_init;
pub mod container_images;
mod database;
mod firewall;
mod firstboot;
mod identity;
mod imager;
mod iptables;
mod k3s;
mod kernel;
mod metallb;
mod network;
mod packages;
mod pki;
mod sbom;
mod steps;
mod swap;
mod time;
mod users;
pub mod vip;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nodeconf::{NodeConfig, Role};
use sha2::{Digest, Sha256};

pub use container_images::Pins;
pub use edit::{Access, Action, Edit, Material, Scope, Source, Topic};
pub use k3s::environment;
pub use metallb::{path as metallb_path, wanted as wants_metallb};
pub use packages::wanted as wanted_packages;
pub use sbom::edits as sbom_edits;
pub use traits::Traits;

use crate::error::{Error, Result};
use crate::profile::{BaseFacts, FileContent, NodePlan};
use steps::Steps;
use traits::Growth;

/// Files of the host that a recipe puts into the image.
#[derive(Debug, Clone)]
pub struct Materials {
    /// The device binary for the image's architecture.
    pub firstboot: Material,
    /// The K3s binary; needed by every node that runs K3s.
    pub k3s: Option<Material>,
    /// K3s's image bundle; needed where the profile says `airgap`.
    pub airgap: Option<Bundle>,
    /// MetalLB's manifest; needed by servers where the profile says `metallb`.
    pub metallb: Option<Material>,
    /// Manifests and files the profile names, by their path on the host.
    pub host_files: BTreeMap<PathBuf, Material>,
    /// Debian packages to install on the first boot, in dpkg's order.
    pub packages: Vec<Deb>,
    /// Container images by the names that manifests give them, with what they are pinned to.
    pub pins: Pins,
}

/// A Debian package.
#[derive(Debug, Clone)]
pub struct Deb {
    /// As the node's configuration lists it.
    pub package: nodeconf::Package,
    /// The file.
    pub material: Material,
}

/// An archive of container images.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its name in K3s's image folder, whose suffix says how it is compressed.
    pub file_name: String,
    /// The archive.
    pub material: Material,
}

impl Materials {
    fn host_file(&self, path: &Path) -> Result<Material> {
        self.host_files
            .get(path)
            .cloned()
            .ok_or_else(|| Error::NotFound { what: "file", name: path.display().to_string() })
    }
}

/// What one node's image gets.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// In the order they are applied.
    pub edits: Vec<Edit>,
    /// What a curious user may want to know.
    pub notes: Vec<String>,
    /// What the user should read.
    pub warnings: Vec<String>,
    /// The node configuration among the edits.
    pub config: NodeConfig,
}

impl Recipe {
    /// The edits of one scope, in their order. Those of [`Scope::Shared`] are applied first.
    pub fn of(&self, scope: Scope) -> impl Iterator<Item = &Edit> + Clone {
        self.edits.iter().filter(move |edit| edit.scope == scope)
    }

    /// Bytes that the shared edits need at most, and the files of the host that are each node's
    /// own: equal for all nodes of a role.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let own = self.of(Scope::Node).filter(|edit| {
            matches!(&edit.action, Action::Write { source: Source::Material(_), .. })
        });
        self.of(Scope::Shared).chain(own).map(Edit::bytes).sum()
    }

    /// Tells golden layers apart: SHA-256, in hexadecimal, of everything that the shared edits
    /// are, and of the room that the nodes' own need.
    #[must_use]
    pub fn shared_digest(&self) -> String {
        let mut hasher = Sha256::new();
        for edit in self.of(Scope::Shared) {
            hasher.update(edit.identity());
            hasher.update([0]);
        }
        hasher.update(self.bytes().to_le_bytes());
        hex::encode(hasher.finalize())
    }
}

/// Everything that makes the image of these `traits` the node of this `plan`.
///
/// `time` is the bake's, in seconds since 1970-01-01 UTC: the clock's floor and the time of all
/// that is made.
///
/// # Errors
/// [`Error::Usage`] where the plan contradicts the image, [`Error::NotFound`] where a material
/// is missing.
pub fn recipe(
    traits: &Traits,
    plan: &NodePlan,
    materials: &Materials,
    time: i64,
) -> Result<Recipe> {
    let mut steps = Steps::new();
    if plan.node.role != Role::Database {
        kernel::edits(traits, plan, &mut steps);
    }
    let iptables = iptables::edits(traits, plan, &mut steps);
    swap::edits(traits, plan, &mut steps);
    identity::edits(traits, plan, &mut steps);
    network::edits(traits, plan, &mut steps);
    users::edits(traits, plan, time, &mut steps)?;
    cloud_init::edits(traits, plan, &mut steps)?;
    imager::notes(traits, plan, &mut steps);
    time::edits(traits, plan, time, &mut steps)?;
    if let Some(k3s) = &plan.k3s {
        k3s::edits(plan, k3s, materials, iptables, &mut steps)?;
    }
    metallb::edits(plan, materials, &mut steps)?;
    let mut config = plan.config(&BaseFacts {
        boot_mount: traits.boot_mount.clone(),
        clock_floor: u64::try_from(time).unwrap_or(0),
        iptables: iptables.outcome,
        root_growth: traits.growth != Growth::None,
    });
    vip::edits(plan, &config, &mut steps);
    pki::edits(&plan.pki, &mut steps);
    database::edits(plan, &mut steps);
    firewall::edits(traits, plan, &mut steps);
    packages::edits(materials, &mut config, &mut steps);
    firstboot::edits(plan, &config, materials, &mut steps);
    files(plan, materials, &mut steps)?;
    materials.pins.pin(&mut steps.edits)?;
    let Steps { mut edits, notes, warnings, .. } = steps;
    keep_order(&mut edits);
    Ok(Recipe { edits, notes, warnings, config })
}

/// Shared edits are applied before all others: one that comes after a node's own of the same path
/// becomes the node's as well.
fn keep_order(edits: &mut [Edit]) {
    let mut own = BTreeSet::new();
    for edit in edits {
        let path = edit.action.path().to_owned();
        if own.contains(&path) {
            edit.scope = Scope::Node;
        } else if edit.scope == Scope::Node {
            own.insert(path);
        }
    }
}

fn files(plan: &NodePlan, materials: &Materials, steps: &mut Steps) -> Result<()> {
    steps.about(Topic::Files);
    for file in &plan.files {
        let source = match &file.content {
            FileContent::Inline(text) => Source::Bytes(text.clone().into_bytes()),
            FileContent::Host(host) => Source::Material(materials.host_file(&host.path)?),
        };
        // What others on the node may not read may be a secret, and is not for a terminal either.
        let for_all = file.mode & 0o004 != 0;
        if for_all {
            steps.shared()
        } else {
            steps.own()
        }
        let access = Access { mode: file.mode, uid: file.uid, gid: file.gid };
        steps.push(Action::Write { path: file.path.clone(), source, access, secret: !for_all });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
