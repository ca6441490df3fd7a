//! Signatures as publishers make them: OpenPGP (RFC 4880, RFC 9580), verification only.
//!
//! Archives of packages and publishers of base images are believed by the same rules. Version 4
//! keys and signatures, RSA from 2048 bits on and Ed25519, SHA-2 for what is signed: what Debian,
//! Ubuntu and Raspberry Pi OS use. Anything else is not trusted, and said so. ADR 120 says why this
//! is ours.

mod armor;
mod cleartext;
mod crypto;
mod hashed;
mod key;
mod packet;
mod signature;

pub use cleartext::Cleartext;
pub use key::{Key, Keyring};

use std::io::{self, Cursor, Read, Seek};

use signature::Signature;

/// Why data is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The bytes are no signature or no signed text.
    #[error("{0}")]
    Malformed(String),
    /// None of the keys that signed is in the keyring.
    #[error("it is signed by {}, which is in none of {keyrings}", list(.signers))]
    UnknownKey {
        /// Key ids or fingerprints, upper-case hexadecimal.
        signers: Vec<String>,
        /// Where keys were looked for.
        keyrings: String,
    },
    /// Keys are known, and none of their signatures holds.
    #[error("{}", .0.join("; "))]
    Bad(Vec<String>),
    /// What is signed could not be read.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
}

fn list(signers: &[String]) -> String {
    let keys: Vec<String> = signers.iter().map(|s| format!("key {s}")).collect();
    keys.join(" and ")
}

/// As [`detached`], of what is in memory.
///
/// # Errors
/// As [`detached`].
pub fn verify(
    data: &[u8],
    signatures: &[u8],
    keys: &Keyring,
    now: u64,
) -> Result<Vec<String>, Fault> {
    detached(&mut Cursor::new(data), signatures, keys, now)
}

/// The certificates whose signatures in `signatures` (binary or armoured) over all of `data` hold;
/// at least one.
///
/// `now` is seconds since 1970-01-01 UTC: a key that has expired by the time of its signature, or
/// a signature from the future, is not believed. `data` is read once for every signature of a key
/// that is known.
///
/// # Errors
/// [`Fault`], where there is none.
pub fn detached(
    data: &mut (impl Read + Seek),
    signatures: &[u8],
    keys: &Keyring,
    now: u64,
) -> Result<Vec<String>, Fault> {
    let malformed = |reason: &str| Fault::Malformed(reason.into());
    let bytes = armor::decode(signatures)
        .ok_or_else(|| malformed("its signature is no OpenPGP signature"))?;
    let found = packet::split(&bytes).ok_or_else(|| malformed("its signature is broken off"))?;
    let (mut good, mut bad, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for body in found.iter().filter(|p| p.tag == packet::SIGNATURE).map(|p| p.body) {
        let Some(signature) = Signature::parse(body) else {
            bad.push("one of its signatures is of a kind that is not supported".to_owned());
            continue;
        };
        let Some(signer) = keys.signer(&signature) else {
            unknown.push(signature.issuer());
            continue;
        };
        data.rewind().map_err(Fault::Unreadable)?;
        match signer.verify(&signature, data, now).map_err(Fault::Unreadable)? {
            Ok(()) => good.push(signer.certificate()),
            Err(reason) => {
                bad.push(format!("the signature of key {}: {reason}", signer.fingerprint()))
            }
        }
    }
    if !good.is_empty() {
        Ok(good)
    } else if !bad.is_empty() {
        Err(Fault::Bad(bad))
    } else if !unknown.is_empty() {
        Err(Fault::UnknownKey { signers: unknown, keyrings: keys.origins() })
    } else {
        Err(malformed("it is not signed"))
    }
}

#[cfg(test)]
mod tests;
