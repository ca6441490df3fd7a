//! Who answers ARP, from what arping(8) of iputils prints and from the kernel's own table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The entry's hardware address is known (`ATF_COM`, linux/if_arp.h).
const COMPLETE: u32 = 0x2;

/// Hardware addresses of those that answered, in lower case:
/// `Unicast reply from 192.168.24.40 [B8:27:EB:01:02:03]  0.783ms`.
#[must_use]
pub fn answering(printed: &str) -> BTreeSet<String> {
    printed
        .lines()
        .filter(|line| line.contains(" reply from "))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_ascii_lowercase()))
        .collect()
}

/// Machines that the kernel has met on `interface`, from `/proc/net/arp`, with their hardware
/// addresses in lower case.
#[must_use]
pub fn neighbours(table: &str, interface: &str) -> BTreeMap<Ipv4Addr, String> {
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, _, flags, hardware, _, device] = fields[..] else { return None };
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let met = device == interface && flags & COMPLETE != 0;
        met.then_some((address.parse().ok()?, hardware.to_ascii_lowercase()))
    };
    table.lines().skip(1).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_once() {
        let printed = "ARPING 10.9.0.40 from 10.9.0.11 eth0\n\
                       Unicast reply from 10.9.0.40 [B8:27:EB:01:02:03]  0.783ms\n\
                       Unicast reply from 10.9.0.40 [B8:27:EB:01:02:03]  0.701ms\n\
                       Broadcast reply from 10.9.0.40 [02:00:00:00:00:01] to x  1ms\n\
                       Sent 1 probes (1 broadcast(s))\nReceived 2 response(s)\n";
        let found: Vec<String> = answering(printed).into_iter().collect();
        assert_eq!(found, ["02:00:00:00:00:01", "b8:27:eb:01:02:03"]);
        assert!(answering("ARPING 10.9.0.40 from 10.9.0.11 eth0\n").is_empty());
    }

    #[test]
    fn the_kernel_knows_whom_it_met() {
        let table = "\
IP address       HW type     Flags       HW address            Mask     Device
192.168.24.12    0x1         0x2         B8:27:EB:00:00:12     *        eth0
192.168.24.13    0x1         0x0         00:00:00:00:00:00     *        eth0
192.168.24.14    0x1         0x6         02:00:00:00:00:14     *        eth0
192.168.24.15    0x1         0x2         02:00:00:00:00:15     *        eth1
";
        let met = neighbours(table, "eth0");
        let expected = [(12, "b8:27:eb:00:00:12"), (14, "02:00:00:00:00:14")];
        let expected = expected.map(|(last, hw)| (Ipv4Addr::new(192, 168, 24, last), hw.into()));
        assert_eq!(met, BTreeMap::from(expected));
    }
}
