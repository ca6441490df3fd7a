//! Changes to part of a file that something else wrote.
//!
//! Each is a pure function of the old bytes, leaves alone what it does not name, and changes
//! nothing the second time. Files need not be UTF-8.

mod accounts;
mod firewall;
mod kernel;
mod lines;

use std::fmt;

pub use accounts::{Group, Passwd, Shadow};
pub(super) use firewall::range;
pub use firewall::{Opening, Protocol};
pub(super) use kernel::grub_has;
pub(super) use lines::is_swap;

/// One such change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amendment {
    /// Words of a kernel command line: the first line of a file.
    KernelWords {
        /// Appended, each once.
        add: Vec<String>,
        /// Set to one value: `key=value` replaces any other value of `key`.
        set: Vec<(String, String)>,
        /// Taken away.
        drop: Vec<String>,
    },
    /// Takes words away from the `linux` lines of a grub.cfg.
    GrubDropWords(Vec<String>),
    /// Our own lines, between a begin and an end marker, at the end of the file.
    Block {
        /// The lines, each with its newline.
        body: String,
    },
    /// `key=value` in a file of shell-like assignments.
    Setting {
        /// The key.
        key: String,
        /// The value, quoted as the file needs it.
        value: String,
    },
    /// The first line.
    FirstLine(String),
    /// Comments out the swap entries of an fstab.
    FstabWithoutSwap,
    /// The host's own name in /etc/hosts, on Debian's 127.0.1.1 line.
    HostsName(String),
    /// An account in /etc/passwd.
    Passwd(Passwd),
    /// Its password in /etc/shadow.
    Shadow(Shadow),
    /// Locks a password in /etc/shadow without touching the rest of the account.
    LockPassword(String),
    /// A group and its members, in /etc/group.
    Group(Group),
    /// The same in /etc/gshadow.
    Gshadow(Group),
    /// Openings in `user.rules` of ufw.
    UfwRules(Vec<Opening>),
    /// Openings that have no words in `user.rules`, in `before.rules` of ufw.
    UfwBefore(Vec<Opening>),
    /// XML elements in a zone file of firewalld.
    FirewalldZone(Vec<String>),
}

impl Amendment {
    /// The new content of a file that holds `old`.
    #[must_use]
    pub fn apply(&self, old: &[u8]) -> Vec<u8> {
        match self {
            Self::KernelWords { add, set, drop } => kernel::words(old, add, set, drop),
            Self::GrubDropWords(words) => kernel::grub_without(old, words),
            Self::Block { body } => lines::block(old, body),
            Self::Setting { key, value } => lines::setting(old, key, value),
            Self::FirstLine(line) => lines::first_line(old, line),
            Self::FstabWithoutSwap => lines::fstab_without_swap(old),
            Self::HostsName(name) => lines::hosts_name(old, name),
            Self::Passwd(entry) => entry.apply(old),
            Self::Shadow(entry) => entry.apply(old),
            Self::LockPassword(name) => accounts::lock(old, name),
            Self::Group(entry) => entry.apply_group(old),
            Self::Gshadow(entry) => entry.apply_gshadow(old),
            Self::UfwRules(openings) => firewall::ufw(old, openings),
            Self::UfwBefore(openings) => firewall::ufw_before(old, openings),
            Self::FirewalldZone(elements) => firewall::firewalld(old, elements),
        }
    }

    /// The text it brings, where that is more than its headline shows.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Block { body } => Some(body),
            _ => None,
        }
    }
}

impl fmt::Display for Amendment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelWords { add, set, drop } => {
                let set = set.iter().map(|(k, v)| format!("{k}={v}"));
                let words: Vec<_> = add.iter().cloned().chain(set).collect();
                write!(f, "append `{}`", words.join(" "))?;
                if drop.is_empty() { Ok(()) } else { write!(f, " without `{}`", drop.join(" ")) }
            }
            Self::GrubDropWords(words) => write!(f, "kernels start without `{}`", words.join(" ")),
            Self::Block { .. } => f.write_str("our block"),
            Self::Setting { key, value } => write!(f, "{key}={value}"),
            Self::FirstLine(line) => write!(f, "first line `{line}`"),
            Self::FstabWithoutSwap => f.write_str("no swap entries"),
            Self::HostsName(name) => write!(f, "127.0.1.1 is {name}"),
            Self::Passwd(entry) => write!(f, "account {} ({})", entry.name, entry.uid),
            Self::Shadow(entry) => write!(f, "password of {}", entry.name),
            Self::LockPassword(name) => write!(f, "no password login for {name}"),
            Self::Group(entry) | Self::Gshadow(entry) => write!(f, "{entry}"),
            Self::UfwRules(openings) | Self::UfwBefore(openings) => {
                let all: Vec<_> = openings.iter().map(Opening::to_string).collect();
                write!(f, "allow {}", all.join(", "))
            }
            Self::FirewalldZone(elements) => f.write_str(&elements.join(" ")),
        }
    }
}
