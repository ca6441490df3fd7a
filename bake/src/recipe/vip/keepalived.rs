//! keepalived.conf(5), in words that keepalived 2.0 (Debian 10) knows already.

use std::fmt::Write;

use nodeconf::{Address, Vip};

use crate::profile::{NodePlan, VrrpPlan};

/// Seconds between two adverts. When three of them and a skew have passed in silence the address
/// moves: 0.45 to 0.57 s, by priority. VRRPv2 knows whole seconds only (RFC 5798, 5.2.7).
const ADVERT: &str = "0.15";

/// The script runs as root: with any other user keepalived 2.2.7 (Debian 12) ends itself in the
/// middle of a configuration test (`lib/notify.c`, `main_pid != getppid()`).
pub(super) fn config(plan: &NodePlan, vrrp: &VrrpPlan, vip: &Vip) -> String {
    let mut text = format!(
        "# Written by bake: see docs/networking.md.\n\
         global_defs {{\n\
         \x20   router_id {name}\n\
         \x20   vrrp_version 3\n\
         \x20   vrrp_check_unicast_src\n\
         \x20   vrrp_priority -20\n\
         \x20   vrrp_no_swap\n\
         \x20   vrrp_garp_master_delay 1\n\
         \x20   vrrp_garp_master_repeat 5\n\
         \x20   vrrp_garp_interval 0.1\n\
         \x20   vrrp_garp_master_refresh 30\n\
         \x20   dynamic_interfaces\n\
         \x20   enable_script_security\n\
         \x20   script_user root\n\
         }}\n\
         \n\
         vrrp_script haproxy {{\n\
         \x20   script \"{alive}\"\n\
         \x20   interval 1\n\
         \x20   timeout 1\n\
         \x20   fall 2\n\
         \x20   rise 1\n\
         }}\n\
         \n\
         # All start as backup and none takes the address from another that works: moving it\n\
         # breaks the connections that go through it.\n\
         vrrp_instance api {{\n\
         \x20   state BACKUP\n\
         \x20   nopreempt\n\
         \x20   interface {interface}\n\
         \x20   virtual_router_id {id}\n\
         \x20   priority {priority}\n\
         \x20   advert_int {ADVERT}\n",
        name = plan.node.name,
        alive = super::ALIVE,
        interface = plan.node.interface,
        id = vrrp.router_id,
        priority = vrrp.priority,
    );
    // keepalived before 2.2.4 falls back to multicast without peers; so does ours, in so many words.
    if let (Address::Static(own), false) = (&plan.network.address, vrrp.peers.is_empty()) {
        let _ = writeln!(text, "    unicast_src_ip {}\n    unicast_peer {{", own.address);
        for peer in &vrrp.peers {
            let _ = writeln!(text, "        {peer}");
        }
        text += "    }\n";
    }
    let _ = write!(
        text,
        "    virtual_ipaddress {{\n\
         \x20       {address}/32 dev {interface}\n\
         \x20   }}\n\
         \x20   track_script {{\n\
         \x20       haproxy\n\
         \x20   }}\n\
         }}\n",
        address = vip.address,
        interface = plan.node.interface,
    );
    text
}

/// Debian's unit does not restart keepalived, and one that was killed leaves the address behind,
/// where it would answer beside the new holder.
pub(super) fn unit(vip: &Vip, interface: &str) -> String {
    format!(
        "[Unit]\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Restart=always\n\
         RestartSec=1s\n\
         ExecStopPost=-/sbin/ip address del {}/32 dev {interface}\n",
        vip.address
    )
}
