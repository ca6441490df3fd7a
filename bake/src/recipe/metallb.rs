//! MetalLB in layer-2 mode: its own manifest, and the addresses it may hand out.

use std::fmt::Write;

use nodeconf::{Role, paths};

use super::Materials;
use super::edit::{Access, Source, Topic};
use super::steps::Steps;
use crate::error::{Error, Result};
use crate::profile::{LoadBalancer, NodePlan};

/// Where its own manifest goes.
#[must_use]
pub fn path() -> String {
    format!("{}/bake-metallb.yaml", paths::K3S_MANIFESTS)
}

/// Whether the node's image gets MetalLB's manifest: servers apply it.
#[must_use]
pub fn wanted(plan: &NodePlan) -> bool {
    plan.node.role == Role::Server && matches!(plan.load_balancer, LoadBalancer::Metallb(_))
}

pub(super) fn edits(plan: &NodePlan, materials: &Materials, steps: &mut Steps) -> Result<()> {
    let LoadBalancer::Metallb(ranges) = &plan.load_balancer else { return Ok(()) };
    if !wanted(plan) {
        return Ok(());
    }
    steps.about(Topic::K3s).shared();
    let missing = || Error::NotFound { what: "MetalLB", name: "its manifest".into() };
    let manifest = Source::Material(materials.metallb.clone().ok_or_else(missing)?);
    steps.put(path(), Access::root(0o600), manifest);
    steps.own();
    let path = format!("{}/bake-metallb-pools.yaml", paths::K3S_MANIFESTS);
    steps.write(path, 0o600, pools(ranges));
    steps.note(format!(
        "K3s's own images do not hold MetalLB's: the nodes download them, unless the profile \
         puts an archive of them below {} (docs/networking.md)",
        paths::K3S_IMAGES
    ));
    Ok(())
}

/// A file of its own: what MetalLB's webhook does not take yet K3s applies again every 15 s until
/// it does, and goes on with the other files meanwhile (k3s `pkg/deploy/controller.go`).
fn pools(ranges: &[(std::net::Ipv4Addr, std::net::Ipv4Addr)]) -> String {
    let mut text = String::from(
        "# Written by bake: the addresses of services of type LoadBalancer.\n\
         apiVersion: metallb.io/v1beta1\n\
         kind: IPAddressPool\n\
         metadata:\n  name: bake\n  namespace: metallb-system\n\
         spec:\n  addresses:\n",
    );
    for (first, last) in ranges {
        let _ = writeln!(text, "    - {first}-{last}");
    }
    text += "---\n\
             apiVersion: metallb.io/v1beta1\n\
             kind: L2Advertisement\n\
             metadata:\n  name: bake\n  namespace: metallb-system\n\
             spec:\n  ipAddressPools: [bake]\n";
    text
}
