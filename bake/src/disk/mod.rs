//! Partition tables (MBR, GPT) of an image: reading them, and growing the last partition.
//!
//! Sectors are 512 bytes: that is what every card image counts in. Tables are checked as a whole
//! before anything is believed of them; errors name the partition and the byte offset.

mod detect;
mod gpt;
mod layout;
mod mbr;
mod window;

use std::fmt;

use crate::error::{Error, Result};
use crate::store::{BlockStore, Image};

pub use window::open_window;

/// Bytes of a sector.
pub const SECTOR: u64 = 512;

/// How an image is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A DOS partition table; the number is its disk signature.
    Mbr(u32),
    /// A GUID partition table with the disk's GUID.
    Gpt(Guid),
    /// No table: the whole image is one file system.
    Bare,
}

/// What a partition is for, as its table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// MBR type byte (0x0c FAT32, 0x83 Linux).
    Mbr(u8),
    /// GPT type GUID.
    Gpt(Guid),
    /// Not in a table: the whole image.
    Whole,
}

/// A GUID as stored on disk: the first three fields little-endian (UEFI 2.10, appendix A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guid(pub [u8; 16]);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        for (position, index) in ORDER.into_iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[index])?;
        }
        Ok(())
    }
}

/// One partition that holds data (an extended partition is not listed, what is in it is).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number, as in `/dev/sda2`; 0 for a bare file system.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// What it is for.
    pub kind: Kind,
    /// Partition name (GPT only; file system labels are the file system's).
    pub name: Option<String>,
    /// PARTUUID as udev and blkid say it: `4f1a2b3c-02` on MBR, the unique GUID on GPT.
    pub partuuid: Option<String>,
    /// MBR active flag.
    pub active: bool,
}

impl Partition {
    /// First byte after it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.len
    }
}

/// The division of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its kind and identity.
    pub scheme: Scheme,
    /// Partitions by number.
    pub partitions: Vec<Partition>,
}

impl Table {
    /// The partition that ends last: the only one that can grow.
    #[must_use]
    pub fn last(&self) -> Option<&Partition> {
        self.partitions.iter().max_by_key(|p| p.end())
    }

    /// The partition of that number.
    #[must_use]
    pub fn partition(&self, number: u32) -> Option<&Partition> {
        self.partitions.iter().find(|p| p.number == number)
    }
}

/// Reads and checks the partition table of `store`.
///
/// # Errors
/// [`Error::Corrupt`] where the table contradicts itself or the image, [`Error::Unsupported`] for
/// hybrid MBRs and 4096-byte sectors, [`Error::Io`]-like contexts where reading fails.
pub fn read<S: BlockStore + ?Sized>(store: &S) -> Result<Table> {
    match detect::detect(store)? {
        detect::Found::Gpt => gpt::Gpt::read(store).map(|g| g.table()),
        detect::Found::Mbr => mbr::Mbr::read(store).map(|m| m.table()),
        detect::Found::Bare => Ok(Table {
            scheme: Scheme::Bare,
            partitions: vec![Partition {
                number: 0,
                start: 0,
                len: store.len(),
                kind: Kind::Whole,
                name: None,
                partuuid: None,
                active: false,
            }],
        }),
    }
}

/// Makes the last partition `len` bytes long (rounded up to a sector) and the image as long as
/// that needs. Boot code, disk signature, PARTUUIDs and partition numbers stay; a GPT's backup
/// table moves to the new end. The file system inside is the caller's to grow.
///
/// # Errors
/// [`Error::Usage`] where `number` is not the last partition or would shrink,
/// [`Error::Unsupported`] where an MBR cannot count that far, and those of [`read`].
pub fn grow_last(image: &mut Image, number: u32, len: u64) -> Result<()> {
    let table = read(image)?;
    let Some(partition) = table.partition(number) else {
        return Err(Error::NotFound { what: "partition", name: number.to_string() });
    };
    if table.last() != Some(partition) {
        return Err(Error::Usage(format!(
            "partition {number} is not the last one of the image: only the last can grow"
        )));
    }
    if len < partition.len {
        return Err(Error::Usage(format!(
            "partition {number} has {} bytes and cannot shrink to {len}",
            partition.len
        )));
    }
    let len = len.checked_next_multiple_of(SECTOR).ok_or_else(|| too_long(number))?;
    let end = partition.start.checked_add(len).ok_or_else(|| too_long(number))?;
    match table.scheme {
        Scheme::Bare => grow_image(image, len),
        Scheme::Mbr(_) => mbr::Mbr::read(image)?.grow(image, number, end),
        Scheme::Gpt(_) => gpt::Gpt::read(image)?.grow(image, number, end),
    }
}

fn too_long(number: u32) -> Error {
    Error::Usage(format!("partition {number} cannot be that long"))
}

fn grow_image(image: &mut Image, len: u64) -> Result<()> {
    let len = len.max(image.len());
    image.grow(len).map_err(|e| Error::Usage(e.to_string()))
}

/// Reads the table of an image that consists of `bytes` and grows its last partition: what fuzz
/// targets call. Returns whether the table was accepted.
///
/// # Panics
/// Where an accepted table describes partitions outside the image, or growing it made one that
/// is no longer accepted: the target's finding.
#[must_use]
pub fn exercise(bytes: &[u8]) -> bool {
    let mut image = Image::new(std::sync::Arc::new(crate::store::BytesSource::new(bytes)));
    let Ok(table) = read(&image) else { return false };
    assert!(table.partitions.iter().all(|p| p.end() <= image.len()));
    if let Some(last) = table.last()
        && grow_last(&mut image, last.number, last.len + crate::units::MIB).is_ok()
    {
        let grown = read(&image).map(|t| t.partitions.len());
        assert_eq!(grown.ok(), Some(table.partitions.len()), "grown table is not accepted");
    }
    true
}

/// Reads `len` bytes of a table at byte `offset`.
fn read_bytes<S: BlockStore + ?Sized>(store: &S, offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    store.read_at(offset, &mut bytes).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => corrupt(offset, "the image ends inside it"),
        _ => Error::io("reading the partition table of", "the image", e),
    })?;
    Ok(bytes)
}

fn write_bytes(image: &mut Image, offset: u64, bytes: &[u8]) -> Result<()> {
    image
        .write_at(offset, bytes)
        .map_err(|e| Error::io("changing the partition table of", "the image", e))
}

/// The table at byte `offset` contradicts itself.
fn corrupt(offset: u64, reason: impl Into<String>) -> Error {
    Error::Corrupt { what: format!("partition table (byte {offset})"), reason: reason.into() }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests;
