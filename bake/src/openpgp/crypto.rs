//! The public keys we can compute with.
//!
//! What is verified is a digest: an image of a gigabyte is never in memory. For RSA `ring` wants
//! the whole message, so its one public operation is done here (RFC 8017, 8.2.2: what should have
//! been signed is made anew and compared; there is nothing to parse, and no secret).

use num_bigint::BigUint;
use ring::digest::{self, Digest};
use ring::signature::{ED25519, UnparsedPublicKey};

use super::packet::integer;
use super::signature::Signature;

/// Whether SHA-1 may pass: between the keys of a keyring that is trusted as a whole, as keys made
/// in 2012 need it; never for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digests {
    Modern,
    Legacy,
}

/// Key material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Public {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ed25519([u8; 32]),
    /// An algorithm we cannot compute.
    Other(u8),
}

/// `1.3.6.1.4.1.11591.15.1`, Ed25519 before it had a number of its own (RFC 9580, 9.2).
const ED25519_LEGACY: [u8; 9] = [0x2B, 0x06, 0x01, 0x04, 0x01, 0xDA, 0x47, 0x0F, 0x01];
/// Shortest and longest RSA modulus that is believed, in bytes.
const RSA: std::ops::RangeInclusive<usize> = 256..=1024;

impl Public {
    /// Reads the material of a key of `algorithm` (RFC 9580, 5.5.5).
    pub(super) fn parse(algorithm: u8, material: &[u8]) -> Option<Self> {
        match algorithm {
            1 | 3 => {
                let (modulus, rest) = integer(material)?;
                let (exponent, _) = integer(rest)?;
                Some(Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
            }
            22 => {
                let (&len, rest) = material.split_first()?;
                let (curve, rest) = rest.split_at_checked(len.into())?;
                let (point, _) = integer(rest)?;
                match point {
                    [0x40, point @ ..] if curve == ED25519_LEGACY => {
                        Some(Self::Ed25519(point.try_into().ok()?))
                    }
                    _ => Some(Self::Other(algorithm)),
                }
            }
            27 => Some(Self::Ed25519(material.try_into().ok()?)),
            other => Some(Self::Other(other)),
        }
    }

    /// Whether `signature` is over `digest` (of what is signed, and the trailer).
    pub(super) fn verify(&self, signature: &Signature, digest: &Digest) -> Result<(), String> {
        let wrong = || "it does not fit: what was signed has been changed".to_owned();
        if digest.as_ref()[..2] != signature.check {
            return Err(wrong());
        }
        let fits = match (self, signature.algorithm) {
            (Self::Rsa { modulus, exponent }, 1 | 3) => {
                if !RSA.contains(&modulus.len()) {
                    let bits = modulus.len() * 8;
                    return Err(format!("RSA of {bits} bits is too weak, or too long"));
                }
                let integers = signature.integers(1).ok_or_else(wrong)?;
                rsa(modulus, exponent, integers[0], digest)
            }
            (Self::Ed25519(point), 22 | 27) => {
                let value = ed25519(signature).ok_or_else(wrong)?;
                // OpenPGP signs the digest, not the message.
                UnparsedPublicKey::new(&ED25519, point).verify(digest.as_ref(), &value).is_ok()
            }
            (Self::Other(kind), _) => {
                return Err(format!("public key algorithm {kind} is not supported"));
            }
            _ => return Err("its algorithm is not that of the key".into()),
        };
        if fits { Ok(()) } else { Err(wrong()) }
    }
}

/// The digest a signature names by number (RFC 9580, 9.5).
pub(super) fn algorithm(
    number: u8,
    digests: Digests,
) -> Result<&'static digest::Algorithm, String> {
    match number {
        8 => Ok(&digest::SHA256),
        9 => Ok(&digest::SHA384),
        10 => Ok(&digest::SHA512),
        2 if digests == Digests::Legacy => Ok(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        1..=3 => Err("its digest (MD5, SHA-1 or RIPEMD-160) is too weak".into()),
        other => Err(format!("digest algorithm {other} is not supported")),
    }
}

/// RSASSA-PKCS1-v1_5: the signature to the public exponent is the padded digest.
fn rsa(modulus: &[u8], exponent: &[u8], value: &[u8], digest: &Digest) -> bool {
    let Some(expected) = padded_digest(digest, modulus.len()) else { return false };
    let (n, s) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(value));
    // Even moduli are no products of two large primes; above the modulus is no signature.
    if !n.bit(0) || s >= n {
        return false;
    }
    s.modpow(&BigUint::from_bytes_be(exponent), &n) == BigUint::from_bytes_be(&expected)
}

/// EMSA-PKCS1-v1_5 (RFC 8017, 9.2): 00 01 FF…FF 00, the digest's name in DER, the digest.
fn padded_digest(digest: &Digest, len: usize) -> Option<Vec<u8>> {
    const SHA1: &[u8] =
        &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];
    let sha2 = |kind: u8, len: u8| {
        let (all, oid) = (17 + len, [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, kind]);
        [&[0x30, all, 0x30, 0x0d, 0x06, 0x09], &oid[..], &[0x05, 0x00, 0x04, len]].concat()
    };
    let name = match digest.as_ref().len() {
        20 => SHA1.to_vec(),
        32 => sha2(1, 32),
        48 => sha2(2, 48),
        64 => sha2(3, 64),
        _ => return None,
    };
    let ones = len.checked_sub(3 + name.len() + digest.as_ref().len()).filter(|ones| *ones >= 8)?;
    Some([&[0, 1], &vec![0xFF; ones][..], &[0], &name, digest.as_ref()].concat())
}

/// R and S: two integers in version 22, 64 octets in version 27.
fn ed25519(signature: &Signature) -> Option<Vec<u8>> {
    if signature.algorithm == 27 {
        return (signature.value.len() == 64).then(|| signature.value.clone());
    }
    let parts = signature.integers(2)?;
    let parts: Option<Vec<Vec<u8>>> = parts.iter().map(|part| padded(part, 32)).collect();
    Some(parts?.concat())
}

/// With the zeros in front that an integer loses.
fn padded(value: &[u8], len: usize) -> Option<Vec<u8>> {
    let missing = len.checked_sub(value.len())?;
    Some([vec![0; missing].as_slice(), value].concat())
}
