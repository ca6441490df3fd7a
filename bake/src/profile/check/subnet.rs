use std::fmt;
use std::net::Ipv4Addr;

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// The network of `prefix` bits, 0 to 32, that `address` is in.
    pub fn around(address: Ipv4Addr, prefix: u8) -> Self {
        Self { base: address.to_bits() & mask(prefix), prefix }
    }

    /// Reads `10.42.0.0/16`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let prefix: u8 = prefix.parse().ok().filter(|p| *p <= 32)?;
        Some(Self::around(address.parse().ok()?, prefix))
    }

    /// First address, which names the network.
    pub fn first(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base)
    }

    /// Last address, the network's broadcast address.
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base | !mask(self.prefix))
    }

    /// Whether `address` is in the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.base
    }

    /// Whether a host of the network can have `address`.
    pub fn has_host(self, address: Ipv4Addr) -> bool {
        let plain = self.prefix >= 31 || (address != self.first() && address != self.last());
        self.contains(address) && plain
    }

    /// Whether the two share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.first()) || other.contains(self.first())
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_overlaps() {
        let net = Subnet::parse("192.168.24.77/24").unwrap();
        assert_eq!(net.to_string(), "192.168.24.0/24");
        assert!(net.has_host([192, 168, 24, 1].into()));
        assert!(!net.has_host([192, 168, 24, 255].into()));
        assert!(!net.has_host([192, 168, 25, 1].into()));
        assert!(net.overlaps(Subnet::parse("192.168.0.0/16").unwrap()));
        assert!(Subnet::parse("0.0.0.0/0").unwrap().overlaps(net));
        assert!(!net.overlaps(Subnet::parse("10.42.0.0/16").unwrap()));
        assert!(Subnet::parse("10.0.0.0/33").is_none() && Subnet::parse("10.0.0.0").is_none());
    }
}
