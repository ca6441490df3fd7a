//! Accounts and groups of the image.

use std::collections::BTreeMap;

use super::Look;
use crate::error::Result;
use crate::fs::FileKind;

/// An account of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
}

/// Accounts and groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accounts {
    /// Accounts by name.
    pub users: BTreeMap<String, Account>,
    /// Group ids by name.
    pub groups: BTreeMap<String, u32>,
    /// Accounts that have a usable password in /etc/shadow.
    pub with_password: Vec<String>,
}

impl Accounts {
    pub(super) fn detect(look: &Look<'_>) -> Result<Self> {
        let file = |path: &str| Ok::<_, crate::error::Error>(look.text(path)?.unwrap_or_default());
        Ok(Self::parse(&file("/etc/passwd")?, &file("/etc/group")?, &file("/etc/shadow")?))
    }

    /// Reads the three files; lines that are not well-formed are left out.
    #[must_use]
    pub fn parse(passwd: &str, group: &str, shadow: &str) -> Self {
        let rows = |text: &str| -> Vec<Vec<String>> {
            text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
        };
        let user = |row: Vec<String>| {
            let [name, _, uid, gid, _, home, ..] = row.as_slice() else { return None };
            let account =
                Account { uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: home.clone() };
            Some((name.clone(), account))
        };
        let entry = |row: Vec<String>| Some((row.first()?.clone(), row.get(2)?.parse().ok()?));
        let usable = |row: &Vec<String>| {
            row.get(1).is_some_and(|hash| !hash.is_empty() && !hash.starts_with(['!', '*']))
        };
        Self {
            users: rows(passwd).into_iter().filter_map(user).collect(),
            groups: rows(group).into_iter().filter_map(entry).collect(),
            with_password: rows(shadow)
                .into_iter()
                .filter(usable)
                .map(|mut row| row.swap_remove(0))
                .collect(),
        }
    }

    /// The lowest number from 1000 that is neither a user's nor a group's nor in `taken`
    /// (adduser(8): FIRST_UID; 60000 and up are not for people).
    #[must_use]
    pub fn free_id(&self, taken: &[u32]) -> Option<u32> {
        (1000..60000).find(|id| {
            !taken.contains(id)
                && !self.users.values().any(|a| a.uid == *id || a.gid == *id)
                && !self.groups.values().any(|gid| gid == id)
        })
    }
}

/// Regular files of /etc/skel up to 64 KiB each.
pub(super) fn skeleton(look: &Look<'_>) -> Result<BTreeMap<String, (Vec<u8>, u16)>> {
    let mut files = BTreeMap::new();
    for name in look.names("/etc/skel")? {
        let path = format!("/etc/skel/{name}");
        let Some(found) = look.0.lstat(path.as_bytes())? else { continue };
        if found.kind == FileKind::File
            && found.size <= 64 << 10
            && let Some(content) = look.0.read(path.as_bytes(), 64 << 10)?
        {
            files.insert(name, (content, found.attributes.mode));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_not_used_twice() {
        let accounts = Accounts::parse(
            "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000:,,,:/home/pi:/bin/bash\nbroken\n",
            "root:x:0:\npi:x:1000:\ni2c:x:1001:pi\n",
            "root:*:1::::::\npi:$6$abc:1::::::\n",
        );
        assert_eq!(accounts.users["pi"].home, "/home/pi");
        assert_eq!(accounts.free_id(&[1002]), Some(1003));
        assert_eq!(accounts.with_password, ["pi"]);
    }
}
