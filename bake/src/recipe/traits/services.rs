//! Packages that a node's configuration meets: iptables, firewalls, cloud-init, sshd.

use super::{CloudInit, Look, Ssh};
use crate::error::Result;

/// The iptables package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Iptables {
    /// Not installed: K3s uses the one it brings.
    Missing,
    /// Installed, with alternatives in dpkg's state files.
    Alternatives {
        /// The package's version, where dpkg's status says.
        version: Option<String>,
        /// The groups that have a legacy choice: `iptables`, `ip6tables`.
        switchable: Vec<&'static str>,
    },
    /// Installed, but without alternatives.
    Fixed,
}

impl Iptables {
    /// Whether it is one of the releases K3s must not use: 1.8.0 to 1.8.4 (k3s issue 3117).
    #[must_use]
    pub fn is_buggy(&self) -> bool {
        let Self::Alternatives { version: Some(version), .. } = self else { return false };
        let upstream = version.split(['-', '+', '~']).next().unwrap_or_default();
        matches!(upstream, "1.8.0" | "1.8.1" | "1.8.2" | "1.8.3" | "1.8.4")
    }
}

/// A firewall that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firewall {
    /// nftables with rules in /etc/nftables.conf.
    Nftables {
        /// Whether it has the chain `inet filter input` that Debian's file declares.
        input_chain: bool,
        /// Whether its unit is enabled.
        enabled: bool,
    },
    /// ufw.
    Ufw,
    /// firewalld.
    Firewalld {
        /// Its default zone.
        zone: String,
        /// XML of that zone, firewalld.zone(5).
        definition: Vec<u8>,
    },
}

pub(super) fn iptables(look: &Look<'_>) -> Result<Iptables> {
    if !look.any(&["/usr/sbin/iptables", "/sbin/iptables"])? {
        return Ok(Iptables::Missing);
    }
    let mut switchable = Vec::new();
    let mut has_state = false;
    for group in ["iptables", "ip6tables"] {
        let Some(state) = look.text(&format!("/var/lib/dpkg/alternatives/{group}"))? else {
            continue;
        };
        has_state = true;
        let legacy = format!("/usr/sbin/{group}-legacy");
        if state.lines().any(|line| line == legacy) && look.exists(&legacy)? {
            switchable.push(group);
        }
    }
    if !has_state {
        return Ok(Iptables::Fixed);
    }
    let status = look.0.read(b"/var/lib/dpkg/status", 64 << 20)?.unwrap_or_default();
    Ok(Iptables::Alternatives { version: package_version(&status, "iptables"), switchable })
}

/// Version of an installed package, from dpkg's status file.
fn package_version(status: &[u8], package: &str) -> Option<String> {
    let status = String::from_utf8_lossy(status);
    let name = format!("Package: {package}");
    let stanza = status.split("\n\n").find(|s| s.lines().any(|line| line == name))?;
    let installed = stanza.lines().any(|l| l.starts_with("Status:") && l.ends_with(" installed"));
    let version = stanza.lines().find_map(|line| line.strip_prefix("Version: "))?;
    installed.then(|| version.rsplit(':').next().unwrap_or(version).to_owned())
}

pub(super) fn firewalls(look: &Look<'_>) -> Result<Vec<Firewall>> {
    let mut found = Vec::new();
    if look.any(&["/usr/sbin/nft", "/sbin/nft"])?
        && let Some(rules) = look.text("/etc/nftables.conf")?
    {
        found.push(Firewall::Nftables {
            input_chain: has_input_chain(&rules),
            enabled: look.enabled("sysinit.target", "nftables.service")?
                || look.enabled("multi-user.target", "nftables.service")?,
        });
    }
    if look.exists("/usr/sbin/ufw")? && look.exists("/etc/ufw/user.rules")? {
        found.push(Firewall::Ufw);
    }
    if look.any(&["/usr/sbin/firewalld", "/usr/bin/firewall-cmd"])? {
        found.extend(firewalld(look)?);
    }
    Ok(found)
}

/// The default zone as firewalld.conf(5) names it; files in /etc win over those in /usr/lib.
fn firewalld(look: &Look<'_>) -> Result<Option<Firewall>> {
    let conf = look.text("/etc/firewalld/firewalld.conf")?.unwrap_or_default();
    let named = conf.lines().find_map(|line| line.trim().strip_prefix("DefaultZone="));
    let zone = named.map_or("public", str::trim).to_owned();
    if zone.is_empty() || zone.contains('/') {
        return Ok(None);
    }
    for dir in ["/etc/firewalld/zones", "/usr/lib/firewalld/zones"] {
        let file = format!("{dir}/{zone}.xml");
        if let Some(definition) = look.0.read(file.as_bytes(), super::TEXT_LIMIT)? {
            return Ok(Some(Firewall::Firewalld { zone, definition }));
        }
    }
    Ok(None)
}

/// Whether rules in nft's syntax declare `table inet filter { chain input {`.
fn has_input_chain(rules: &str) -> bool {
    let code: String = rules
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(" ");
    let words: Vec<&str> = code
        .split(|c: char| c.is_whitespace() || c == ';')
        .filter(|word| !word.is_empty())
        .collect();
    let Some(table) = words.windows(4).position(|w| w == ["table", "inet", "filter", "{"]) else {
        return false;
    };
    let mut depth = 0_i32;
    for (i, word) in words.iter().enumerate().skip(table) {
        depth += match *word {
            "{" => 1,
            "}" => -1,
            _ => 0,
        };
        if depth == 0 && i > table + 3 {
            return false;
        }
        if depth == 1 && *word == "chain" && words.get(i + 1) == Some(&"input") {
            return true;
        }
    }
    false
}

pub(super) fn cloud_init(look: &Look<'_>, boot: Option<&str>) -> Result<Option<CloudInit>> {
    let off = look.exists("/etc/cloud/cloud-init.disabled")?;
    if off || !look.any(&["/usr/bin/cloud-init"])? || !look.is_dir("/etc/cloud/cloud.cfg.d")? {
        return Ok(None);
    }
    let seed = match boot {
        Some(boot) if look.exists(&format!("{boot}/user-data"))? => Some(boot.to_owned()),
        _ => None,
    };
    Ok(Some(CloudInit { seed }))
}

pub(super) fn ssh(look: &Look<'_>) -> Result<Option<Ssh>> {
    if !look.unit("ssh.service")? {
        return Ok(None);
    }
    let keys = look.names("/etc/ssh")?.iter().any(|name| name.starts_with("ssh_host_"));
    let makes_keys = look.unit("regenerate_ssh_host_keys.service")?
        || look.unit("sshd-keygen.service")?
        || look.any(&["/usr/bin/cloud-init"])?;
    Ok(Some(Ssh {
        socket: look.enabled("sockets.target", "ssh.socket")?,
        host_keys: keys || makes_keys,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_nftables_rules_have_an_input_chain() {
        let debian = "#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter;\n\t}\n}\n";
        assert!(has_input_chain(debian));
        assert!(!has_input_chain(
            "table inet filter {\n chain forward { }\n}\ntable ip x { chain input {} }"
        ));
        assert!(!has_input_chain("# table inet filter { chain input { } }"));
    }

    #[test]
    fn versions_come_from_installed_packages_only() {
        let status = b"Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: iptables\nStatus: install ok installed\nVersion: 1:1.8.2-4\n";
        let version = package_version(status, "iptables");
        assert_eq!(version.as_deref(), Some("1.8.2-4"));
        assert!(Iptables::Alternatives { version, switchable: vec![] }.is_buggy());
        let removed = b"Package: iptables\nStatus: deinstall ok config-files\nVersion: 1.8.2-4\n";
        assert_eq!(package_version(removed, "iptables"), None);
    }
}
