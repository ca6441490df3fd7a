//! The public keys we can compute with, and `ring` doing it.

use ring::digest::{self, Digest};
use ring::signature::{
    ED25519, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

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

    /// Whether `signature` is over `message` (what is signed, and the trailer).
    pub(super) fn verify(
        &self,
        signature: &Signature,
        message: &[u8],
        digests: Digests,
    ) -> Result<(), String> {
        let (algorithm, rsa) = hash(signature.hash, digests)?;
        let digest = digest::digest(algorithm, message);
        let wrong = || "it does not fit: what was signed has been changed".to_owned();
        if digest.as_ref()[..2] != signature.check {
            return Err(wrong());
        }
        match (self, signature.algorithm) {
            (Self::Rsa { modulus, exponent }, 1 | 3) => {
                if modulus.len() < 256 {
                    return Err(format!("RSA of {} bits is too weak", modulus.len() * 8));
                }
                let [value] = signature.integers(1).ok_or_else(wrong)?[..] else {
                    return Err(wrong());
                };
                let value = padded(value, modulus.len()).ok_or_else(wrong)?;
                RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(rsa, message, &value)
                    .map_err(|_| wrong())
            }
            (Self::Ed25519(point), 22 | 27) => {
                let value = ed25519(signature).ok_or_else(wrong)?;
                verify_ed25519(point, &digest, &value).ok_or_else(wrong)
            }
            (Self::Other(kind), _) => Err(format!("public key algorithm {kind} is not supported")),
            _ => Err("its algorithm is not that of the key".into()),
        }
    }
}

fn hash(
    number: u8,
    digests: Digests,
) -> Result<(&'static digest::Algorithm, &'static RsaParameters), String> {
    match number {
        8 => Ok((&digest::SHA256, &RSA_PKCS1_2048_8192_SHA256)),
        9 => Ok((&digest::SHA384, &RSA_PKCS1_2048_8192_SHA384)),
        10 => Ok((&digest::SHA512, &RSA_PKCS1_2048_8192_SHA512)),
        2 if digests == Digests::Legacy => {
            Ok((&digest::SHA1_FOR_LEGACY_USE_ONLY, &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY))
        }
        1..=3 => Err("its digest (MD5, SHA-1 or RIPEMD-160) is too weak".into()),
        other => Err(format!("digest algorithm {other} is not supported")),
    }
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

/// OpenPGP signs the digest, not the message.
fn verify_ed25519(point: &[u8; 32], digest: &Digest, value: &[u8]) -> Option<()> {
    UnparsedPublicKey::new(&ED25519, point).verify(digest.as_ref(), value).ok()
}

/// With the zeros in front that an integer loses.
fn padded(value: &[u8], len: usize) -> Option<Vec<u8>> {
    let missing = len.checked_sub(value.len())?;
    Some([vec![0; missing].as_slice(), value].concat())
}
