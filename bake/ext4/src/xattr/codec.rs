//! Entries and values in an attribute area: entries from its start, values from its end.
//!
//! An entry is name length u8, namespace u8, value offset u16, value inode u32 (feature
//! `ea_inode`, refused), value size u32, hash u32 and the name, padded to 4 bytes; four zero bytes
//! end the list.

use crate::bytes::{le16, le32, put16, put32};

pub(crate) const MAGIC: u32 = 0xEA02_0000;
const HEAD: usize = 16;

/// One attribute. Ordered as the kernel keeps them in a block: namespace, length of the name,
/// name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attr {
    pub(crate) index: u8,
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl Attr {
    fn key(&self) -> (u8, usize, &[u8]) {
        (self.index, self.name.len(), &self.name)
    }
}

fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// Decodes the entries that begin at `first`; values are placed relative to the start of `area`.
pub(crate) fn decode(area: &[u8], first: usize) -> Result<Vec<Attr>, &'static str> {
    let mut attrs = Vec::new();
    let mut at = first;
    loop {
        if at + 4 > area.len() {
            return Err("extended attributes have no end");
        }
        if le32(area, at) == 0 {
            return Ok(attrs);
        }
        if at + HEAD > area.len() {
            return Err("an extended attribute crosses the end of its area");
        }
        let name_end = at + HEAD + usize::from(area[at]);
        if le32(area, at + 4) != 0 {
            return Err("an extended attribute keeps its value in an inode");
        }
        let start = usize::from(le16(area, at + 2));
        let len = usize::try_from(le32(area, at + 8)).unwrap_or(usize::MAX);
        let value = if len == 0 {
            &[]
        } else {
            let end = start.saturating_add(len);
            area.get(start..end).ok_or("an extended attribute's value is outside its area")?
        };
        let name = area
            .get(at + HEAD..name_end)
            .ok_or("an extended attribute's name crosses the end of its area")?;
        attrs.push(Attr { index: area[at + 1], name: name.to_vec(), value: value.to_vec() });
        at = padded(name_end);
    }
}

/// Writes attributes into a cleared area, entries from `first` on; false where they do not fit.
pub(crate) fn encode(area: &mut [u8], first: usize, attrs: &mut [Attr], hashed: bool) -> bool {
    attrs.sort_by(|a, b| a.key().cmp(&b.key()));
    let entries: usize = attrs.iter().map(|attr| padded(HEAD + attr.name.len())).sum();
    let values: usize = attrs.iter().map(|attr| padded(attr.value.len())).sum();
    if first + entries + 4 + values > area.len() {
        return false;
    }
    area[first..].fill(0);
    let (mut at, mut end) = (first, area.len() & !3);
    for attr in attrs {
        end -= padded(attr.value.len());
        area[at] = u8::try_from(attr.name.len()).unwrap_or(0);
        area[at + 1] = attr.index;
        if !attr.value.is_empty() {
            put16(area, at + 2, u16::try_from(end).unwrap_or(0));
        }
        put32(area, at + 8, u32::try_from(attr.value.len()).unwrap_or(0));
        put32(area, at + 12, if hashed { hash(attr) } else { 0 });
        area[at + HEAD..at + HEAD + attr.name.len()].copy_from_slice(&attr.name);
        area[end..end + attr.value.len()].copy_from_slice(&attr.value);
        at += padded(HEAD + attr.name.len());
    }
    true
}

/// Hash of an attribute over its name's bytes and its value's words.
fn hash(attr: &Attr) -> u32 {
    let name = attr.name.iter().fold(0_u32, |hash, &byte| hash.rotate_left(5) ^ u32::from(byte));
    attr.value.chunks(4).fold(name, |hash, chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        hash.rotate_left(16) ^ u32::from_le_bytes(word)
    })
}

/// Hash of a whole block; 0, "not shared", where an entry has none.
pub(crate) fn block_hash(attrs: &[Attr]) -> u32 {
    let mut all = 0_u32;
    for attr in attrs {
        match hash(attr) {
            0 => return 0,
            one => all = all.rotate_left(16) ^ one,
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attr(index: u8, name: &str, value: &[u8]) -> Attr {
        Attr { index, name: name.into(), value: value.to_vec() }
    }

    #[test]
    fn sorted_and_read_back() {
        let mut attrs = [attr(6, "capability", &[1; 20]), attr(1, "bb", b""), attr(1, "z", b"v")];
        let mut area = [9; 128];
        assert!(encode(&mut area, 0, &mut attrs, true));
        let back = decode(&area, 0).unwrap();
        assert_eq!(back, [attr(1, "z", b"v"), attr(1, "bb", b""), attr(6, "capability", &[1; 20])]);
        assert!(!encode(&mut area[..90], 0, &mut attrs, true));
    }

    #[test]
    fn hostile_areas_are_refused() {
        let mut attrs = [attr(1, "name", &[7; 40])];
        let mut area = [0; 96];
        assert!(encode(&mut area, 0, &mut attrs, false));
        for (at, value) in [(0, 255), (2, 90), (8, 200), (11, 255), (4, 1)] {
            let mut bad = area;
            bad[at] = value;
            assert!(decode(&bad, 0).is_err(), "byte {at}");
        }
        assert!(decode(&[1; 96], 0).is_err());
    }
}
