//! The node's name, and the names of the others.

use super::amend::Amendment;
use super::edit::Topic;
use super::steps::Steps;
use super::traits::Traits;
use crate::profile::NodePlan;

pub(super) fn edits(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    steps.about(Topic::Identity);
    if !plan.system.cloud_init {
        let name = &plan.node.name;
        steps.write("/etc/hostname", 0o644, format!("{name}\n"));
        steps.amend_or_make("/etc/hosts", 0o644, Amendment::HostsName(name.clone()));
    }
    let body: String =
        plan.network.hosts.iter().map(|(address, name)| format!("{address}\t{name}\n")).collect();
    if !body.is_empty() {
        steps.amend("/etc/hosts", Amendment::Block { body });
    }
    if traits.machine_id_fixed {
        steps.shared();
        // Empty, not `uninitialized`: that one would also make it a first boot (machine-id(5)).
        steps.note("the image had a machine id: the node gets its own on the first boot");
        steps.write("/etc/machine-id", 0o444, "");
    }
}
