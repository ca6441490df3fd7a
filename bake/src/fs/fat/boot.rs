//! The boot sector: where the tables, the root directory and the clusters are.
//!
//! Microsoft, "FAT: General Overview of On-Disk Format", 1.03, sections "Boot Sector and BPB" and
//! "FAT Type Determination"; where Linux reads it otherwise (fs/fat/inode.c), as Linux does.

use crate::error::{Error, Result};
use crate::store::BlockStore;

/// Width of a table entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Fat12,
    Fat16,
    Fat32,
}

/// Where the root directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// FAT12 and FAT16: a region of its own.
    Fixed { start: u64, len: u64 },
    /// FAT32: a chain of clusters.
    Cluster(u32),
}

/// A checked boot sector. All offsets and lengths are bytes from the start of the partition.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    pub width: Width,
    pub cluster: u64,
    /// Start of the first table.
    pub tables: u64,
    /// Length of one table.
    pub table_len: u64,
    pub copies: u64,
    /// The only table in use, where mirroring is off (`BPB_ExtFlags`).
    pub active: Option<u64>,
    pub root: Root,
    /// Start of cluster 2.
    pub data: u64,
    /// One more than the highest cluster number.
    pub end: u32,
    /// Length of the file system.
    pub len: u64,
    /// FSInfo sector.
    pub info: Option<u64>,
    /// Copy of the boot sector.
    pub backup: Option<u64>,
    pub volume_id: u32,
    pub label: [u8; 11],
    pub media: u8,
    /// Byte of the flags that Windows and Linux set while the volume is mounted.
    pub state: u64,
}

/// Whether a boot sector claims to be FAT: a jump, a power of two for the sector size, and the
/// type's name where FAT12/16 or FAT32 have it.
pub(in crate::fs) fn is_fat(sector: &[u8]) -> bool {
    let jump = sector[0] == 0xeb || sector[0] == 0xe9;
    let size = matches!(u16_at(sector, 11), 512 | 1024 | 2048 | 4096);
    let name = &sector[54..57] == b"FAT" || &sector[82..85] == b"FAT";
    jump && size && name && u16_at(sector, 510) == 0xaa55
}

impl Boot {
    /// Reads the boot sector of `store`; errors name byte `start` more than its own offsets.
    pub fn read<S: BlockStore + ?Sized>(store: &S, start: u64) -> Result<Self> {
        let mut bytes = [0; 512];
        store.read_at(0, &mut bytes).map_err(|e| super::device(start, e))?;
        Self::parse(&bytes, store.len())
            .map_err(|reason| Error::Corrupt { what: super::place(start), reason })
    }

    fn parse(b: &[u8; 512], available: u64) -> Result<Self, String> {
        let sector = u64::from(u16_at(b, 11));
        let per_cluster = u64::from(b[13]);
        let (reserved, copies) = (u64::from(u16_at(b, 14)), u64::from(b[16]));
        if !is_fat(b) || !per_cluster.is_power_of_two() || reserved == 0 || copies == 0 {
            return Err("the boot sector is not one of FAT".into());
        }
        let short = u64::from(u16_at(b, 22));
        let wide = short == 0;
        let table_len = sector * if wide { u64::from(u32_at(b, 36)) } else { short };
        let total = match u64::from(u16_at(b, 19)) {
            0 => u64::from(u32_at(b, 32)),
            small => small,
        } * sector;
        let root_len = u64::from(u16_at(b, 17)) * 32;
        let tables = reserved * sector;
        let root_start = tables + copies * table_len;
        let data = root_start + root_len.next_multiple_of(sector);
        if table_len == 0 || data >= total {
            return Err("the boot sector leaves no room for data".into());
        }
        if total > available {
            return Err(format!(
                "the boot sector announces {total} bytes, the partition has {available}"
            ));
        }
        let cluster = per_cluster * sector;
        let count = (total - data) / cluster;
        let width = match count {
            _ if wide => Width::Fat32,
            0..4085 => Width::Fat12,
            _ => Width::Fat16,
        };
        let entries = match width {
            Width::Fat12 => table_len * 2 / 3,
            Width::Fat16 => table_len / 2,
            Width::Fat32 => table_len / 4,
        };
        let most = if wide { 0x0fff_fff5 } else { 0xfff5 };
        let end = u32::try_from((count + 2).min(entries).min(most)).unwrap_or(0);
        let root = if wide {
            Root::Cluster(u32_at(b, 44))
        } else {
            Root::Fixed { start: root_start, len: root_len }
        };
        // FAT32 moved the extended boot record (drive number, flags, signature, id, label).
        let tail = if wide { 64 } else { 36 };
        let extended = matches!(b[tail + 2], 0x28 | 0x29);
        let flags = u16_at(b, 40);
        let sector_at = |at: usize| {
            let number = u64::from(u16_at(b, at));
            (wide && number != 0 && number < reserved).then_some(number * sector)
        };
        Ok(Self {
            width,
            cluster,
            tables,
            table_len,
            copies,
            active: (wide && flags & 0x80 != 0).then_some(u64::from(flags & 0x0f) % copies),
            root,
            data,
            end,
            len: total,
            info: sector_at(48),
            backup: sector_at(50),
            volume_id: if extended { u32_at(b, tail + 3) } else { 0 },
            label: if extended && b[tail + 2] == 0x29 { array(&b[tail + 7..]) } else { [b' '; 11] },
            media: b[21],
            state: tail as u64 + 1,
        })
    }

    /// First byte of a cluster.
    pub fn offset(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster - 2) * self.cluster
    }

    /// Whether it is the number of a cluster.
    pub fn holds(&self, cluster: u32) -> bool {
        (2..self.end).contains(&cluster)
    }

    /// How many clusters `bytes` take.
    pub fn clusters(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster)
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn array(bytes: &[u8]) -> [u8; 11] {
    std::array::from_fn(|i| bytes[i])
}
