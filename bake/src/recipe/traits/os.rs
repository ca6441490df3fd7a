//! Distribution and release: os-release(5).

use std::collections::BTreeMap;
use std::fmt;

use super::Look;
use crate::error::{Error, Result};

/// Distribution and release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Os {
    /// `ID`: `debian`, `raspbian`, `ubuntu`.
    pub id: String,
    /// `VERSION_ID`: `12`, `24.04`; empty where the image has none (Debian testing).
    pub version: String,
    /// `VERSION_CODENAME`: `bookworm`.
    pub codename: String,
    /// `PRETTY_NAME`, for people.
    pub pretty: String,
    /// Whether it is Raspberry Pi OS, which calls itself Debian on 64 bits.
    pub raspberry_pi_os: bool,
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.raspberry_pi_os { "Raspberry Pi OS on " } else { "" };
        write!(f, "{name}{}", self.pretty)
    }
}

/// Oldest release of each distribution whose files we know.
const OLDEST: [(&str, u32); 3] = [("debian", 10), ("raspbian", 10), ("ubuntu", 20)];

pub(super) fn detect(look: &Look<'_>) -> Result<Os> {
    let text = match look.text("/etc/os-release")? {
        Some(text) => text,
        None => look.text("/usr/lib/os-release")?.ok_or_else(|| nothing(look))?,
    };
    let values = parse(&text);
    let get = |key: &str| values.get(key).cloned().unwrap_or_default();
    let os = Os {
        id: get("ID"),
        version: get("VERSION_ID"),
        codename: get("VERSION_CODENAME"),
        pretty: get("PRETTY_NAME"),
        raspberry_pi_os: look.any(&["/etc/rpi-issue", "/usr/lib/raspberrypi-sys-mods"])?,
    };
    let Some((_, oldest)) = OLDEST.iter().find(|(id, _)| *id == os.id) else {
        return Err(refused(&os, "only Debian, Raspberry Pi OS and Ubuntu are understood"));
    };
    let major: Option<u32> = os.version.split('.').next().and_then(|n| n.parse().ok());
    match major {
        Some(major) if major < *oldest => {
            Err(refused(&os, &format!("releases before {oldest} are too old")))
        }
        // Debian testing and unstable have no version, and are newer than what has one.
        _ => Ok(os),
    }
}

fn refused(os: &Os, why: &str) -> Error {
    Error::Unsupported {
        what: "the image".into(),
        feature: format!("its os-release says {} {} ({}); {why}", os.id, os.version, os.pretty),
    }
}

fn nothing(look: &Look<'_>) -> Error {
    let seen = look.names("/").unwrap_or_default();
    let seen = seen.into_iter().take(30).collect::<Vec<_>>().join(" ");
    Error::Unsupported {
        what: "the image".into(),
        feature: format!("it has no /etc/os-release; its root folder holds: {seen}"),
    }
}

/// Shell-like assignments; values may be quoted.
fn parse(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().trim_matches(['"', '\'']);
            values.insert(key.trim().to_owned(), value.to_owned());
        }
    }
    values
}
