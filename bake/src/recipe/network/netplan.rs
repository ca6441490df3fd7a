//! netplan YAML, version 2: mode 0600 or netplan complains. JSON strings are YAML strings.

use nodeconf::StaticAddress;
use serde_json::Value;

use super::wifi::{Key, Wireless};
use crate::recipe::steps::Steps;

/// 90: after what the image and cloud-init bring, so that ours counts.
fn path(interface: &str) -> String {
    format!("/etc/netplan/90-bake-{interface}.yaml")
}

pub(super) fn ethernet(renderer: &str, interface: &str, fixed: &StaticAddress, steps: &mut Steps) {
    let name = quoted(interface);
    let text = format!(
        "network:\n  version: 2\n  ethernets:\n    {name}:\n      renderer: {renderer}\n{}",
        addresses(Some(fixed))
    );
    steps.write(path(interface), 0o600, text);
}

pub(super) fn wifi(renderer: &str, wireless: &Wireless<'_>, steps: &mut Steps) {
    let Wireless { wish, interface, fixed, .. } = wireless;
    let mut text = format!(
        "network:\n  version: 2\n  wifis:\n    {}:\n      renderer: {renderer}\n      \
         regulatory-domain: {}\n{}      access-points:\n        {}:\n          hidden: {}\n",
        quoted(interface),
        quoted(&wish.country),
        addresses(*fixed),
        quoted(&wish.ssid),
        wish.hidden
    );
    if let Some(key) = wireless.key() {
        let (Key::Passphrase(password) | Key::Raw(password)) = key;
        let password = quoted(password);
        text += &format!(
            "          auth:\n            key-management: psk\n            password: {password}\n"
        );
    }
    steps.secret(path(interface), text);
}

fn addresses(fixed: Option<&StaticAddress>) -> String {
    indented("      ", fixed)
}

/// How an interface gets its addresses, each line behind `indent`.
pub(in crate::recipe) fn indented(indent: &str, fixed: Option<&StaticAddress>) -> String {
    let Some(fixed) = fixed else {
        return format!("{indent}dhcp4: true\n{indent}optional: true\n");
    };
    let address = quoted(&format!("{}/{}", fixed.address, fixed.prefix));
    let mut text = format!("{indent}dhcp4: false\n{indent}addresses: [{address}]\n");
    if let Some(gateway) = fixed.gateway {
        // `default` as a destination is not known to the netplan of Ubuntu 20.04.
        let via = quoted(&gateway.to_string());
        text += &format!("{indent}routes: [{{to: \"0.0.0.0/0\", via: {via}}}]\n");
    }
    if !fixed.dns.is_empty() {
        let servers: Vec<String> = fixed.dns.iter().map(|a| quoted(&a.to_string())).collect();
        text += &format!("{indent}nameservers: {{addresses: [{}]}}\n", servers.join(", "));
    }
    text
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
