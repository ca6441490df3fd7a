//! Debian packages a node needs, staged for the first boot to install without a network.

use nodeconf::{NodeConfig, Role, VipProvider, paths};

use super::Materials;
use super::edit::{Access, Source, Topic};
use super::steps::Steps;
use crate::profile::NodePlan;

/// What moves and balances the shared address, and what `firstboot` looks with whether somebody
/// else has it.
const KEEPALIVED: [&str; 3] = ["haproxy", "iputils-arping", "keepalived"];
/// The release's PostgreSQL.
const POSTGRES: &str = "postgresql";

/// Packages that must be on the node once its first boot is done, by name.
#[must_use]
pub fn wanted(plan: &NodePlan) -> Vec<String> {
    let mut names = plan.system.packages.clone();
    let provider = plan.cluster.vip.as_ref().map(|vip| vip.provider);
    if plan.node.role == Role::Server && provider == Some(VipProvider::Keepalived) {
        names.extend(KEEPALIVED.map(str::to_owned));
    }
    if plan.node.role == Role::Database {
        names.push(POSTGRES.into());
    }
    names.sort();
    names.dedup();
    names
}

pub(super) fn edits(materials: &Materials, config: &mut NodeConfig, steps: &mut Steps) {
    if materials.packages.is_empty() {
        return;
    }
    steps.about(Topic::Packages).shared();
    steps.directory(paths::PACKAGES, Access::root(0o755));
    for deb in &materials.packages {
        let path = format!("{}/{}", paths::PACKAGES, deb.package.file);
        steps.put(path, Access::root(0o644), Source::Material(deb.material.clone()));
        config.packages.push(deb.package.clone());
    }
}
