//! K3s's certificate authorities below `server/tls`, and the certificates they sign.
//!
//! A pair that is there already is used and left alone (K3s docs, custom CA certificates).

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::Fatal;

/// The authorities of a server (`server/tls/NAME.{crt,key}`).
pub const AUTHORITIES: [&str; 5] =
    ["server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"];

/// ASN.1 before the SEC1 key inside ring's PKCS#8 of a P-256 key pair (RFC 5958, RFC 5915).
const PKCS8_P256_HEAD: [u8; 29] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d,
];

/// `server/tls`.
#[derive(Debug, Clone)]
pub struct Tls(pub PathBuf);

impl Tls {
    /// Whether the server's authority is there before we made any.
    pub fn was_placed(&self) -> bool {
        self.file("server-ca.crt").exists() && self.file("server-ca.key").exists()
    }

    /// Makes the authorities that are missing, and the service key.
    pub fn ensure_authorities(&self) -> Result<(), Fatal> {
        for name in AUTHORITIES {
            let (crt, key) = (self.file(&format!("{name}.crt")), self.file(&format!("{name}.key")));
            if crt.exists() && key.exists() {
                continue;
            }
            let pair = KeyPair::generate().map_err(text)?;
            let mut params = CertificateParams::default();
            let subject = format!("k3s-{}@stand-in", name.replace('/', "-"));
            params.distinguished_name.push(DnType::CommonName, subject);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![
                KeyUsagePurpose::DigitalSignature,
                KeyUsagePurpose::KeyCertSign,
                KeyUsagePurpose::KeyEncipherment,
            ];
            write(&key, sec1_pem(&pair)?.as_bytes(), 0o600)?;
            write(&crt, params.self_signed(&pair).map_err(text)?.pem().as_bytes(), 0o644)?;
        }
        let service = self.file("service.key");
        if !service.exists() {
            write(&service, sec1_pem(&KeyPair::generate().map_err(text)?)?.as_bytes(), 0o600)?;
        }
        Ok(())
    }

    /// Signs the API server's certificate for `names`, anew at every start.
    pub fn serving(&self, names: Vec<String>) -> Result<(), Fatal> {
        let mut params = CertificateParams::new(names).map_err(text)?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, "server-ca", "serving-kube-apiserver")
    }

    /// Signs the administrator's certificate.
    pub fn admin(&self) -> Result<(), Fatal> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "system:masters");
        params.distinguished_name.push(DnType::CommonName, "system:admin");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, "client-ca", "client-admin")
    }

    fn sign(&self, mut params: CertificateParams, ca: &str, name: &str) -> Result<(), Fatal> {
        let ca_pem = self.read(&format!("{ca}.crt"))?;
        let ca_key = key_pair(&self.read(&format!("{ca}.key"))?)?;
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key).map_err(text)?;
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.use_authority_key_identifier_extension = true;
        let pair = KeyPair::generate().map_err(text)?;
        let mut chain = params.signed_by(&pair, &issuer).map_err(text)?.pem();
        chain.push_str(&ca_pem);
        write(&self.file(&format!("{name}.key")), sec1_pem(&pair)?.as_bytes(), 0o600)?;
        write(&self.file(&format!("{name}.crt")), chain.as_bytes(), 0o644)
    }

    /// A file of this directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Its text.
    pub fn read(&self, name: &str) -> Result<String, Fatal> {
        let file = self.file(name);
        fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))
    }
}

/// `EC PRIVATE KEY`, the form in which K3s writes its keys.
fn sec1_pem(pair: &KeyPair) -> Result<String, Fatal> {
    let der = pair.serialize_der();
    let sec1 = der.strip_prefix(&PKCS8_P256_HEAD).ok_or("not the PKCS#8 of a P-256 key")?;
    let body = base64::engine::general_purpose::STANDARD.encode(sec1);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    Ok(format!(
        "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n",
        lines.join("\n")
    ))
}

/// A key of either form; ring reads only PKCS#8.
fn key_pair(pem: &str) -> Result<KeyPair, Fatal> {
    let Some((_, rest)) = pem.split_once("-----BEGIN EC PRIVATE KEY-----") else {
        return KeyPair::from_pem(pem).map_err(text);
    };
    let body: String =
        rest.split("-----END").next().unwrap_or_default().split_whitespace().collect();
    let sec1 = base64::engine::general_purpose::STANDARD
        .decode(body)
        .map_err(|e| format!("CA key: {e}"))?;
    let inner = [&[0x02, 0x01, 0x00][..], &PKCS8_P256_HEAD[6..27], &element(0x04, &sec1)].concat();
    KeyPair::try_from(element(0x30, &inner)).map_err(text)
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

/// Writes a file whole, by rename.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fatal> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}

fn text(error: rcgen::Error) -> Fatal {
    error.to_string()
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
