//! Linear directory entries (kernel documentation, ext4 "Linear (Classic) Directories"): inode
//! u32, entry length u16, name length u8, file type u8, name; entries fill their block exactly.

use crate::bytes::{le16, le32, put16, put32};
use crate::inode::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};

/// Bytes of an entry before its name.
pub(crate) const HEAD: usize = 8;
/// Bytes of the entry at the end of a block that holds its checksum.
pub(crate) const TAIL: usize = 12;
/// File type in that entry.
pub(crate) const TAIL_TYPE: u8 = 0xDE;

/// One entry, used or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawEntry<'a> {
    /// Byte in the block.
    pub(crate) at: usize,
    /// Bytes up to the next entry.
    pub(crate) len: usize,
    /// 0 if the entry is unused.
    pub(crate) inode: u32,
    pub(crate) name: &'a [u8],
    /// As stored; 0 without the feature `filetype`.
    pub(crate) file_type: u8,
}

/// Bytes an entry with a name this long needs.
pub(crate) fn needed(name: usize) -> usize {
    (HEAD + name).next_multiple_of(4)
}

/// Decodes an entry length; blocks of 64 KiB need values the field cannot hold.
fn decode_len(raw: u16, block: usize) -> usize {
    let raw = usize::from(raw);
    if block < 65536 {
        raw
    } else if raw == 0 || raw == 65535 {
        block
    } else {
        (raw & 65532) | ((raw & 3) << 16)
    }
}

fn encode_len(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(65535)
}

/// The entries of a block (or its part before the checksum), used or not.
pub(crate) fn entries(
    bytes: &[u8],
    block_size: usize,
) -> impl Iterator<Item = Result<RawEntry<'_>, &'static str>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let entry = entry_at(bytes, at, block_size);
        at = entry.as_ref().map_or(bytes.len(), |entry| at + entry.len);
        Some(entry)
    })
}

/// The entry at one place.
pub(crate) fn entry_at(
    bytes: &[u8],
    at: usize,
    block_size: usize,
) -> Result<RawEntry<'_>, &'static str> {
    if at + HEAD > bytes.len() {
        return Err("an entry crosses the end of its block");
    }
    let len = decode_len(le16(bytes, at + 4), block_size);
    let name = usize::from(bytes[at + 6]);
    if len < HEAD || !len.is_multiple_of(4) || at + len > bytes.len() {
        return Err("an entry has an impossible length");
    }
    let inode = le32(bytes, at);
    if HEAD + name > len {
        return Err("a name is longer than its entry");
    }
    let name = &bytes[at + HEAD..at + HEAD + name];
    Ok(RawEntry { at, len, inode, name, file_type: bytes[at + 7] })
}

/// Writes one entry over `len` bytes at `at`.
pub(crate) fn put(bytes: &mut [u8], at: usize, len: usize, inode: u32, name: &[u8], file_type: u8) {
    bytes[at..at + len.min(needed(name.len()))].fill(0);
    put32(bytes, at, inode);
    put16(bytes, at + 4, encode_len(len));
    bytes[at + 6] = u8::try_from(name.len()).unwrap_or(0);
    bytes[at + 7] = file_type;
    bytes[at + HEAD..at + HEAD + name.len()].copy_from_slice(name);
}

/// Changes the length of the entry at `at`.
pub(crate) fn set_len(bytes: &mut [u8], at: usize, len: usize) {
    put16(bytes, at + 4, encode_len(len));
}

/// File type byte for a mode (`EXT4_FT_*`).
pub(crate) fn type_of_mode(mode: u16) -> u8 {
    match mode & S_IFMT {
        S_IFREG => 1,
        S_IFDIR => 2,
        0o020_000 => 3,
        0o060_000 => 4,
        0o010_000 => 5,
        0o140_000 => 6,
        S_IFLNK => 7,
        _ => 0,
    }
}

/// Puts an entry into free space of a block; `None` where there is no gap large enough.
pub(crate) fn insert(
    bytes: &mut [u8],
    block_size: usize,
    inode: u32,
    name: &[u8],
    file_type: u8,
) -> Result<bool, &'static str> {
    let want = needed(name.len());
    let mut found = None;
    for entry in entries(bytes, block_size) {
        let entry = entry?;
        let own = if entry.inode == 0 { 0 } else { needed(entry.name.len()) };
        if entry.len >= own + want {
            found = Some((entry.at, own, entry.len));
            break;
        }
    }
    let Some((at, own, len)) = found else { return Ok(false) };
    if own > 0 {
        set_len(bytes, at, own);
    }
    put(bytes, at + own, len - own, inode, name, file_type);
    Ok(true)
}

/// Removes the entry at `at`: the one before it in the block takes its space.
pub(crate) fn remove(bytes: &mut [u8], block_size: usize, at: usize) -> Result<(), &'static str> {
    let mut before = None;
    let mut own = None;
    for entry in entries(bytes, block_size) {
        let entry = entry?;
        if entry.at == at {
            own = Some(entry.len);
            break;
        }
        before = Some((entry.at, entry.len));
    }
    let Some(len) = own else { return Err("an entry vanished") };
    bytes[at..at + len].fill(0);
    match before {
        Some((prior, prior_len)) => set_len(bytes, prior, prior_len + len),
        None => put(bytes, at, len, 0, &[], 0),
    }
    Ok(())
}

/// Fills a block (without its checksum) with entries, the last of which takes the rest.
pub(crate) fn pack<'a>(bytes: &mut [u8], list: impl ExactSizeIterator<Item = (u32, &'a [u8], u8)>) {
    bytes.fill(0);
    let (mut at, end) = (0, bytes.len());
    let count = list.len();
    if count == 0 {
        put(bytes, 0, end, 0, &[], 0);
    }
    for (n, (inode, name, file_type)) in list.enumerate() {
        let len = if n + 1 == count { end - at } else { needed(name.len()) };
        put(bytes, at, len, inode, name, file_type);
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let used = entries(bytes, 1024).map(Result::unwrap).filter(|entry| entry.inode != 0);
        used.map(|entry| (entry.inode, entry.name.to_vec())).collect()
    }

    #[test]
    fn gaps_are_used_and_left_clean() {
        let mut block = vec![0; 64];
        pack(&mut block, [(5, b"one".as_slice(), 1), (6, b"four".as_slice(), 1)].into_iter());
        assert!(insert(&mut block, 1024, 7, b"a-long-name-of-23-bytes", 2).unwrap());
        assert!(!insert(&mut block, 1024, 8, b"x", 1).unwrap());
        assert_eq!(names(&block).len(), 3);
        remove(&mut block, 1024, 12).unwrap();
        assert!(!block.windows(4).any(|window| window == b"four"));
        assert!(insert(&mut block, 1024, 8, b"x", 1).unwrap());
        remove(&mut block, 1024, 0).unwrap();
        assert_eq!(names(&block), [(8, b"x".to_vec()), (7, b"a-long-name-of-23-bytes".to_vec())]);
        assert_eq!(entries(&block, 1024).map(|entry| entry.unwrap().len).sum::<usize>(), 64);
    }

    #[test]
    fn hostile_lengths_are_refused() {
        for bad in [[0_u16, 1], [7, 1], [9, 1], [68, 1], [8, 200]] {
            let mut block = vec![0; 64];
            put16(&mut block, 4, bad[0]);
            block[6] = u8::try_from(bad[1]).unwrap();
            assert!(entries(&block, 1024).any(|entry| entry.is_err()), "{bad:?}");
        }
    }
}
