//! What an image gets, as data: printed by `--dry-run`, compared in golden tests, applied later.

use std::fmt;

use sha2::{Digest, Sha256};

use super::amend::Amendment;
use crate::store::Payload;
use crate::units::human;

/// The reason an edit is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The kernel's command line.
    Kernel,
    /// Which iptables answers to the name.
    Iptables,
    /// No swap space.
    Swap,
    /// Host name.
    Identity,
    /// The node's address.
    Network,
    /// Wireless network.
    Wifi,
    /// Accounts and how they log in.
    Users,
    /// What cloud-init must leave alone.
    CloudInit,
    /// Time zone and clock.
    Time,
    /// K3s, its configuration and what it loads.
    K3s,
    /// The servers' shared address.
    Vip,
    /// Keys and certificates.
    Pki,
    /// The cluster's own database.
    Database,
    /// Debian packages for the first boot.
    Packages,
    /// Ports.
    Firewall,
    /// The device binary and what it reads.
    Firstboot,
    /// Files the profile names.
    Files,
    /// Bills of materials.
    Sbom,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel command line",
            Self::Iptables => "iptables",
            Self::Swap => "swap",
            Self::Identity => "host name",
            Self::Network => "network",
            Self::Wifi => "Wi-Fi",
            Self::Users => "users",
            Self::CloudInit => "cloud-init",
            Self::Time => "time",
            Self::K3s => "K3s",
            Self::Vip => "shared address",
            Self::Pki => "keys and certificates",
            Self::Database => "database",
            Self::Packages => "packages",
            Self::Firewall => "firewall",
            Self::Firstboot => "firstboot",
            Self::Files => "files of the profile",
            Self::Sbom => "bills of materials",
        })
    }
}

/// Owner and permission bits of something made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Access {
    /// Owned by root.
    #[must_use]
    pub const fn root(mode: u16) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

/// A file on the host that goes into the image as it is.
#[derive(Debug, Clone)]
pub struct Material {
    /// Its bytes.
    pub payload: Payload,
    /// SHA-256 of all of them, lower-case hex.
    pub sha256: String,
    /// What it is, for people: "K3s v1.36.5+k3s1 for arm64".
    pub what: String,
    /// The URL it was fetched from; `None` for a file of the user's.
    pub url: Option<String>,
}

/// Content of a file to be written.
#[derive(Debug, Clone)]
pub enum Source {
    /// Made by the recipe.
    Bytes(Vec<u8>),
    /// Taken from the host.
    Material(Material),
}

impl Source {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Material(material) => material.payload.0.len(),
        }
    }

    /// SHA-256 of all of it, lower-case hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        match self {
            Self::Bytes(bytes) => hex::encode(Sha256::digest(bytes)),
            Self::Material(material) => material.sha256.clone(),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One change. Paths are as the running system sees them.
#[derive(Debug, Clone)]
pub enum Action {
    /// A directory; one that exists takes on the access.
    Directory {
        /// Where.
        path: String,
        /// Owner and mode.
        access: Access,
    },
    /// A whole file, whatever was there.
    Write {
        /// Where.
        path: String,
        /// What.
        source: Source,
        /// Owner and mode.
        access: Access,
        /// Whether its content, and any digest of it, is for the node alone.
        secret: bool,
    },
    /// A symbolic link, whatever was there.
    Link {
        /// Where.
        path: String,
        /// What it points to.
        target: String,
    },
    /// Part of a file; the rest of it, its owner and its mode stay.
    Amend {
        /// Where.
        path: String,
        /// The change.
        change: Amendment,
        /// How the file is made where it is missing; `None`: then there is nothing to do.
        missing: Option<Access>,
        /// As for [`Action::Write`].
        secret: bool,
    },
    /// No such file.
    Remove {
        /// Where.
        path: String,
    },
    /// A modification time that something reads; the file is made empty where it is missing.
    Stamp {
        /// Where.
        path: String,
        /// Owner and mode of a file that is made.
        access: Access,
        /// Seconds since 1970-01-01 UTC.
        seconds: i64,
    },
    /// Changes nothing; the recipe relies on it being there.
    Require {
        /// Where.
        path: String,
        /// What to tell the user where it is missing.
        otherwise: String,
    },
}

impl Action {
    /// The path it is about.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Directory { path, .. }
            | Self::Write { path, .. }
            | Self::Link { path, .. }
            | Self::Amend { path, .. }
            | Self::Remove { path }
            | Self::Stamp { path, .. }
            | Self::Require { path, .. } => path,
        }
    }
}

/// Whose edit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Of every node with the same profile, role and image: made once, in the golden layer. Holds
    /// nothing that tells nodes apart, and no secret.
    Shared,
    /// Of this node.
    Node,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Shared => "shared",
            Self::Node => "node",
        })
    }
}

/// One change and its reason.
#[derive(Debug, Clone)]
pub struct Edit {
    /// The reason.
    pub topic: Topic,
    /// Whose it is.
    pub scope: Scope,
    /// The change.
    pub action: Action,
}

impl Edit {
    /// Bytes it needs at most, counting whole blocks of 4 KiB and an inode for a file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        const BLOCK: u64 = 4096;
        match &self.action {
            Action::Write { source, .. } => source.len().next_multiple_of(BLOCK) + BLOCK,
            _ => BLOCK,
        }
    }

    /// A text that two edits have in common only where they do the same.
    pub(super) fn identity(&self) -> String {
        match &self.action {
            Action::Write { path, source, access, .. } => {
                format!("write {path:?} {access:?} {}", source.sha256())
            }
            // Nothing in them but values.
            other => format!("{other:?}"),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o} {}:{}", self.mode, self.uid, self.gid)
    }
}

/// One headline; the alternate form (`{:#}`) adds the content, indented, where it is text and no
/// secret.
impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<7}", self.scope)?;
        match &self.action {
            Action::Directory { path, access } => write!(f, "mkdir   {path} ({access})"),
            Action::Write { path, source, access, secret } => {
                write!(f, "write   {path} ({access}, ")?;
                match source {
                    _ if *secret => f.write_str("secret)"),
                    Source::Material(m) => write!(f, "{}, {})", m.what, human(source.len())),
                    Source::Bytes(bytes) => {
                        write!(f, "{})", human(source.len()))?;
                        if f.alternate() { indented(f, bytes) } else { Ok(()) }
                    }
                }
            }
            Action::Link { path, target } => write!(f, "link    {path} -> {target}"),
            Action::Amend { path, change, secret, .. } => {
                write!(f, "amend   {path}: {change}")?;
                match change.text() {
                    Some(text) if f.alternate() && !secret => indented(f, text.as_bytes()),
                    _ => Ok(()),
                }
            }
            Action::Remove { path } => write!(f, "remove  {path}"),
            Action::Stamp { path, seconds, .. } => write!(f, "stamp   {path} @{seconds}"),
            Action::Require { path, .. } => write!(f, "require {path}"),
        }
    }
}

fn indented(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.lines().try_for_each(|line| write!(f, "\n        | {line}")),
        Err(_) => f.write_str("\n        | (not text)"),
    }
}
