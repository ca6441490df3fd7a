//! Directory records of 32 bytes: the short entry, and the long-name entries in front of it
//! (specification, "Directory Structure" and "FAT Long Directory Entries").

use super::boot::{u16_at, u32_at};
use super::name::{checksum, is_short};
use super::time;
use crate::fs::Attributes;

/// Bytes of a record.
pub(super) const SIZE: usize = 32;

pub(super) const READ_ONLY: u8 = 0x01;
pub(super) const VOLUME: u8 = 0x08;
pub(super) const DIRECTORY: u8 = 0x10;
pub(super) const ARCHIVE: u8 = 0x20;
/// The combination that marks a long-name entry.
const LONG: u8 = 0x0f;

/// First byte of a record that was removed.
pub(super) const REMOVED: u8 = 0xe5;

/// Where a long-name entry keeps its 13 UTF-16 units.
const UNITS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// A short entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record(pub [u8; SIZE]);

impl Record {
    pub fn new(alias: [u8; 11], kind: u8) -> Self {
        let mut bytes = [0; SIZE];
        bytes[..11].copy_from_slice(&alias);
        bytes[11] = kind;
        Self(bytes)
    }

    pub fn alias(&self) -> [u8; 11] {
        std::array::from_fn(|i| self.0[i])
    }

    pub fn set_alias(&mut self, alias: [u8; 11]) {
        self.0[..11].copy_from_slice(&alias);
        // The alias is stored as it is: no lower-case flags.
        self.0[12] = 0;
    }

    /// Lower-case flags.
    pub fn case(&self) -> u8 {
        self.0[12]
    }

    pub fn kind(&self) -> u8 {
        self.0[11]
    }

    pub fn is_directory(&self) -> bool {
        self.kind() & DIRECTORY != 0
    }

    pub fn is_volume(&self) -> bool {
        self.kind() & VOLUME != 0
    }

    pub fn is_long(&self) -> bool {
        self.kind() & 0x3f == LONG
    }

    pub fn is_dots(&self) -> bool {
        matches!(&self.alias(), b".          " | b"..         ")
    }

    pub fn cluster(&self) -> u32 {
        u32::from(u16_at(&self.0, 26)) | u32::from(u16_at(&self.0, 20)) << 16
    }

    pub fn set_cluster(&mut self, cluster: u32) {
        let [a, b, c, d] = cluster.to_le_bytes();
        self.0[26..28].copy_from_slice(&[a, b]);
        self.0[20..22].copy_from_slice(&[c, d]);
    }

    pub fn size(&self) -> u32 {
        u32_at(&self.0, 28)
    }

    pub fn set_size(&mut self, size: u32) {
        self.0[28..32].copy_from_slice(&size.to_le_bytes());
    }

    pub fn attributes(&self) -> Attributes {
        let write = if self.kind() & READ_ONLY == 0 { 0o200 } else { 0 };
        let read = if self.is_directory() { 0o555 } else { 0o444 };
        let mtime = time::decode(u16_at(&self.0, 24), u16_at(&self.0, 22));
        Attributes { mode: read | write, uid: 0, gid: 0, mtime }
    }

    /// Takes the write bit and all three times.
    pub fn set_attributes(&mut self, attributes: Attributes) {
        let read_only = if attributes.mode & 0o200 == 0 { READ_ONLY } else { 0 };
        self.0[11] = self.0[11] & !READ_ONLY | read_only;
        let (date, time) = time::encode(attributes.mtime);
        let ([t0, t1], [d0, d1]) = (time.to_le_bytes(), date.to_le_bytes());
        // Hundredths of the odd second; creation time and date; day of access; modification.
        self.0[13] = 0;
        self.0[14..20].copy_from_slice(&[t0, t1, d0, d1, d0, d1]);
        self.0[22..26].copy_from_slice(&[t0, t1, d0, d1]);
    }
}

/// The long-name entries for `name`, in the order they stand on disk; none where the alias says
/// it all.
pub(super) fn long_entries(name: &str, alias: &[u8; 11]) -> Vec<[u8; SIZE]> {
    if is_short(name) {
        return Vec::new();
    }
    let mut units: Vec<u16> = name.encode_utf16().collect();
    if !units.len().is_multiple_of(UNITS.len()) {
        units.push(0);
        units.resize(units.len().next_multiple_of(UNITS.len()), 0xffff);
    }
    let count = units.len() / UNITS.len();
    let entry = |(index, part): (usize, &[u16])| {
        let mut bytes = [0; SIZE];
        let last = if index + 1 == count { 0x40 } else { 0 };
        bytes[0] = (index as u8 + 1) | last;
        bytes[11] = LONG;
        bytes[13] = checksum(alias);
        for (at, unit) in UNITS.into_iter().zip(part) {
            bytes[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        bytes
    };
    units.chunks(UNITS.len()).enumerate().map(entry).rev().collect()
}

/// Gathers long-name entries until their short entry comes.
#[derive(Debug, Default)]
pub(super) struct LongName {
    units: Vec<u16>,
    next: u8,
    checksum: u8,
    /// Index of the first record.
    first: usize,
}

impl LongName {
    /// Takes the long-name entry that is record `index`.
    pub fn take(&mut self, index: usize, bytes: &[u8; SIZE]) {
        let order = bytes[0] & 0x3f;
        if bytes[0] & 0x40 != 0 {
            *self = Self { next: order, checksum: bytes[13], first: index, units: Vec::new() };
        }
        if order == 0 || order > 20 || order != self.next || bytes[13] != self.checksum {
            *self = Self::default();
            return;
        }
        let mut units: Vec<u16> = UNITS.iter().map(|&at| u16_at(bytes, at)).collect();
        units.append(&mut self.units);
        self.units = units;
        self.next -= 1;
    }

    /// The name and the index of its first record, if it is whole and belongs to `alias`.
    pub fn finish(self, alias: &[u8; 11]) -> Option<(String, usize)> {
        if self.units.is_empty() || self.next != 0 || self.checksum != checksum(alias) {
            return None;
        }
        let len = self.units.iter().position(|u| *u == 0).unwrap_or(self.units.len());
        String::from_utf16(&self.units[..len]).ok().map(|name| (name, self.first))
    }

    /// Whether entries were taken that no short entry has claimed yet.
    pub fn is_pending(&self) -> bool {
        !self.units.is_empty()
    }
}
