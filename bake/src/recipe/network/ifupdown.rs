//! interfaces(5).

use nodeconf::StaticAddress;

use super::join;
use crate::recipe::amend::Amendment;
use crate::recipe::steps::Steps;

pub(super) fn address(interface: &str, fixed: &StaticAddress, steps: &mut Steps) {
    let body = format!("auto {interface}\n{}", stanza(interface, fixed));
    steps.amend_or_make("/etc/network/interfaces", 0o644, Amendment::Block { body });
}

pub(super) fn stanza(interface: &str, fixed: &StaticAddress) -> String {
    let mut body =
        format!("iface {interface} inet static\n\taddress {}/{}\n", fixed.address, fixed.prefix);
    if let Some(gateway) = fixed.gateway {
        body += &format!("\tgateway {gateway}\n");
    }
    if !fixed.dns.is_empty() {
        body += &format!("\tdns-nameservers {}\n", join(&fixed.dns, " "));
    }
    body
}
