//! What cloud-init must leave alone: it keeps growing the root file system.

use nodeconf::Address;

use super::edit::Topic;
use super::steps::Steps;
use super::traits::Traits;
use crate::profile::NodePlan;

/// Read after every other file of the folder; Raspberry Pi's is `99_raspberry-pi.cfg`.
const SETTINGS: &str = "/etc/cloud/cloud.cfg.d/zz-bake.cfg";

pub(super) fn edits(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    let Some(cloud_init) = &traits.cloud_init else { return };
    steps.about(Topic::CloudInit);
    let mut text = String::from("preserve_hostname: true\nmanage_etc_hosts: false\n");
    if matches!(plan.network.address, Address::Static(_)) || plan.system.wifi.is_some() {
        text += "network: {config: disabled}\n";
    }
    let users = users(plan);
    text += &users;
    steps.write(SETTINGS, 0o644, text);
    // user-data is read after everything in /etc; the images' own makes their default user.
    if let Some(seed) = cloud_init.seed.as_ref().filter(|_| !users.is_empty()) {
        let text =
            format!("#cloud-config\n# The users of this node are in its image already.\n{users}");
        steps.write(format!("{seed}/user-data"), 0o755, text);
    }
}

/// The users are in the image already, so cloud-init must make none.
fn users(plan: &NodePlan) -> String {
    if plan.system.users.is_empty() {
        return String::new();
    }
    let passwords = plan.system.users.iter().any(|user| user.password_hash.is_some());
    format!("users: []\nssh_pwauth: {passwords}\n")
}
