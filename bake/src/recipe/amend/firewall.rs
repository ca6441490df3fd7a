//! Openings in the files of ufw and firewalld.

use std::fmt;

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
    /// Ports, first to last, from anywhere.
    Ports {
        /// Transport.
        protocol: Protocol,
        /// First port.
        first: u16,
        /// Last port, equal to the first for one.
        last: u16,
    },
    /// Everything from an IPv4 network (`10.42.0.0/16`).
    From(String),
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports { protocol, first, last } if first == last => {
                write!(f, "{protocol} {first}")
            }
            Self::Ports { protocol, first, last } => write!(f, "{protocol} {first}-{last}"),
            Self::From(network) => write!(f, "from {network}"),
        }
    }
}

/// The two lines `ufw allow` writes for it (ufw 0.36, backend_iptables: a comment it parses
/// back, then the rule).
fn ufw_lines(opening: &Opening) -> Vec<String> {
    match opening {
        Opening::Ports { protocol, first, last } if first == last => vec![
            format!("### tuple ### allow {protocol} {first} 0.0.0.0/0 any 0.0.0.0/0 in"),
            format!("-A ufw-user-input -p {protocol} --dport {first} -j ACCEPT"),
        ],
        Opening::Ports { protocol, first, last } => vec![
            format!("### tuple ### allow {protocol} {first}:{last} 0.0.0.0/0 any 0.0.0.0/0 in"),
            format!(
                "-A ufw-user-input -p {protocol} -m multiport --dports {first}:{last} -j ACCEPT"
            ),
        ],
        Opening::From(network) => vec![
            format!("### tuple ### allow any any 0.0.0.0/0 any {network} in"),
            format!("-A ufw-user-input -s {network} -j ACCEPT"),
        ],
    }
}

pub(super) fn ufw(old: &[u8], openings: &[Opening]) -> Vec<u8> {
    let lines = split(old);
    let Some(end) = lines.iter().position(|l| *l == b"### END RULES ###") else {
        return old.to_vec();
    };
    let mut new: Vec<Vec<u8>> = lines[..end].iter().map(|l| l.to_vec()).collect();
    for opening in openings {
        let rule: Vec<Vec<u8>> = ufw_lines(opening).into_iter().map(String::into_bytes).collect();
        if !new.contains(&rule[0]) {
            new.extend(rule);
            new.push(Vec::new());
        }
    }
    new.extend(lines[end..].iter().map(|l| l.to_vec()));
    join(&new)
}

pub(super) fn firewalld(old: &[u8], service: &str) -> Vec<u8> {
    let element = format!("<service name=\"{service}\"/>");
    let text = String::from_utf8_lossy(old);
    match text.rfind("</zone>") {
        Some(at) if !text.contains(&element) => {
            [&text[..at], "  ", &element, "\n", &text[at..]].concat().into_bytes()
        }
        _ => old.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str =
        "*filter\n:ufw-user-input - [0:0]\n### RULES ###\n\n### END RULES ###\nCOMMIT\n";

    #[test]
    fn ufw_gains_each_rule_once() {
        let openings = [
            Opening::Ports { protocol: Protocol::Tcp, first: 6443, last: 6443 },
            Opening::Ports { protocol: Protocol::Tcp, first: 2379, last: 2380 },
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

        ### tuple ### allow tcp 2379:2380 0.0.0.0/0 any 0.0.0.0/0 in
        -A ufw-user-input -p tcp -m multiport --dports 2379:2380 -j ACCEPT

        ### tuple ### allow any any 0.0.0.0/0 any 10.42.0.0/16 in
        -A ufw-user-input -s 10.42.0.0/16 -j ACCEPT

        ### END RULES ###
        COMMIT
        ");
        assert_eq!(ufw(b"else", &openings), b"else");
    }

    #[test]
    fn firewalld_gains_the_service_once() {
        let old = b"<zone>\n  <service name=\"ssh\"/>\n</zone>\n";
        let once = firewalld(old, "bake-k3s");
        assert_eq!(
            once,
            b"<zone>\n  <service name=\"ssh\"/>\n  <service name=\"bake-k3s\"/>\n</zone>\n"
        );
        assert_eq!(firewalld(&once, "bake-k3s"), once);
    }
}
