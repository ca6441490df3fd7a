//! Private keys in the two forms in which K3s has them.

use base64::Engine as _;
use rcgen::KeyPair;

use crate::Fatal;

/// ASN.1 before the SEC1 key inside ring's PKCS#8 of a P-256 key pair (RFC 5958, RFC 5915).
const PKCS8_P256_HEAD: [u8; 29] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d,
];

/// `EC PRIVATE KEY`, the form in which K3s writes its keys.
pub fn sec1_pem(pair: &KeyPair) -> Result<String, Fatal> {
    let der = pair.serialize_der();
    let inner = der.strip_prefix(&PKCS8_P256_HEAD).ok_or("not the PKCS#8 of a P-256 key")?;
    // The curve stands outside in PKCS#8; alone, the key has to name it itself: Go asks for it.
    let (scalar, public) =
        inner.get(2..).and_then(|body| body.split_at_checked(37)).ok_or("key")?;
    let sec1 = element(0x30, &[scalar, &element(0xa0, &PKCS8_P256_HEAD[17..27]), public].concat());
    let body = base64::engine::general_purpose::STANDARD.encode(sec1);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    Ok(format!(
        "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n",
        lines.join("\n")
    ))
}

/// A key of either form; ring reads only PKCS#8.
pub fn key_pair(pem: &str) -> Result<KeyPair, Fatal> {
    let Some((_, rest)) = pem.split_once("-----BEGIN EC PRIVATE KEY-----") else {
        return KeyPair::from_pem(pem).map_err(|e| e.to_string());
    };
    let body: String =
        rest.split("-----END").next().unwrap_or_default().split_whitespace().collect();
    let sec1 = base64::engine::general_purpose::STANDARD
        .decode(body)
        .map_err(|e| format!("CA key: {e}"))?;
    let inner = [&[0x02, 0x01, 0x00][..], &PKCS8_P256_HEAD[6..27], &element(0x04, &sec1)].concat();
    KeyPair::try_from(element(0x30, &inner)).map_err(|e| e.to_string())
}

/// A DER element; keys and certificates' heads are far below the 64 KiB this can hold.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head = match content.len() {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_the_form_k3s_writes() {
        let pair = KeyPair::generate().unwrap();
        let again = key_pair(&sec1_pem(&pair).unwrap()).unwrap();
        assert_eq!(again.public_key_raw(), pair.public_key_raw());
        assert_eq!(
            key_pair(&pair.serialize_pem()).unwrap().public_key_raw(),
            pair.public_key_raw()
        );
    }
}
