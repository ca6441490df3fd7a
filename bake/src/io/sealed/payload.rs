//! The payload: pieces of 64 KiB, each encrypted and numbered, so that none can be left out, moved
//! or cut off unnoticed (STREAM).

use ring::aead::{Aad, LessSafeKey, Nonce};
use zeroize::Zeroizing;

use super::wrap::{self, FileKey};
use crate::error::Result;

/// Clear bytes of a piece; only the last has fewer.
const PIECE: usize = 64 << 10;
/// Bytes of its authentication code.
const CODE: usize = 16;
/// Bytes in front of the pieces that make each payload's key another one.
const SALT: usize = 16;

/// A piece's nonce: its number, and whether it is the last.
fn nonce(number: usize, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[3..11].copy_from_slice(&(number as u64).to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

fn cipher(key: &FileKey, salt: &[u8]) -> LessSafeKey {
    wrap::cipher(&key.derive(salt, b"payload"))
}

/// Appends the sealed content to `file`.
pub(super) fn seal(key: &FileKey, content: &[u8], file: &mut Vec<u8>) -> Result<()> {
    let salt = wrap::random::<SALT>()?;
    let cipher = cipher(key, &*salt);
    file.extend_from_slice(&*salt);
    let pieces = content.len().div_ceil(PIECE).max(1);
    for number in 0..pieces {
        let end = content.len().min((number + 1) * PIECE);
        let mut piece = Zeroizing::new(content[number * PIECE..end].to_vec());
        let nonce = nonce(number, number + 1 == pieces);
        let code = wrap::sealed(&cipher, nonce, &mut piece);
        file.extend_from_slice(&piece);
        file.extend_from_slice(&code);
    }
    Ok(())
}

/// The content of a payload.
pub(super) fn open(key: &FileKey, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let (salt, rest) = payload.split_at_checked(SALT).ok_or("it is cut off")?;
    let cipher = cipher(key, salt);
    // Growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(rest.len()));
    let pieces = rest.len().div_ceil(PIECE + CODE).max(1);
    for number in 0..pieces {
        let end = rest.len().min((number + 1) * (PIECE + CODE));
        let mut piece = Zeroizing::new(rest[number * (PIECE + CODE)..end].to_vec());
        let nonce = nonce(number, number + 1 == pieces);
        let clear = cipher
            .open_in_place(nonce, Aad::empty(), &mut piece)
            .map_err(|_| "its content was changed or cut off")?;
        // An empty last piece would be a second way to write the same.
        if clear.is_empty() && number > 0 {
            return Err("it ends in an empty piece".into());
        }
        content.extend_from_slice(clear);
    }
    Ok(content)
}
