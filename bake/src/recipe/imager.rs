//! Customisation that was on the image before: it is kept, and said what comes of it.

use super::edit::Topic;
use super::steps::Steps;
use super::traits::{Imager, Manager, Traits};
use crate::profile::NodePlan;

pub(super) fn notes(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    steps.about(Topic::CloudInit);
    for found in &traits.imager {
        let outcome = outcome(*found, traits, plan);
        steps.note(format!("{} is on the boot partition and stays: {outcome}", found.file()));
    }
}

fn outcome(found: Imager, traits: &Traits, plan: &NodePlan) -> &'static str {
    let (users, wifi) = (!plan.system.users.is_empty(), plan.system.wifi.is_some());
    match found {
        Imager::UserData => {
            "cloud-init makes its users and does what else it says; the profile's name and address win"
        }
        Imager::CustomToml | Imager::FirstRun => {
            "it is applied at the first boot as it would be; then firstboot sets the node's name again, \
             and a network it names is there beside the profile's"
        }
        Imager::UserConf if users => "it is not read, for the profile names the users",
        Imager::UserConf => {
            "the user it names is made at the first boot, for the profile names none"
        }
        Imager::Ssh if plan.system.ssh => "sshd is started anyway",
        Imager::Ssh => "it starts sshd, whatever the profile says",
        Imager::WpaSupplicant if traits.network != Manager::Dhcpcd => {
            "nothing reads it in this release; `system.wifi` of the profile names a network"
        }
        Imager::WpaSupplicant if wifi => {
            "the first boot puts it in place of the profile's network: remove one of the two"
        }
        Imager::WpaSupplicant => "the first boot joins the network it names",
    }
}

/// Whether the image's own wizard has the first user to make, from a file on the boot partition.
pub(super) fn wizard_is_needed(traits: &Traits, plan: &NodePlan) -> bool {
    plan.system.users.is_empty() && traits.imager.contains(&Imager::UserConf)
}
