//! Openings in the files of ufw and firewalld.

use std::fmt;
use std::net::Ipv4Addr;

use super::lines::{join, split};

/// Transport of an opened port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Something a firewall must let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Ports, first to last.
    Ports {
        /// Transport.
        protocol: Protocol,
        /// First port.
        first: u16,
        /// Last port, equal to the first for one.
        last: u16,
        /// The only machine that may; `None` for anywhere.
        from: Option<Ipv4Addr>,
    },
    /// An IP protocol without ports, from one machine.
    Ip {
        /// Its number (IANA, protocol numbers).
        number: u8,
        /// The machine.
        from: Ipv4Addr,
    },
    /// Everything from an IPv4 network (`10.42.0.0/16`).
    From(String),
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self {
            Self::Ports { protocol, first, last, from } => {
                write!(f, "{protocol} {}", range(*first, *last, "-"))?;
                from.map(|address| address.to_string())
            }
            Self::Ip { number, from } => {
                write!(f, "protocol {number}")?;
                Some(from.to_string())
            }
            Self::From(network) => return write!(f, "from {network}"),
        };
        from.map_or(Ok(()), |from| write!(f, " from {from}"))
    }
}

/// Ports as the tools write them: `6443`, `2379-2380` or `2379:2380`.
pub(in crate::recipe) fn range(first: u16, last: u16, between: &str) -> String {
    if first == last { first.to_string() } else { format!("{first}{between}{last}") }
}

/// The two lines `ufw allow` writes for it (ufw 0.36, backend_iptables: a comment it parses
/// back, then the rule); `None` for what it has no words for.
fn ufw_lines(opening: &Opening) -> Option<[String; 2]> {
    Some(match opening {
        Opening::Ports { protocol, first, last, from } => {
            let ports = range(*first, *last, ":");
            let source = from.map_or("0.0.0.0/0".to_owned(), |from| from.to_string());
            let only = from.map_or(String::new(), |from| format!(" -s {from}"));
            let many = if first == last { "--dport" } else { "-m multiport --dports" };
            [
                format!("### tuple ### allow {protocol} {ports} 0.0.0.0/0 any {source} in"),
                format!("-A ufw-user-input -p {protocol} {many} {ports}{only} -j ACCEPT"),
            ]
        }
        Opening::From(network) => [
            format!("### tuple ### allow any any 0.0.0.0/0 any {network} in"),
            format!("-A ufw-user-input -s {network} -j ACCEPT"),
        ],
        Opening::Ip { .. } => return None,
    })
}

/// `user.rules`, which ufw writes itself.
pub(super) fn ufw(old: &[u8], openings: &[Opening]) -> Vec<u8> {
    let lines = split(old);
    let Some(end) = lines.iter().position(|l| *l == b"### END RULES ###") else {
        return old.to_vec();
    };
    let mut new: Vec<Vec<u8>> = lines[..end].iter().map(|l| l.to_vec()).collect();
    for rule in openings.iter().filter_map(ufw_lines) {
        let rule = rule.map(String::into_bytes);
        if !new.contains(&rule[0]) {
            new.extend(rule);
            new.push(Vec::new());
        }
    }
    new.extend(lines[end..].iter().map(|l| l.to_vec()));
    join(&new)
}

/// `before.rules`, where people put what ufw has no words for: before its last `COMMIT`.
pub(super) fn ufw_before(old: &[u8], openings: &[Opening]) -> Vec<u8> {
    let lines = split(old);
    let Some(end) = lines.iter().rposition(|l| *l == b"COMMIT") else { return old.to_vec() };
    let rules = openings.iter().filter_map(|opening| match opening {
        Opening::Ip { number, from } => {
            Some(format!("-A ufw-before-input -p {number} -s {from} -j ACCEPT").into_bytes())
        }
        _ => None,
    });
    let missing = rules.filter(|rule| !lines.contains(&rule.as_slice()));
    let mut new: Vec<Vec<u8>> = lines[..end].iter().map(|l| l.to_vec()).collect();
    new.extend(missing);
    new.extend(lines[end..].iter().map(|l| l.to_vec()));
    join(&new)
}

/// A zone of firewalld with further elements at its end (firewalld.zone(5)).
pub(super) fn firewalld(old: &[u8], elements: &[String]) -> Vec<u8> {
    let text = String::from_utf8_lossy(old);
    let missing: Vec<&String> = elements.iter().filter(|e| !text.contains(e.as_str())).collect();
    match text.rfind("</zone>") {
        Some(at) if !missing.is_empty() => {
            let new: String = missing.iter().map(|element| format!("  {element}\n")).collect();
            [&text[..at], &new, &text[at..]].concat().into_bytes()
        }
        _ => old.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str =
        "*filter\n:ufw-user-input - [0:0]\n### RULES ###\n\n### END RULES ###\nCOMMIT\n";

    const PEER: Ipv4Addr = Ipv4Addr::new(192, 168, 24, 12);

    fn ports(first: u16, last: u16, from: Option<Ipv4Addr>) -> Opening {
        Opening::Ports { protocol: Protocol::Tcp, first, last, from }
    }

    #[test]
    fn protocols_without_ports_go_before_the_rules_of_ufw() {
        let old = "*filter\n:ufw-before-input - [0:0]\n# don't delete the 'COMMIT' line\nCOMMIT\n";
        let openings = [ports(6443, 6443, None), Opening::Ip { number: 112, from: PEER }];
        let once = ufw_before(old.as_bytes(), &openings);
        assert_eq!(ufw_before(&once, &openings), once);
        let rule = "-A ufw-before-input -p 112 -s 192.168.24.12 -j ACCEPT\nCOMMIT\n";
        assert_eq!(String::from_utf8(once).unwrap(), old.replace("COMMIT\n", rule));
        assert_eq!(ufw_before(b"else", &openings), b"else");
    }

    #[test]
    fn ufw_gains_each_rule_once() {
        let openings = [
            ports(6443, 6443, None),
            ports(2379, 2380, Some(PEER)),
            Opening::Ip { number: 112, from: PEER },
            Opening::From("10.42.0.0/16".into()),
        ];
        let once = ufw(RULES.as_bytes(), &openings);
        assert_eq!(ufw(&once, &openings), once);
        insta::assert_snapshot!(String::from_utf8(once).unwrap(), @r"
        *filter
        :ufw-user-input - [0:0]
        ### RULES ###

        ### tuple ### allow tcp 6443 0.0.0.0/0 any 0.0.0.0/0 in
        -A ufw-user-input -p tcp --dport 6443 -j ACCEPT

        ### tuple ### allow tcp 2379:2380 0.0.0.0/0 any 192.168.24.12 in
        -A ufw-user-input -p tcp -m multiport --dports 2379:2380 -s 192.168.24.12 -j ACCEPT

        ### tuple ### allow any any 0.0.0.0/0 any 10.42.0.0/16 in
        -A ufw-user-input -s 10.42.0.0/16 -j ACCEPT

        ### END RULES ###
        COMMIT
        ");
        assert_eq!(ufw(b"else", &openings), b"else");
    }

    #[test]
    fn firewalld_gains_each_element_once() {
        let old = b"<zone>\n  <service name=\"ssh\"/>\n</zone>\n";
        let elements = ["<service name=\"ssh\"/>".into(), "<service name=\"bake-k3s\"/>".into()];
        let once = firewalld(old, &elements);
        assert_eq!(
            once,
            b"<zone>\n  <service name=\"ssh\"/>\n  <service name=\"bake-k3s\"/>\n</zone>\n"
        );
        assert_eq!(firewalld(&once, &elements), once);
    }
}
