//! systemd.network(5).

use nodeconf::StaticAddress;

use crate::recipe::steps::Steps;

pub(super) fn address(interface: &str, fixed: &StaticAddress, steps: &mut Steps) {
    // 05: before whatever the image brings, since the first file that matches an interface wins.
    let path = format!("/etc/systemd/network/05-bake-{interface}.network");
    steps.write(path, 0o644, file(interface, Some(fixed)));
}

pub(super) fn file(interface: &str, fixed: Option<&StaticAddress>) -> String {
    let mut text = format!("[Match]\nName={interface}\n\n[Network]\n");
    let Some(fixed) = fixed else { return text + "DHCP=yes\n" };
    text += &format!("Address={}/{}\n", fixed.address, fixed.prefix);
    if let Some(gateway) = fixed.gateway {
        text += &format!("Gateway={gateway}\n");
    }
    for server in &fixed.dns {
        text += &format!("DNS={server}\n");
    }
    text
}
