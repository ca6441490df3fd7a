//! Signatures as publishers make them: OpenPGP (RFC 4880, RFC 9580), verification only.
//!
//! Archives of packages and publishers of base images are believed by the same rules. Crate `pgp`
//! reads keys and signatures and computes; which of the keys may sign, until when, and what is too
//! weak, is decided here (ADR 120). Versions 4 and 6.

mod cleartext;
mod key;
mod read;
mod rules;
mod selfsigned;

pub use cleartext::Cleartext;
pub use key::{Key, Keyring};

use std::io::{self, Cursor, Read, Seek};

use pgp::packet::{Packet, Signature};

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
    let bytes = read::unarmoured(signatures)
        .ok_or_else(|| Fault::Malformed("its signature is no OpenPGP signature".into()))?;
    let found = read::packets(&bytes).filter_map(|packet| match packet {
        Ok(Packet::Signature(signature)) => Some(Some(signature)),
        Ok(_) => None,
        Err(_) => Some(None),
    });
    any_of(found, data, keys, now)
}

/// As [`detached`], of signatures; nothing stands for one that cannot be read.
fn any_of(
    signatures: impl Iterator<Item = Option<Signature>>,
    data: &mut (impl Read + Seek),
    keys: &Keyring,
    now: u64,
) -> Result<Vec<String>, Fault> {
    let (mut good, mut bad, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for signature in signatures {
        let Some(signature) = signature.filter(rules::version) else {
            bad.push("one of its signatures is broken, or of a kind that is not supported".into());
            continue;
        };
        let Some(signer) = keys.signer(&signature) else {
            unknown.push(issuer(&signature));
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
        Err(Fault::Malformed("it is not signed".into()))
    }
}

/// Who a signature says it is by.
fn issuer(signature: &Signature) -> String {
    match (signature.issuer_fingerprint().as_slice(), signature.issuer_key_id().as_slice()) {
        ([fingerprint, ..], _) => hex::encode_upper(fingerprint),
        ([], [id, ..]) => hex::encode_upper(id),
        ([], []) => "nobody it names".into(),
    }
}

#[cfg(test)]
mod tests;
