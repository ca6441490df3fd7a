//! No swap, by every mechanism the image has.

use super::amend::Amendment;
use super::edit::Topic;
use super::steps::Steps;
use super::traits::{Swap, Traits};
use crate::profile::NodePlan;

pub(super) fn edits(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    steps.about(Topic::Swap).shared();
    if plan.system.swap == nodeconf::Swap::Keep {
        steps.note("swap stays as the image has it");
        return;
    }
    for mechanism in &traits.swap {
        match mechanism {
            Swap::Dphys => {
                let off = Amendment::Setting { key: "CONF_SWAPSIZE".into(), value: "0".into() };
                steps.amend("/etc/dphys-swapfile", off);
                steps.mask("dphys-swapfile.service");
            }
            Swap::RpiSwap => {
                steps.write("/etc/rpi/swap.conf.d/90-bake.conf", 0o644, "[Main]\nMechanism=none\n");
            }
            // An empty file in /etc hides the one in /usr/lib (zram-generator.conf(5)).
            Swap::ZramGenerator => steps.write(
                "/etc/systemd/zram-generator.conf",
                0o644,
                "# No device: this node has no swap.\n",
            ),
            Swap::ZramTools => steps.mask("zramswap.service"),
            Swap::Fstab => steps.amend("/etc/fstab", Amendment::FstabWithoutSwap),
            Swap::Unit(name) => steps.mask(name),
        }
    }
}
