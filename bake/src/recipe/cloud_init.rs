//! cloud-init: left to grow the root file system and no more, or told who the node is in the files
//! of its NoCloud data source.

use nodeconf::Address;
use serde_json::{Value, json};

use super::edit::Topic;
use super::network::netplan;
use super::steps::Steps;
use super::traits::{Imager, Traits};
use super::users;
use crate::error::{Error, Result};
use crate::profile::{NodePlan, UserPlan};

/// Read after every other file of the folder; Raspberry Pi's is `99_raspberry-pi.cfg`.
const SETTINGS: &str = "/etc/cloud/cloud.cfg.d/zz-bake.cfg";

pub(super) fn edits(traits: &Traits, plan: &NodePlan, steps: &mut Steps) -> Result<()> {
    steps.about(Topic::CloudInit);
    if plan.system.cloud_init {
        return identity(traits, plan, steps);
    }
    let Some(cloud_init) = &traits.cloud_init else { return Ok(()) };
    let mut text = String::from("preserve_hostname: true\nmanage_etc_hosts: false\n");
    if matches!(plan.network.address, Address::Static(_)) || plan.system.wifi.is_some() {
        text += "network: {config: disabled}\n";
    }
    let users = no_users(plan);
    text += &users;
    steps.write(SETTINGS, 0o644, text);
    // Imager's stay: what they say of users counts more than our settings (`imager`).
    let own = traits.imager.contains(&Imager::UserData);
    // user-data is read after everything in /etc; the images' own makes their default user.
    if let Some(seed) = cloud_init.seed.as_ref().filter(|_| !users.is_empty() && !own) {
        let text =
            format!("#cloud-config\n# The users of this node are in its image already.\n{users}");
        steps.write(format!("{seed}/user-data"), 0o755, text);
    }
    Ok(())
}

/// The users are in the image already, so cloud-init must make none.
fn no_users(plan: &NodePlan) -> String {
    if plan.system.users.is_empty() {
        return String::new();
    }
    let passwords = plan.system.users.iter().any(|user| user.password_hash.is_some());
    format!("users: []\nssh_pwauth: {passwords}\n")
}

/// Whether a user is made by cloud-init. The boot partition is for everybody to read, so who has a
/// password is in the image.
pub(super) fn makes(plan: &NodePlan, user: &UserPlan) -> bool {
    plan.system.cloud_init && user.password_hash.is_none()
}

/// The node's name, users and address as cloud-init reads them from the boot partition.
fn identity(traits: &Traits, plan: &NodePlan, steps: &mut Steps) -> Result<()> {
    let seed = traits.cloud_init.as_ref().and_then(|cloud_init| cloud_init.seed.as_deref());
    let Some(seed) = seed else {
        let what = "system.identity is `cloud-init`, and the image has no cloud-init that reads its \
                    boot partition";
        return Err(Error::Usage(what.into()).hint("`system.identity: native` needs none"));
    };
    if traits.imager.contains(&Imager::UserData) {
        let what = format!(
            "system.identity is `cloud-init`, and {seed}/user-data is Raspberry Pi Imager's already"
        );
        return Err(Error::Usage(what).hint(
            "`system.identity: native` keeps it; or take an image that Imager did not customise",
        ));
    }
    steps.write(SETTINGS, 0o644, "preserve_hostname: false\nmanage_etc_hosts: false\n");
    steps.write(format!("{seed}/user-data"), 0o755, user_data(traits, plan));
    steps.write(format!("{seed}/network-config"), 0o755, network_config(plan));
    steps.write(format!("{seed}/meta-data"), 0o755, meta_data(plan));
    if plan.system.users.iter().any(|user| user.password_hash.is_some()) {
        steps.note("users with a password are in the image, not in user-data, which all can read");
    }
    if plan.system.wifi.is_some() {
        steps.note(
            "the wireless network is in the image, not in network-config, which all can read",
        );
    }
    Ok(())
}

fn user_data(traits: &Traits, plan: &NodePlan) -> String {
    let made = plan.system.users.iter().filter(|user| makes(plan, user));
    let made: Vec<Value> = made.map(|user| account(traits, user)).collect();
    let mut data = json!({"hostname": plan.node.name, "fqdn": plan.node.name});
    if !plan.system.users.is_empty() {
        let passwords = plan.system.users.iter().any(|user| user.password_hash.is_some());
        data["users"] = Value::from(made);
        data["ssh_pwauth"] = Value::from(passwords);
    }
    format!("#cloud-config\n{}", yaml(&data))
}

fn account(traits: &Traits, user: &UserPlan) -> Value {
    let mut account = json!({
        "name": user.name,
        "shell": user.shell,
        "lock_passwd": true,
        "groups": users::groups(traits, user),
        "ssh_authorized_keys": user.ssh_keys,
    });
    if user.sudo {
        account["sudo"] = Value::from("ALL=(ALL:ALL) NOPASSWD:ALL");
    }
    account
}

/// Version 2, which netplan and cloud-init share.
fn network_config(plan: &NodePlan) -> String {
    let fixed = match &plan.network.address {
        Address::Static(fixed) => Some(fixed),
        Address::Dhcp => None,
    };
    // A wireless interface has its address with its key, in the image.
    if plan.network.interface.starts_with("wl") {
        return "version: 2\nethernets: {}\n".into();
    }
    let name = Value::from(plan.network.interface.as_str());
    format!("version: 2\nethernets:\n  {name}:\n{}", netplan::indented("    ", fixed))
}

/// A card made anew is another instance: cloud-init does everything once more.
fn meta_data(plan: &NodePlan) -> String {
    let (id, name) = (&plan.cluster.id, &plan.node.name);
    let incarnation = plan.node.incarnation;
    yaml(&json!({
        "dsmode": "local",
        "instance-id": format!("bake-{id}-{name}-{incarnation}"),
        "local-hostname": name,
    }))
}

/// A mapping with a line for each key; JSON values are YAML.
fn yaml(data: &Value) -> String {
    let lines = data.as_object().into_iter().flatten();
    lines.map(|(key, value)| format!("{key}: {value}\n")).collect()
}
