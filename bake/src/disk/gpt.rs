//! GPT (UEFI 2.10, section 5.3): reading, and moving the end of the last partition. Entries keep
//! their place in the array, so sparse tables (1, 14, 15) keep their numbers.

use super::detect::{ENTRIES, PROTECTIVE};
use super::{
    Guid, Kind, Partition, SECTOR, Scheme, Table, corrupt, grow_image, layout, read_bytes, u16_at,
    u32_at, u64_at, write_bytes,
};
use crate::error::{Error, Result};
use crate::store::{BlockStore, Image};

/// First bytes of a header.
pub(super) const SIGNATURE: &[u8] = b"EFI PART";
/// Largest entry array we read. The usual one has 16 KiB.
const MOST_ENTRY_BYTES: u64 = 1 << 20;
/// Bytes of the header that UEFI defines; the rest of its sector is zero.
const HEADER: usize = 92;

pub(super) struct Gpt {
    /// The primary header's sector.
    header: Vec<u8>,
    entries: Vec<u8>,
    entry_size: usize,
    table: Table,
}

impl Gpt {
    pub(super) fn read<S: BlockStore + ?Sized>(store: &S) -> Result<Self> {
        let header = read_header(store)?;
        let entry_size = u32_at(&header, 84) as usize;
        let count = u32_at(&header, 80);
        let bytes = u64::from(count) * entry_size as u64;
        if entry_size < 128 || !entry_size.is_power_of_two() || bytes > MOST_ENTRY_BYTES {
            return Err(corrupt(
                SECTOR + 80,
                format!("the header announces {count} entries of {entry_size} bytes"),
            ));
        }
        let at = sector_byte(u64_at(&header, 72), SECTOR + 72)?;
        let entries = read_bytes(store, at, usize::try_from(bytes).unwrap_or(0))?;
        check_crc(&entries, u32_at(&header, 88), at, "entries")?;
        let mut gpt = Self {
            table: Table { scheme: Scheme::Gpt(guid(&header[56..72])), partitions: Vec::new() },
            header,
            entries,
            entry_size,
        };
        gpt.read_entries(at)?;
        layout::check(&gpt.table.partitions, store.len())?;
        Ok(gpt)
    }

    pub(super) fn table(self) -> Table {
        self.table
    }

    fn read_entries(&mut self, at: u64) -> Result<()> {
        let usable = u64_at(&self.header, 40)..=u64_at(&self.header, 48);
        for (index, entry) in self.entries.chunks_exact(self.entry_size).enumerate() {
            if entry[..16].iter().all(|b| *b == 0) {
                continue;
            }
            let offset = at + (index * self.entry_size) as u64;
            let number = u32::try_from(index).unwrap_or(u32::MAX) + 1;
            let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
            if last < first || !usable.contains(&first) || !usable.contains(&last) {
                return Err(corrupt(
                    offset,
                    format!(
                        "partition {number} has sectors {first} to {last}, usable are {} to {}",
                        usable.start(),
                        usable.end()
                    ),
                ));
            }
            let start = sector_byte(first, offset)?;
            self.table.partitions.push(Partition {
                number,
                start,
                len: sector_byte(last + 1, offset)? - start,
                kind: Kind::Gpt(guid(&entry[..16])),
                name: name(&entry[56..128]),
                partuuid: Some(guid(&entry[16..32]).to_string()),
                active: false,
            });
        }
        Ok(())
    }

    /// Moves the end of partition `number`, the last one, to byte `end`, and the backup table to
    /// the end of the image.
    pub(super) fn grow(mut self, image: &mut Image, number: u32, end: u64) -> Result<()> {
        let old_len = image.len();
        let entry_sectors = (self.entries.len() as u64).div_ceil(SECTOR);
        // Behind the last usable sector: the backup entries, then the backup header.
        let needed = end / SECTOR + entry_sectors + 1;
        let total = needed.max(old_len / SECTOR);
        grow_image(image, total * SECTOR)?;
        self.erase_old_backup(image, old_len)?;

        let at = (number as usize - 1) * self.entry_size;
        put_u64(&mut self.entries, at + 40, end / SECTOR - 1);
        let backup = total - 1;
        put_u64(&mut self.header, 32, backup);
        put_u64(&mut self.header, 48, backup - entry_sectors - 1);
        let crc = crc32fast::hash(&self.entries);
        put_u32(&mut self.header, 88, crc);
        seal(&mut self.header);

        let mut second = self.header.clone();
        put_u64(&mut second, 24, backup);
        put_u64(&mut second, 32, 1);
        put_u64(&mut second, 72, backup - entry_sectors);
        seal(&mut second);

        write_bytes(image, u64_at(&self.header, 72) * SECTOR, &self.entries)?;
        write_bytes(image, SECTOR, &self.header)?;
        write_bytes(image, (backup - entry_sectors) * SECTOR, &self.entries)?;
        write_bytes(image, backup * SECTOR, &second)?;
        write_protective(image, total)
    }

    /// Clears the backup table where it was, so that no tool finds a stale one.
    fn erase_old_backup(&self, image: &mut Image, old_len: u64) -> Result<()> {
        let entry_sectors = (self.entries.len() as u64).div_ceil(SECTOR);
        let header = u64_at(&self.header, 32);
        let (Some(first), Some(end)) = (
            header.checked_sub(entry_sectors),
            header.checked_add(1).and_then(|s| s.checked_mul(SECTOR)),
        ) else {
            return Ok(());
        };
        let start = first * SECTOR;
        let free = self.table.partitions.iter().all(|p| p.end() <= start || p.start >= end);
        let primary = u64_at(&self.header, 40) * SECTOR;
        if free && start >= primary && end <= old_len {
            image
                .zero(start, end - start)
                .map_err(|e| Error::io("changing the partition table of", "the image", e))?;
        }
        Ok(())
    }
}

/// Reads and checks the primary header.
fn read_header<S: BlockStore + ?Sized>(store: &S) -> Result<Vec<u8>> {
    let header = read_bytes(store, SECTOR, 512)?;
    if &header[..8] != SIGNATURE {
        if store.len() >= 4104 && read_bytes(store, 4096, 8)? == SIGNATURE {
            return Err(Error::Unsupported {
                what: "partition table (byte 4096)".into(),
                feature: "GPT with 4096-byte sectors".into(),
            });
        }
        return Err(corrupt(SECTOR, "there is a protective MBR but no GPT header behind it"));
    }
    let size = u32_at(&header, 12) as usize;
    if !(HEADER..=512).contains(&size) {
        return Err(corrupt(SECTOR + 12, format!("the header says it has {size} bytes")));
    }
    let mut covered = header[..size].to_vec();
    covered[16..20].fill(0);
    check_crc(&covered, u32_at(&header, 16), SECTOR, "header")?;
    if u64_at(&header, 24) != 1 {
        return Err(corrupt(SECTOR + 24, "the header says it stands in another sector"));
    }
    let (first_usable, entries) = (u64_at(&header, 40), u64_at(&header, 72));
    let bytes = u64::from(u32_at(&header, 80)).saturating_mul(u64::from(u32_at(&header, 84)));
    if entries < 2 || entries.saturating_add(bytes.div_ceil(SECTOR)) > first_usable {
        return Err(corrupt(
            SECTOR + 72,
            format!("the entries at sector {entries} reach into the usable sectors"),
        ));
    }
    Ok(header)
}

fn check_crc(bytes: &[u8], stored: u32, at: u64, what: &str) -> Result<()> {
    let found = crc32fast::hash(bytes);
    if found == stored {
        return Ok(());
    }
    Err(corrupt(at, format!("the GPT {what} should have CRC {stored:08x} but have {found:08x}")))
        .map_err(|e| e.hint("if it is your own image, repair it with `sgdisk -e` or gdisk"))
}

/// The byte of a sector whose number stands at byte `field`.
fn sector_byte(sector: u64, field: u64) -> Result<u64> {
    sector
        .checked_mul(SECTOR)
        .ok_or_else(|| corrupt(field, format!("sector {sector} lies beyond any device")))
}

fn guid(bytes: &[u8]) -> Guid {
    let mut guid = [0; 16];
    guid.copy_from_slice(bytes);
    Guid(guid)
}

/// Partition name: UTF-16, ended by NUL or the field's end.
fn name(field: &[u8]) -> Option<String> {
    let units: Vec<u16> =
        (0..field.len() / 2).map(|i| u16_at(field, 2 * i)).take_while(|u| *u != 0).collect();
    (!units.is_empty()).then(|| String::from_utf16_lossy(&units))
}

/// Puts the header's own CRC in (over `HeaderSize` bytes, the field itself as zero).
fn seal(header: &mut [u8]) {
    let size = u32_at(header, 12) as usize;
    put_u32(header, 16, 0);
    let crc = crc32fast::hash(&header[..size]);
    put_u32(header, 16, crc);
}

/// Lets the protective entry cover the whole image, or all that 32 bits can (section 5.2.3).
fn write_protective(image: &mut Image, total: u64) -> Result<()> {
    let sector = read_bytes(image, 0, 512)?;
    let sectors = u32::try_from(total - 1).unwrap_or(u32::MAX);
    for index in 0..4 {
        let at = ENTRIES + 16 * index;
        if sector[at + 4] == PROTECTIVE {
            return write_bytes(image, at as u64 + 12, &sectors.to_le_bytes());
        }
    }
    Ok(())
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
