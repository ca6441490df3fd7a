//! The wireless network.

use nodeconf::StaticAddress;

use super::{connection_id, dhcpcd, ifupdown, netplan, networkd, networkmanager};
use crate::profile::{NodePlan, WifiPlan};
use crate::recipe::edit::Topic;
use crate::recipe::steps::Steps;
use crate::recipe::traits::{Manager, Traits};

/// What is wanted, and for which interface.
pub(super) struct Wireless<'p> {
    pub(super) plan: &'p NodePlan,
    pub(super) wish: &'p WifiPlan,
    pub(super) interface: &'p str,
    pub(super) fixed: Option<&'p StaticAddress>,
}

/// How one proves to belong to the network.
pub(super) enum Key<'p> {
    /// 8 to 63 characters.
    Passphrase(&'p str),
    /// 64 hexadecimal digits.
    Raw(&'p str),
}

impl Wireless<'_> {
    pub(super) fn key(&self) -> Option<Key<'_>> {
        let psk = self.wish.psk.as_ref()?.expose();
        let raw = psk.len() == 64 && psk.bytes().all(|b| b.is_ascii_hexdigit());
        Some(if raw { Key::Raw(psk) } else { Key::Passphrase(psk) })
    }
}

/// Radios of the boards, as systemd-rfkill(8) names the files of their saved state: Pi 3, Pi 4,
/// and Pi 5.
const RADIOS: [&str; 3] = [
    "platform-3f300000.mmcnr:wlan",
    "platform-fe300000.mmcnr:wlan",
    "platform-1001100000.mmc:wlan",
];

pub(super) fn edits(traits: &Traits, wireless: &Wireless<'_>, steps: &mut Steps) {
    steps.about(Topic::Wifi);
    let interface = wireless.interface;
    match traits.network {
        Manager::NetworkManager => {
            let id = connection_id(wireless.plan, interface);
            networkmanager::wifi(wireless, &id, steps);
        }
        Manager::NetplanForNetworkManager => netplan::wifi("NetworkManager", wireless, steps),
        Manager::NetplanForNetworkd => netplan::wifi("networkd", wireless, steps),
        Manager::Dhcpcd => {
            supplicant("/etc/wpa_supplicant/wpa_supplicant.conf", wireless, steps);
            if let Some(fixed) = wireless.fixed {
                dhcpcd::address(interface, fixed, steps);
            }
        }
        Manager::Networkd => {
            let file = format!("/etc/wpa_supplicant/wpa_supplicant-{interface}.conf");
            supplicant(&file, wireless, steps);
            let unit = format!("wpa_supplicant@{interface}.service");
            let template = format!("{}/wpa_supplicant@.service", traits.unit_dir);
            steps.enable("multi-user.target", &unit, template);
            let path = format!("/etc/systemd/network/05-bake-{interface}.network");
            steps.write(path, 0o644, networkd::file(interface, wireless.fixed));
        }
        Manager::Ifupdown => {
            let file = "/etc/wpa_supplicant/wpa_supplicant.conf";
            supplicant(file, wireless, steps);
            let stanza = match wireless.fixed {
                Some(fixed) => ifupdown::stanza(interface, fixed),
                None => format!("iface {interface} inet dhcp\n"),
            };
            // A file of its own: Debian's /etc/network/interfaces sources this folder.
            let text = format!("allow-hotplug {interface}\n{stanza}\twpa-conf {file}\n");
            steps.write("/etc/network/interfaces.d/bake-wifi", 0o644, text);
        }
    }
    if !traits.wpa_supplicant {
        steps.warn("the image has no wpa_supplicant: its Wi-Fi will not work");
    }
    if traits.os.raspberry_pi_os {
        // `0`: not blocked. The image blocks the radio until someone names a country.
        for radio in RADIOS {
            steps.write(format!("/var/lib/systemd/rfkill/{radio}"), 0o644, "0\n");
        }
    }
}

/// wpa_supplicant.conf(5).
fn supplicant(path: &str, wireless: &Wireless<'_>, steps: &mut Steps) {
    let WifiPlan { ssid, country, hidden, .. } = wireless.wish;
    // Unquoted hexadecimal takes any bytes; quoted text would end at the first quote.
    let ssid = hex::encode(ssid);
    let scan = if *hidden { "\tscan_ssid=1\n" } else { "" };
    let key = match wireless.key() {
        None => "\tkey_mgmt=NONE\n".to_owned(),
        Some(Key::Raw(hex)) => format!("\tpsk={hex}\n"),
        Some(Key::Passphrase(text)) => format!("\tpsk=\"{text}\"\n"),
    };
    let text = format!(
        "country={country}\nctrl_interface=DIR=/var/run/wpa_supplicant GROUP=netdev\n\
         update_config=1\n\nnetwork={{\n\tssid={ssid}\n{scan}{key}}}\n"
    );
    steps.secret(path, text);
}
