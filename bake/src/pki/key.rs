//! Private keys of the curve P-256, and the two forms they are written in.

use nodeconf::Secret;
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};

use super::{Form, damaged, failed};
use crate::error::Result;

/// Length of a private key and of each coordinate of a point, in bytes.
const SCALAR: usize = 32;
/// What comes before the private key in RFC 5915's `ECPrivateKey`: SEQUENCE, version 1, OCTET
/// STRING of 32 bytes.
const SEC1_HEAD: [u8; 7] = [0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
/// `parameters [0]`: the object identifier of prime256v1 (1.2.840.10045.3.1.7).
const SEC1_CURVE: [u8; 12] =
    [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// `publicKey [1]`: BIT STRING of an uncompressed point.
const SEC1_POINT: [u8; 5] = [0xa1, 0x44, 0x03, 0x42, 0x00];
/// What comes before `ECPrivateKey` without parameters in RFC 5958's `OneAsymmetricKey`: version
/// 0, the algorithm (id-ecPublicKey, prime256v1), OCTET STRING.
const PKCS8_HEAD: [u8; 29] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d,
];
/// As [`SEC1_HEAD`], 12 bytes shorter: the parameters are in the algorithm.
const INNER_HEAD: [u8; 7] = [0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20];

pub(super) fn generate() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| failed(&e))
}

/// A new private key, PEM.
///
/// # Errors
/// [`crate::error::Error::Corrupt`] where the system has no randomness.
pub fn new_key(form: Form) -> Result<Secret> {
    Ok(write(&generate()?, form))
}

pub(super) fn write(pair: &KeyPair, form: Form) -> Secret {
    let der = pair.serialized_der();
    let (tag, der) = match (form, scalar(der)) {
        (Form::Sec1, Some(scalar)) => {
            let point = pair.der_bytes();
            ("EC PRIVATE KEY", [&SEC1_HEAD[..], scalar, &SEC1_CURVE, &SEC1_POINT, point].concat())
        }
        _ => ("PRIVATE KEY", der.to_vec()),
    };
    Secret::new(encode(tag, der))
}

/// PEM with Unix line ends.
pub(super) fn encode(tag: &str, der: Vec<u8>) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// The private key inside PKCS#8 as it is made here.
fn scalar(pkcs8: &[u8]) -> Option<&[u8]> {
    let inner = pkcs8.strip_prefix(&PKCS8_HEAD)?;
    inner.strip_prefix(&INNER_HEAD)?.get(..SCALAR)
}

pub(super) fn read(key: &Secret) -> Result<KeyPair> {
    let unreadable = || damaged("key");
    let pem = pem::parse(key.expose()).map_err(|_| unreadable())?;
    let der = match pem.tag() {
        "EC PRIVATE KEY" => pkcs8(pem.contents()).ok_or_else(unreadable)?,
        _ => pem.into_contents(),
    };
    KeyPair::try_from(der).map_err(|_| unreadable())
}

/// SEC 1 as it is made here, as PKCS#8.
fn pkcs8(sec1: &[u8]) -> Option<Vec<u8>> {
    let (scalar, rest) = sec1.strip_prefix(&SEC1_HEAD)?.split_at_checked(SCALAR)?;
    let point = rest.strip_prefix(&SEC1_CURVE)?.strip_prefix(&SEC1_POINT)?;
    Some([&PKCS8_HEAD[..], &INNER_HEAD, scalar, &SEC1_POINT, point].concat())
}
