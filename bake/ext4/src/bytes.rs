//! Little-endian fields of on-disk structures.
//!
//! Offsets are constants of a format or were checked against the buffer by the caller; a slice
//! too short is a defect of ours, not of the image.

/// Reads an unsigned 16-bit field.
pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Reads an unsigned 32-bit field.
pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Writes an unsigned 16-bit field.
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

/// Writes an unsigned 32-bit field.
pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Low 16 bits.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
pub(crate) const fn low16(value: u32) -> u16 {
    value as u16
}

/// High 16 bits.
pub(crate) const fn high16(value: u32) -> u16 {
    low16(value >> 16)
}

/// Low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
pub(crate) const fn low32(value: u64) -> u32 {
    value as u32
}

/// High 32 bits.
pub(crate) const fn high32(value: u64) -> u32 {
    low32(value >> 32)
}

/// Joins two halves.
pub(crate) fn join32(low: u32, high: u32) -> u64 {
    u64::from(low) | (u64::from(high) << 32)
}

/// Joins two halves.
pub(crate) fn join16(low: u16, high: u16) -> u32 {
    u32::from(low) | (u32::from(high) << 16)
}
