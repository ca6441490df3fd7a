//! POSIX access control lists: on disk version 1, with an id only for named users and groups
//! (kernel `fs/ext4/acl.h`); as an attribute version 2, with an id everywhere (acl(5)).

use crate::bytes::{le16, le32, put32};

const DISK: u32 = 1;
const USER: u32 = 2;
const TAG_USER: u16 = 2;
const TAG_GROUP: u16 = 8;
const NO_ID: u32 = u32::MAX;

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
    }
}
