//! dhcpcd.conf(5): options after `interface NAME` hold for that interface.

use nodeconf::StaticAddress;

use super::join;
use crate::recipe::amend::Amendment;
use crate::recipe::steps::Steps;

pub(super) fn address(interface: &str, fixed: &StaticAddress, steps: &mut Steps) {
    let mut body =
        format!("interface {interface}\nstatic ip_address={}/{}\n", fixed.address, fixed.prefix);
    if let Some(gateway) = fixed.gateway {
        body += &format!("static routers={gateway}\n");
    }
    if !fixed.dns.is_empty() {
        body += &format!("static domain_name_servers={}\n", join(&fixed.dns, " "));
    }
    steps.amend("/etc/dhcpcd.conf", Amendment::Block { body });
}
