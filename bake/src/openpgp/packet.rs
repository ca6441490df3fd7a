//! Packets and the numbers in them (RFC 9580, 3.2, 4.2).

pub(super) const SIGNATURE: u8 = 2;
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const USER_ID: u8 = 13;
pub(super) const PUBLIC_SUBKEY: u8 = 14;
pub(super) const USER_ATTRIBUTE: u8 = 17;

/// One packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'b> {
    pub(super) tag: u8,
    pub(super) body: &'b [u8],
}

/// All packets; `None` where a length leads out of the bytes.
pub(super) fn split(mut bytes: &[u8]) -> Option<Vec<Packet<'_>>> {
    let mut packets = Vec::new();
    while let Some((&head, rest)) = bytes.split_first() {
        if head & 0x80 == 0 {
            return None;
        }
        let (tag, len, rest) = if head & 0x40 != 0 {
            let (len, rest) = new_length(rest)?;
            (head & 0x3F, len, rest)
        } else {
            // Old format: the low bits say how long the length is; indeterminate is for data only.
            let width = match head & 3 {
                3 => return None,
                kind => 1 << kind,
            };
            let (len, rest) = number(rest, width)?;
            (head >> 2 & 0x0F, len, rest)
        };
        let (body, rest) = rest.split_at_checked(len)?;
        packets.push(Packet { tag, body });
        bytes = rest;
    }
    Some(packets)
}

/// One, two or five octets; partial lengths are for data only. Subpackets count the same way.
pub(super) fn new_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..=191 => Some((first.into(), rest)),
        192..=223 => {
            let (&second, rest) = rest.split_first()?;
            Some(((usize::from(first) - 192) * 256 + usize::from(second) + 192, rest))
        }
        224..=254 => None,
        255 => number(rest, 4),
    }
}

/// A big-endian number of `width` octets, at most 4.
pub(super) fn number(bytes: &[u8], width: usize) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(width)?;
    Some((digits.iter().fold(0, |n, &d| n << 8 | usize::from(d)), rest))
}

/// A multiprecision integer: its bits, then its octets without leading zeros.
pub(super) fn integer(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bits, rest) = number(bytes, 2)?;
    rest.split_at_checked(bits.div_ceil(8))
}

/// Four octets: seconds, or seconds since 1970-01-01 UTC.
pub(super) fn seconds(bytes: &[u8]) -> Option<u64> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?).into())
}
