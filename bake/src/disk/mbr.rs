//! MBR: four primary entries, one of which may be an extended partition with a chain of logical
//! ones. Growing changes sector counts and nothing else.
//!
//! Layout: disk signature at byte 440, entries of 16 bytes at 446 (flag, CHS, type at 4, CHS,
//! first sector at 8, sectors at 12, little-endian), mark 0x55AA at 510. In the chain, a logical
//! partition counts from its own EBR, the link to the next EBR from the extended partition.

use std::collections::BTreeSet;

use super::detect::ENTRIES;
use super::{
    Kind, Partition, SECTOR, Scheme, Table, corrupt, grow_image, layout, read_bytes, u16_at,
    u32_at, write_bytes,
};
use crate::error::{Error, Result};
use crate::store::{BlockStore, Image};

/// More logical partitions than Linux gives names to.
const MOST_LOGICAL: usize = 256;

/// Where a partition's sector count stands and what it counts from.
#[derive(Debug, Clone, Copy)]
struct Field {
    /// Byte of the 16-byte entry.
    entry: u64,
    /// First sector, from the start of the image.
    first: u64,
}

pub(super) struct Mbr {
    table: Table,
    /// Of every listed partition, in the same order.
    fields: Vec<Field>,
    extended: Option<Extended>,
}

struct Extended {
    field: Field,
    len: u64,
    /// Links of the chain: the entry, and the EBR it points to.
    links: Vec<Field>,
}

/// One decoded entry.
struct Entry {
    at: u64,
    kind: u8,
    active: bool,
    first: u64,
    sectors: u64,
}

fn entry(sector: &[u8], sector_at: u64, index: usize) -> Entry {
    let at = ENTRIES + 16 * index;
    Entry {
        at: sector_at + at as u64,
        kind: sector[at + 4],
        active: sector[at] & 0x80 != 0,
        first: u64::from(u32_at(sector, at + 8)),
        sectors: u64::from(u32_at(sector, at + 12)),
    }
}

fn is_extended(kind: u8) -> bool {
    matches!(kind, 0x05 | 0x0f | 0x85)
}

impl Mbr {
    pub(super) fn read<S: BlockStore + ?Sized>(store: &S) -> Result<Self> {
        let sector = read_bytes(store, 0, 512)?;
        let id = u32_at(&sector, 440);
        let mut mbr = Self {
            table: Table { scheme: Scheme::Mbr(id), partitions: Vec::new() },
            fields: Vec::new(),
            extended: None,
        };
        for index in 0..4 {
            let entry = entry(&sector, 0, index);
            let number = index as u32 + 1;
            if entry.kind == 0 {
                continue;
            }
            if entry.first == 0 || entry.sectors == 0 {
                return Err(empty(&entry, number));
            }
            if !is_extended(entry.kind) {
                mbr.push(id, number, &entry, 0);
                continue;
            }
            if mbr.extended.is_some() {
                return Err(corrupt(entry.at, "there are two extended partitions"));
            }
            let field = Field { entry: entry.at, first: entry.first };
            mbr.extended = Some(Extended { field, len: entry.sectors * SECTOR, links: Vec::new() });
        }
        mbr.read_chain(store, id)?;
        mbr.check(store.len())?;
        Ok(mbr)
    }

    pub(super) fn table(self) -> Table {
        self.table
    }

    fn push(&mut self, id: u32, number: u32, entry: &Entry, relative_to: u64) {
        let first = relative_to + entry.first;
        self.fields.push(Field { entry: entry.at, first });
        self.table.partitions.push(Partition {
            number,
            start: first * SECTOR,
            len: entry.sectors * SECTOR,
            kind: Kind::Mbr(entry.kind),
            name: None,
            // libblkid, blkid_partition_gen_uuid: the number is hexadecimal.
            partuuid: (id != 0).then(|| format!("{id:08x}-{number:02x}")),
            active: entry.active,
        });
    }

    /// Follows the EBRs of the extended partition.
    fn read_chain<S: BlockStore + ?Sized>(&mut self, store: &S, id: u32) -> Result<()> {
        let Some(mut extended) = self.extended.take() else { return Ok(()) };
        let (first, end) = (extended.field.first, extended.field.first + extended.len / SECTOR);
        let mut seen = BTreeSet::new();
        let mut next = Some(first);
        let mut number = 5;
        while let Some(at) = next.take() {
            if !seen.insert(at) {
                return Err(corrupt(at * SECTOR, "the chain of logical partitions is a loop"));
            }
            if seen.len() > MOST_LOGICAL {
                return Err(corrupt(at * SECTOR, "the chain of logical partitions does not end"));
            }
            let sector = read_bytes(store, at * SECTOR, 512)?;
            if u16_at(&sector, 510) != 0xaa55 {
                if at == first {
                    // An empty extended partition needs no boot record.
                    break;
                }
                return Err(corrupt(at * SECTOR, "an extended boot record lacks its 0x55AA mark"));
            }
            let (logical, link) = (entry(&sector, at * SECTOR, 0), entry(&sector, at * SECTOR, 1));
            if logical.kind != 0 && !is_extended(logical.kind) {
                if logical.first == 0 || logical.sectors == 0 {
                    return Err(empty(&logical, number));
                }
                self.push(id, number, &logical, at);
                number += 1;
            }
            if is_extended(link.kind) && link.sectors != 0 {
                let target = first + link.first;
                if link.first == 0 || target >= end {
                    return Err(corrupt(
                        link.at,
                        "the chain of logical partitions leaves the extended partition",
                    ));
                }
                extended.links.push(Field { entry: link.at, first: target });
                next = Some(target);
            }
        }
        self.extended = Some(extended);
        Ok(())
    }

    fn check(&self, image: u64) -> Result<()> {
        let mut all = self.table.partitions.clone();
        if let Some(extended) = &self.extended {
            let start = extended.field.first * SECTOR;
            let end = start + extended.len;
            for p in all.iter().filter(|p| p.number > 4) {
                if p.start < start || p.end() > end {
                    return Err(corrupt(
                        p.start,
                        format!("partition {} leaves its extended partition", p.number),
                    ));
                }
            }
            layout::check(&all, image)?;
            // Against its neighbours, the extended partition counts as one.
            all.retain(|p| p.number <= 4);
            let number =
                u32::try_from((extended.field.entry - ENTRIES as u64) / 16).unwrap_or(0) + 1;
            all.push(Partition {
                number,
                start,
                len: extended.len,
                kind: Kind::Mbr(0x05),
                name: None,
                partuuid: None,
                active: false,
            });
        }
        layout::check(&all, image)
    }

    /// Moves the end of partition `number`, the last one, to byte `end`.
    pub(super) fn grow(&self, image: &mut Image, number: u32, end: u64) -> Result<()> {
        let last = end / SECTOR;
        let Some(index) = self.table.partitions.iter().position(|p| p.number == number) else {
            return Err(Error::NotFound { what: "partition", name: number.to_string() });
        };
        if let Some(extended) = &self.extended
            && number <= 4
            && extended.field.first > self.fields[index].first
        {
            return Err(Error::Usage(format!(
                "partition {number} cannot grow: an empty extended partition lies behind it"
            )));
        }
        let mut changes = vec![self.fields[index]];
        if number > 4
            && let Some(extended) = &self.extended
        {
            let start = self.fields[index].first;
            // The EBR in front of it, if the chain reached it by a link, tells its length too.
            changes
                .extend(extended.links.iter().filter(|l| l.first < start).max_by_key(|l| l.first));
            if extended.field.first * SECTOR + extended.len < end {
                changes.push(extended.field);
            }
        }
        let mut counts = Vec::new();
        for field in &changes {
            let sectors = u32::try_from(last - field.first).ok();
            let representable = u32::try_from(last).is_ok();
            let Some(sectors) = sectors.filter(|_| representable) else {
                return Err(Error::Unsupported {
                    what: format!("partition {number} (byte {})", field.first * SECTOR),
                    feature: format!("an end at byte {end}: an MBR reaches 2 TiB at most"),
                });
            };
            counts.push((field.entry + 12, sectors));
        }
        grow_image(image, end)?;
        for (at, sectors) in counts {
            write_bytes(image, at, &sectors.to_le_bytes())?;
        }
        Ok(())
    }
}

fn empty(entry: &Entry, number: u32) -> Error {
    corrupt(
        entry.at,
        format!(
            "partition {number} starts at sector {} with {} sectors",
            entry.first, entry.sectors
        ),
    )
}
