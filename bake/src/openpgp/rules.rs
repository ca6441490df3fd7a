//! What is too weak, too new or too special to be believed.

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureVersion, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{
    EcdsaPublicParams, EddsaLegacyPublicParams, KeyDetails, KeyVersion, PublicParams,
};

/// Shortest RSA modulus that is believed, in bits. (Crate `pgp` reads none above 8192.)
const RSA: u16 = 2048;

/// Whether SHA-1 may pass: between the keys of a keyring that is trusted as a whole, as keys made
/// in 2012 need it; never for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digests {
    Modern,
    Legacy,
}

/// Whether the signature is of a version that is believed.
pub(super) fn version(signature: &Signature) -> bool {
    matches!(signature.version(), SignatureVersion::V4 | SignatureVersion::V6)
}

/// Whether the key is of a version and of an algorithm that are believed; else the reason.
pub(super) fn key(key: &impl KeyDetails) -> Result<(), String> {
    if !matches!(key.version(), KeyVersion::V4 | KeyVersion::V6) {
        return Err("keys of its version are not supported".into());
    }
    match key.public_params() {
        PublicParams::RSA(modulus) => {
            // A number is written with its length in bits before it; the modulus comes first.
            let mut written = Vec::new();
            let bits = modulus.to_writer(&mut written).ok().and(written.first_chunk());
            match bits.map_or(0, |bits| u16::from_be_bytes(*bits)) {
                bits if bits < RSA => Err(format!("RSA of {bits} bits is too weak")),
                _ => Ok(()),
            }
        }
        PublicParams::Ed25519(_)
        | PublicParams::Ed448(_)
        | PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { .. }) => Ok(()),
        PublicParams::ECDSA(EcdsaPublicParams::Unsupported { curve, .. }) => {
            Err(format!("ECDSA over {curve} is not supported"))
        }
        // Crate `k256` takes Bitcoin's form of its signatures alone (s in the lower half of the order,
        // BIP 62): every other one that GnuPG makes would count as broken.
        PublicParams::ECDSA(EcdsaPublicParams::Secp256k1 { .. }) => {
            Err("ECDSA over secp256k1 is not supported".into())
        }
        PublicParams::ECDSA(_) => Ok(()),
        _ => {
            let number = u8::from(key.algorithm());
            Err(format!("public key algorithm {number} is not supported"))
        }
    }
}

/// Whether the signature's digest is strong enough; else the reason.
pub(super) fn digest(signature: &Signature, digests: Digests) -> Result<(), String> {
    match signature.hash_alg() {
        Some(
            HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512,
        ) => Ok(()),
        Some(HashAlgorithm::Sha1) if digests == Digests::Legacy => Ok(()),
        Some(HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160) => {
            Err("its digest (MD5, SHA-1 or RIPEMD-160) is too weak".into())
        }
        other => {
            let number = other.map_or(0, u8::from);
            Err(format!("digest algorithm {number} is not supported"))
        }
    }
}

/// Whether the signature holds only under conditions that we do not check.
pub(super) fn conditions(signature: &Signature) -> bool {
    let mut subpackets = signature.config().into_iter().flat_map(|c| c.hashed_subpackets());
    subpackets.any(|subpacket| {
        subpacket.is_critical
            && matches!(
                subpacket.data,
                SubpacketData::RegularExpression(_)
                    | SubpacketData::Experimental(..)
                    | SubpacketData::Other(..)
            )
    })
}
