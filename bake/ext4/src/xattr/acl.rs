//! POSIX access control lists: on disk version 1, with an id only for named users and groups
//! (kernel `fs/ext4/acl.h`); as an attribute version 2, with an id everywhere (acl(5)).

use crate::bytes::{le16, le32, put16, put32};

const DISK: u32 = 1;
const USER: u32 = 2;
const TAG_USER: u16 = 2;
const TAG_GROUP: u16 = 8;
const NO_ID: u32 = u32::MAX;

/// Namespace of the list that decides access; the other is the default for new entries.
pub(crate) const ACCESS: u8 = 2;

const TAG_USER_OBJ: u16 = 1;
const TAG_GROUP_OBJ: u16 = 4;
const TAG_MASK: u16 = 16;
const TAG_OTHER: u16 = 32;

/// Whether a namespace holds an access control list.
pub(crate) fn is_acl(index: u8) -> bool {
    index == 2 || index == 3
}

fn has_id(tag: u16) -> bool {
    tag == TAG_USER || tag == TAG_GROUP
}

/// The attribute's value from that on disk.
pub(crate) fn to_user(disk: &[u8]) -> Option<Vec<u8>> {
    let mut rest = disk.get(4..).filter(|_| le32(disk, 0) == DISK)?;
    let mut user = USER.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let head = rest.get(..4)?;
        let len = if has_id(le16(head, 0)) { 8 } else { 4 };
        let entry = rest.get(..len)?;
        user.extend_from_slice(head);
        user.extend_from_slice(&(if len == 8 { le32(entry, 4) } else { NO_ID }).to_le_bytes());
        rest = &rest[len..];
    }
    Some(user)
}

/// The value on disk from the attribute's.
pub(crate) fn to_disk(user: &[u8]) -> Option<Vec<u8>> {
    let entries = user.get(4..).filter(|rest| le32(user, 0) == USER && rest.len() % 8 == 0)?;
    let mut disk = vec![0; 4];
    put32(&mut disk, 0, DISK);
    for entry in entries.chunks_exact(8) {
        let len = if has_id(le16(entry, 0)) { 8 } else { 4 };
        disk.extend_from_slice(&entry[..len]);
    }
    Some(disk)
}

/// Byte of the permissions of each entry of a list on disk, with its tag.
fn permissions(disk: &[u8]) -> Vec<(usize, u16)> {
    let mut found = Vec::new();
    let mut at = 4;
    while at + 4 <= disk.len() {
        let tag = le16(disk, at);
        found.push((at + 2, tag));
        at += if has_id(tag) { 8 } else { 4 };
    }
    found
}

/// The tag whose permissions are the group bits of the mode: the mask, where there is one.
fn group_tag(entries: &[(usize, u16)]) -> u16 {
    if entries.iter().any(|&(_, tag)| tag == TAG_MASK) { TAG_MASK } else { TAG_GROUP_OBJ }
}

/// Makes a list on disk agree with permission bits, as chmod(2) does.
pub(crate) fn apply_mode(disk: &mut [u8], mode: u16) {
    let entries = permissions(disk);
    let group = group_tag(&entries);
    for (at, tag) in entries {
        let bits = match tag {
            TAG_USER_OBJ => mode >> 6,
            TAG_OTHER => mode,
            tag if tag == group => mode >> 3,
            _ => continue,
        };
        put16(disk, at, bits & 7);
    }
}

/// Permission bits that agree with a list on disk, as setting it gives them.
pub(crate) fn mode_of(disk: &[u8], mode: u16) -> u16 {
    let entries = permissions(disk);
    let group = group_tag(&entries);
    entries.into_iter().fold(mode, |mode, (at, tag)| {
        let shift = match tag {
            TAG_USER_OBJ => 6,
            TAG_OTHER => 0,
            tag if tag == group => 3,
            _ => return mode,
        };
        mode & !(7 << shift) | (le16(disk, at) & 7) << shift
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_survive_the_round_trip() {
        let mut user = vec![2, 0, 0, 0];
        for (tag, perm, id) in [(1, 6, NO_ID), (2, 4, 1000), (4, 4, NO_ID), (16, 4, NO_ID)] {
            user.extend_from_slice(&u16::to_le_bytes(tag));
            user.extend_from_slice(&u16::to_le_bytes(perm));
            user.extend_from_slice(&u32::to_le_bytes(id));
        }
        let disk = to_disk(&user).unwrap();
        assert_eq!(disk.len(), 4 + 3 * 4 + 8);
        assert_eq!(to_user(&disk).unwrap(), user);
        assert_eq!(to_user(&disk[..disk.len() - 2]), None);
        assert_eq!(to_disk(&user[..9]), None);
        let mut disk = disk;
        assert_eq!(mode_of(&disk, 0o100_000), 0o100_640);
        apply_mode(&mut disk, 0o751);
        let mut expected = user;
        (expected[6], expected[30]) = (7, 5);
        assert_eq!(mode_of(&disk, 0), 0o750);
        assert_eq!(to_user(&disk).unwrap(), expected);
    }
}
