//! IPv4 addresses and routes of this network namespace, from `/proc/net`.

use std::net::Ipv4Addr;

const RTF_UP: u32 = 0x1;

/// One line of `/proc/net/route`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Interface.
    pub interface: String,
    /// Destination network.
    pub destination: Ipv4Addr,
    /// Next hop; `0.0.0.0` on the network itself.
    pub gateway: Ipv4Addr,
    /// Netmask.
    pub mask: Ipv4Addr,
}

impl Route {
    /// Whether everything without a better route goes this way.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.destination.is_unspecified() && self.mask.is_unspecified()
    }
}

/// Routes that are up, from `/proc/net/route`, whose hexadecimal words are in the machine's byte
/// order (little-endian on every board we know) over network-order addresses.
#[must_use]
pub fn routes(text: &str) -> Vec<Route> {
    text.lines().skip(1).filter_map(route).collect()
}

fn route(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let word = |i: usize| u32::from_str_radix(fields.get(i)?, 16).ok();
    let address = |i: usize| Some(Ipv4Addr::from(word(i)?.to_ne_bytes()));
    (word(3)? & RTF_UP != 0).then_some(())?;
    Some(Route {
        interface: (*fields.first()?).to_owned(),
        destination: address(1)?,
        gateway: address(2)?,
        mask: address(7)?,
    })
}

/// The machine's own unicast addresses, from `/proc/net/fib_trie`: `host LOCAL` leaves.
#[must_use]
pub fn local_addresses(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut leaf = None;
    for line in fib_trie.lines() {
        if let Some(address) = line.trim_start().strip_prefix("|-- ") {
            leaf = address.trim().parse().ok();
        } else if line.contains("/32 host LOCAL")
            && let Some(address) = leaf
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0118A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0018A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
wlan0\t00000000\t0118A8C0\t0002\t0\t0\t100\t00000000\t0\t0\t0
";

    const TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     +-- 192.168.24.0/24 2 0 2
        |-- 192.168.24.0
           /24 link UNICAST
        |-- 192.168.24.11
           /32 host LOCAL
        |-- 192.168.24.255
           /32 link BROADCAST
Local:
        |-- 192.168.24.11
           /32 host LOCAL
";

    #[test]
    #[cfg(target_endian = "little")]
    fn routes_are_read() {
        let found = routes(ROUTE);
        assert_eq!(found.len(), 2, "a route that is down does not count");
        assert!(found[0].is_default() && !found[1].is_default());
        assert_eq!(found[0].gateway, Ipv4Addr::new(192, 168, 24, 1));
        assert_eq!(found[1].destination, Ipv4Addr::new(192, 168, 24, 0));
        assert_eq!(found[1].mask, Ipv4Addr::new(255, 255, 255, 0));
    }

    #[test]
    fn local_addresses_are_read() {
        assert_eq!(local_addresses(TRIE), [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 168, 24, 11)]);
    }
}
