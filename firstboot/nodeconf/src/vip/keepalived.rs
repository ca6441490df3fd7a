//! keepalived.conf(5), in words that keepalived 2.0 (Debian 10) knows already.

use std::fmt::Write;

use super::{ALIVE, Shared};
use crate::Address;

/// Seconds between two adverts. When three of them and a skew have passed in silence the address
/// moves: 0.45 to 0.57 s, by priority. VRRPv2 knows whole seconds only (RFC 5798, 5.2.7).
const ADVERT: &str = "0.15";

/// Virtual router id where the address's last byte gives none (keepalived's own example).
const ROUTER_ID: u8 = 51;
/// VRRP priority of the first server.
const FIRST_PRIORITY: u8 = 254;
/// How much less each of the first five has than the one before. Who has less waits longer before
/// it takes a free address, by 1/256 of the time between two adverts for each (RFC 5798, 6.1):
/// servers that are close to each other would take it at the same time. It does not depend on how
/// many servers there are, so that one that comes later is as far from those before it.
const STEP: u8 = 50;
const WELL_APART: u8 = 4;
const NARROW_STEP: u8 = 7;

/// Priority of the server that is declared after `rank` others: the first alive holds the address.
fn priority(rank: usize) -> u8 {
    let rank = u8::try_from(rank).unwrap_or(u8::MAX);
    let (apart, close) = (rank.min(WELL_APART), rank.saturating_sub(WELL_APART));
    let below = (apart * STEP).saturating_add(close.saturating_mul(NARROW_STEP));
    FIRST_PRIORITY.saturating_sub(below).max(1)
}

/// The script runs as root: with any other user keepalived 2.2.7 (Debian 12) ends itself in the
/// middle of a configuration test (`lib/notify.c`, `main_pid != getppid()`).
pub(super) fn config(shared: &Shared) -> String {
    let Shared { config, vip, .. } = shared;
    let (node, rank) = (&config.node, shared.rank());
    let last_byte = vip.address.octets()[3];
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
        name = node.name,
        alive = ALIVE,
        interface = node.interface,
        id = if last_byte == 0 { ROUTER_ID } else { last_byte },
        priority = priority(rank),
    );
    // keepalived before 2.2.4 falls back to multicast without peers; so does ours, in so many words.
    let peers: Vec<_> = shared.others().filter_map(|peer| peer.address).collect();
    if let (Address::Static(own), false) = (&node.address, peers.is_empty()) {
        let _ = writeln!(text, "    unicast_src_ip {}\n    unicast_peer {{", own.address);
        for peer in peers {
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
        interface = node.interface,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_of_a_dozen_have_the_same_priority() {
        let all: Vec<u8> = (0..12).map(priority).collect();
        assert_eq!(all[..5], [254, 204, 154, 104, 54]);
        assert!(all.windows(2).all(|pair| pair[0] > pair[1]), "{all:?}");
        assert_eq!(priority(usize::MAX), 1);
    }
}
