//! kube-vip's manifest, which K3s applies by itself.

use nodeconf::{Vip, paths};

use super::super::edit::Topic;
use super::super::steps::Steps;
use crate::profile::NodePlan;

/// Newest release whose environment and permissions this manifest was held against.
const VERSION: &str = "v1.2.3";
const MANIFEST: &str = include_str!("kube-vip.yaml");

pub(super) fn edits(plan: &NodePlan, vip: &Vip, steps: &mut Steps) {
    steps.about(Topic::Vip);
    let manifest = MANIFEST
        .replace("@VERSION@", VERSION)
        .replace("@INTERFACE@", &plan.node.interface)
        .replace("@ADDRESS@", &vip.address.to_string())
        .replace("@PORT@", &vip.port.to_string());
    steps.write(format!("{}/bake-kube-vip.yaml", paths::K3S_MANIFESTS), 0o600, manifest);
    steps.note(format!(
        "kube-vip comes as ghcr.io/kube-vip/kube-vip:{VERSION}, by its tag where no lock pins it; \
         K3s's own images do not hold it: the nodes download it, unless the profile puts an \
         archive of it below {} (docs/networking.md)",
        paths::K3S_IMAGES
    ));
}
