//! passwd(5), shadow(5), group(5), gshadow(5): one line an account, fields separated by `:`.

use std::fmt;

use super::lines::{join, split};

/// An account as /etc/passwd has it. One that exists keeps its numbers, comment and home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passwd {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// The password of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct Shadow {
    /// Login name.
    pub name: String,
    /// crypt(5) hash, or `*` for none.
    pub hash: String,
    /// Days since 1970-01-01 of the last change; only for an account that is new, so that
    /// baking again changes nothing.
    pub changed: i64,
}

/// Membership in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// Number of a group to be made where it is missing; `None`: then nothing is done.
    pub gid: Option<u32>,
    /// A member to be added.
    pub member: Option<String>,
}

impl fmt::Debug for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadow").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.gid, &self.member) {
            (Some(gid), None) => write!(f, "group {} ({gid})", self.name),
            (Some(gid), Some(member)) => write!(f, "group {} ({gid}) with {member}", self.name),
            (None, Some(member)) => write!(f, "{member} joins {}", self.name),
            (None, None) => write!(f, "group {}", self.name),
        }
    }
}

impl Passwd {
    pub(super) fn apply(&self, old: &[u8]) -> Vec<u8> {
        let Self { name, uid, gid, home, shell } = self;
        let new = format!("{name}:x:{uid}:{gid}:,,,:{home}:{shell}");
        edit(old, name, Some(new.as_bytes()), |fields| {
            if let Some(old_shell) = fields.get_mut(6) {
                *old_shell = shell.as_bytes().to_vec();
            }
        })
    }
}

impl Shadow {
    pub(super) fn apply(&self, old: &[u8]) -> Vec<u8> {
        let Self { name, hash, changed } = self;
        let new = format!("{name}:{hash}:{changed}:0:99999:7:::");
        edit(old, name, Some(new.as_bytes()), |fields| {
            if let Some(password) = fields.get_mut(1) {
                *password = hash.as_bytes().to_vec();
            }
            // An expired password (last change 0) would ask a person at the first login.
            if let Some(when) = fields.get_mut(2).filter(|when| when[..] == b"0"[..]) {
                *when = changed.to_string().into_bytes();
            }
        })
    }
}

/// shadow(5): a `!` in front makes a hash unusable and keeps it.
pub(super) fn lock(old: &[u8], name: &str) -> Vec<u8> {
    edit(old, name, None, |fields| {
        if let Some(hash) = fields.get_mut(1).filter(|h| !h.starts_with(b"!") && **h != b"*") {
            hash.insert(0, b'!');
        }
    })
}

impl Group {
    pub(super) fn apply_group(&self, old: &[u8]) -> Vec<u8> {
        let member = self.member.as_deref().unwrap_or_default();
        let new = self.gid.map(|gid| format!("{}:x:{gid}:{member}", self.name).into_bytes());
        self.apply(old, new)
    }

    pub(super) fn apply_gshadow(&self, old: &[u8]) -> Vec<u8> {
        let member = self.member.as_deref().unwrap_or_default();
        let new = self.gid.map(|_| format!("{}:!::{member}", self.name).into_bytes());
        self.apply(old, new)
    }

    /// In both files the members are the fourth field.
    fn apply(&self, old: &[u8], new: Option<Vec<u8>>) -> Vec<u8> {
        edit(old, &self.name, new.as_deref(), |fields| {
            let (Some(members), Some(member)) = (fields.get_mut(3), &self.member) else { return };
            if members.split(|&b| b == b',').any(|m| m == member.as_bytes()) {
                return;
            }
            if !members.is_empty() {
                members.push(b',');
            }
            members.extend_from_slice(member.as_bytes());
        })
    }
}

/// Changes the fields of the line of `name`, or adds `new` where there is none.
fn edit(old: &[u8], name: &str, new: Option<&[u8]>, change: impl Fn(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut found = false;
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in split(old) {
        let mut fields: Vec<Vec<u8>> = line.split(|&b| b == b':').map(<[u8]>::to_vec).collect();
        if fields[0] == name.as_bytes() {
            found = true;
            change(&mut fields);
        }
        lines.push(fields.join(&b':'));
    }
    match new {
        Some(new) if !found => lines.push(new.to_vec()),
        _ if !found => return old.to_vec(),
        _ => {}
    }
    join(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twice(change: impl Fn(&[u8]) -> Vec<u8>, old: &str) -> String {
        let once = change(old.as_bytes());
        assert_eq!(change(&once), once);
        String::from_utf8(once).unwrap()
    }

    #[test]
    fn accounts_are_made_or_kept() {
        let alice = Passwd {
            name: "alice".into(),
            uid: 1001,
            gid: 1001,
            home: "/home/alice".into(),
            shell: "/bin/bash".into(),
        };
        assert_eq!(
            twice(|o| alice.apply(o), "root:x:0:0:root:/root:/bin/bash\n"),
            "root:x:0:0:root:/root:/bin/bash\nalice:x:1001:1001:,,,:/home/alice:/bin/bash\n"
        );
        assert_eq!(
            twice(|o| alice.apply(o), "alice:x:1000:1000:A:/srv/a:/bin/sh\n"),
            "alice:x:1000:1000:A:/srv/a:/bin/bash\n"
        );
    }

    #[test]
    fn passwords() {
        let shadow = Shadow { name: "pi".into(), hash: "$y$x".into(), changed: 20000 };
        assert_eq!(twice(|o| shadow.apply(o), ""), "pi:$y$x:20000:0:99999:7:::\n");
        assert_eq!(
            twice(|o| shadow.apply(o), "pi:!:19000:0:99999:7:::\n"),
            "pi:$y$x:19000:0:99999:7:::\n"
        );
        assert_eq!(
            twice(|o| shadow.apply(o), "pi:$6$u:0:0:99999:7:::\n"),
            "pi:$y$x:20000:0:99999:7:::\n"
        );
        assert_eq!(
            twice(|o| lock(o, "pi"), "pi:$6$u:1:0:99999:7:::\n"),
            "pi:!$6$u:1:0:99999:7:::\n"
        );
        assert_eq!(twice(|o| lock(o, "pi"), "pi:*:1:::\nx:y\n"), "pi:*:1:::\nx:y\n");
        assert_eq!(twice(|o| lock(o, "no"), "pi:a:1:::"), "pi:a:1:::");
        assert!(!format!("{shadow:?}").contains("$y$"));
    }

    #[test]
    fn groups_gain_members() {
        let sudo = Group { name: "sudo".into(), gid: None, member: Some("alice".into()) };
        assert_eq!(twice(|o| sudo.apply_group(o), "sudo:x:27:pi\n"), "sudo:x:27:pi,alice\n");
        assert_eq!(twice(|o| sudo.apply_gshadow(o), "sudo:*::\n"), "sudo:*::alice\n");
        assert_eq!(twice(|o| sudo.apply_group(o), "adm:x:4:\n"), "adm:x:4:\n");
        let own = Group { name: "alice".into(), gid: Some(1001), member: None };
        assert_eq!(twice(|o| own.apply_group(o), "a:x:1:\n"), "a:x:1:\nalice:x:1001:\n");
        assert_eq!(twice(|o| own.apply_gshadow(o), ""), "alice:!::\n");
    }
}
