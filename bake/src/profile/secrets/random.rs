//! Randomness of the operating system, in the shapes secrets have.

use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::error::{IoContext, Result};

fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|e| std::io::Error::other(e.to_string()))
        .at("reading", "the operating system's randomness")?;
    Ok(bytes)
}

/// `N` random bytes in hexadecimal.
pub fn hex<const N: usize>() -> Result<String> {
    Ok(::hex::encode(bytes::<N>()?))
}

/// `N` characters of a 32-letter alphabet without look-alikes: 5 bits each.
pub fn letters<const N: usize>() -> Result<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letter = |b: &u8| char::from(ALPHABET[usize::from(b & 31)]);
    Ok(bytes::<N>()?.iter().map(letter).collect())
}

/// A random UUID (RFC 9562, version 4).
pub fn uuid() -> Result<String> {
    let mut b = bytes::<16>()?;
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let h = ::hex::encode(b);
    Ok(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]))
}
