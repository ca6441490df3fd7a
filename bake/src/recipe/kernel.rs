//! The kernel's command line: the memory cgroup on, the radio's country.

use super::amend::Amendment;
use super::edit::Topic;
use super::steps::Steps;
use super::traits::{CommandLine, Manager, Traits};
use crate::profile::NodePlan;

/// Raspberry Pi firmware passes it to the kernel by default (K3s docs, requirements).
pub(in crate::recipe) const MEMORY_OFF: &str = "cgroup_disable=memory";
/// Undo it (K3s docs, requirements: Raspberry Pi OS).
const MEMORY_ON: [&str; 2] = ["cgroup_memory=1", "cgroup_enable=memory"];
const GRUB_DROP_IN: &str = "/etc/default/grub.d/90-bake.cfg";

pub(super) fn edits(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    steps.about(Topic::Kernel).shared();
    match &traits.command_line {
        CommandLine::File { path, copied_from } => {
            let change = Amendment::KernelWords {
                add: MEMORY_ON.map(str::to_owned).to_vec(),
                set: country(traits, plan),
                drop: vec![MEMORY_OFF.to_owned()],
            };
            if let Some(source) = copied_from {
                steps.amend_or_make(*source, 0o644, change.clone());
            }
            steps.amend(path, change);
        }
        CommandLine::Grub { path, memory_off: true } => {
            steps.amend(*path, Amendment::GrubDropWords(vec![MEMORY_OFF.to_owned()]));
            steps.write(GRUB_DROP_IN, 0o644, grub_drop_in());
        }
        CommandLine::Grub { memory_off: false, .. } => {
            steps.note("the kernel has its memory cgroup on by default: GRUB needs no change");
        }
        CommandLine::Unknown => steps.warn(
            "no kernel command line was found in the image: K3s needs the memory cgroup, and \
             will say so if the kernel does not switch it on by itself",
        ),
    }
}

/// NetworkManager and netplan leave the radio's country to the kernel (facts A12).
fn country(traits: &Traits, plan: &NodePlan) -> Vec<(String, String)> {
    let by_kernel = !matches!(traits.network, Manager::Dhcpcd | Manager::Ifupdown);
    match &plan.system.wifi {
        Some(wifi) if by_kernel => {
            vec![("cfg80211.ieee80211_regdom".to_owned(), wifi.country.clone())]
        }
        _ => Vec::new(),
    }
}

/// Sourced by grub-mkconfig after /etc/default/grub, so that a new kernel keeps the change.
fn grub_drop_in() -> String {
    let mut text = String::from("# K3s needs the memory cgroup.\n");
    for name in ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"] {
        text += &format!("{name}=$(printf '%s' \"${name}\" | sed 's/{MEMORY_OFF}//g')\n");
    }
    text
}
