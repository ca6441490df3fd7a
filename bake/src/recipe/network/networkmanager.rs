//! NetworkManager keyfiles, nm-settings-keyfile(5): mode 0600 or they are ignored.

use nodeconf::StaticAddress;

use super::wifi::{Key, Wireless};
use crate::recipe::steps::Steps;

const CONNECTIONS: &str = "/etc/NetworkManager/system-connections";

pub(super) fn ethernet(interface: &str, fixed: &StaticAddress, uuid: &str, steps: &mut Steps) {
    let text = format!(
        "[connection]\nid=bake-{interface}\nuuid={uuid}\ntype=ethernet\n\
         interface-name={interface}\nautoconnect-priority=100\n\n[ethernet]\n\n{}",
        addresses(Some(fixed))
    );
    steps.write(format!("{CONNECTIONS}/bake-{interface}.nmconnection"), 0o600, text);
}

pub(super) fn wifi(wireless: &Wireless<'_>, uuid: &str, steps: &mut Steps) {
    let interface = wireless.interface;
    let mut text = format!(
        "[connection]\nid=bake-{interface}\nuuid={uuid}\ntype=wifi\n\
         interface-name={interface}\n\n[wifi]\nmode=infrastructure\nssid={}\nhidden={}\n",
        ssid(&wireless.wish.ssid),
        wireless.wish.hidden
    );
    if let Some(key) = wireless.key() {
        let (Key::Passphrase(psk) | Key::Raw(psk)) = key;
        text += &format!("\n[wifi-security]\nkey-mgmt=wpa-psk\npsk={}\n", escape(psk));
    }
    text += &format!("\n{}", addresses(wireless.fixed));
    steps.secret(format!("{CONNECTIONS}/bake-{interface}.nmconnection"), text);
    // Off until a country is known; it is, by then.
    let state = "[main]\nNetworkingEnabled=true\nWirelessEnabled=true\nWWANEnabled=true\n";
    steps.write("/var/lib/NetworkManager/NetworkManager.state", 0o644, state);
}

fn addresses(fixed: Option<&StaticAddress>) -> String {
    let mut text = String::from("[ipv4]\n");
    match fixed {
        None => text += "method=auto\n",
        Some(fixed) => {
            text += &format!("method=manual\naddress1={}/{}", fixed.address, fixed.prefix);
            if let Some(gateway) = fixed.gateway {
                text += &format!(",{gateway}");
            }
            text.push('\n');
            if !fixed.dns.is_empty() {
                text += &format!("dns={};\n", super::join(&fixed.dns, ";"));
            }
        }
    }
    text + "\n[ipv6]\naddr-gen-mode=default\nmethod=auto\n"
}

/// A string value: keyfile strings know `\s` for a leading space, `\\` and a few more (GKeyFile).
fn escape(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
    match value.strip_prefix(' ') {
        Some(rest) => format!("\\s{rest}"),
        None => value,
    }
}

/// A name with `;` or without text would be read as a list of bytes, so it is written as one.
fn ssid(name: &str) -> String {
    let as_text = !name.is_empty() && !name.contains(';') && !name.contains(char::is_control);
    if as_text {
        return escape(name);
    }
    name.bytes().map(|b| format!("{b};")).collect()
}
