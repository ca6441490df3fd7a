//! K3s's certificate authorities below `server/tls`, and the certificates they sign.
//!
//! A pair that is there already is used and left alone (K3s docs, custom CA certificates).

mod anybody;
mod keys;
mod read;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::Fatal;
pub use anybody::Anybody;
use keys::{key_pair, sec1_pem};
pub use read::{Subject, ca_hash, not_before, subject};

/// The authorities of a server (`server/tls/NAME.{crt,key}`).
pub const AUTHORITIES: [&str; 5] =
    ["server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"];

/// Who may use a certificate for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// TLS server.
    Server,
    /// TLS client.
    Client,
    /// Both, as etcd's gateway and peers need.
    Both,
}

/// A certificate to sign.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Common name.
    pub name: String,
    /// Organization: in Kubernetes, the group.
    pub group: Option<String>,
    /// Subject alternative names.
    pub names: Vec<String>,
    /// Extended key usage.
    pub purpose: Purpose,
}

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
            // Ten years from now on (K3s docs, certificates).
            let now = OffsetDateTime::now_utc();
            (params.not_before, params.not_after) = (now, now + Duration::days(3650));
            write(&key, sec1_pem(&pair)?.as_bytes(), 0o600)?;
            write(&crt, params.self_signed(&pair).map_err(text)?.pem().as_bytes(), 0o644)?;
        }
        let service = self.file("service.key");
        if !service.exists() {
            write(&service, sec1_pem(&KeyPair::generate().map_err(text)?)?.as_bytes(), 0o600)?;
        }
        Ok(())
    }

    /// Signs what this server shows and uses, anew at every start, for `names`.
    pub fn sign_own(&self, names: &[String]) -> Result<(), Fatal> {
        let leaf = |name: &str, group: Option<&str>, names: &[String], purpose| Leaf {
            name: name.into(),
            group: group.map(str::to_owned),
            names: names.to_vec(),
            purpose,
        };
        let masters = Some("system:masters");
        for (ca, file, leaf) in [
            ("server-ca", "serving-kube-apiserver", leaf("k3s", None, names, Purpose::Server)),
            ("client-ca", "client-admin", leaf("system:admin", masters, &[], Purpose::Client)),
            (
                "etcd/server-ca",
                "etcd/server-client",
                leaf("etcd-server", None, names, Purpose::Both),
            ),
            (
                "etcd/peer-ca",
                "etcd/peer-server-client",
                leaf("etcd-peer", None, names, Purpose::Both),
            ),
            ("etcd/server-ca", "etcd/client", leaf("etcd-client", None, &[], Purpose::Client)),
        ] {
            let (crt, key) = self.sign(leaf, ca)?;
            write(&self.file(&format!("{file}.key")), key.as_bytes(), 0o600)?;
            write(&self.file(&format!("{file}.crt")), crt.as_bytes(), 0o644)?;
        }
        Ok(())
    }

    /// Signs a certificate; it begins when its authority does, as K3s's do. Returns the chain and
    /// the key, PEM.
    pub fn sign(&self, leaf: Leaf, ca: &str) -> Result<(String, String), Fatal> {
        let ca_pem = self.read(&format!("{ca}.crt"))?;
        let ca_key = key_pair(&self.read(&format!("{ca}.key"))?)?;
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key).map_err(text)?;
        let mut params = CertificateParams::new(leaf.names).map_err(text)?;
        if let Some(group) = leaf.group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.distinguished_name.push(DnType::CommonName, leaf.name);
        params.not_before =
            OffsetDateTime::from_unix_timestamp(not_before(&ca_pem)?).map_err(|e| e.to_string())?;
        params.not_after = OffsetDateTime::now_utc().max(params.not_before) + Duration::days(365);
        params.extended_key_usages = match leaf.purpose {
            Purpose::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Purpose::Both => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
        };
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.use_authority_key_identifier_extension = true;
        let pair = KeyPair::generate().map_err(text)?;
        let mut chain = params.signed_by(&pair, &issuer).map_err(text)?.pem();
        chain.push_str(&ca_pem);
        Ok((chain, sec1_pem(&pair)?))
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

/// Writes a file whole, by rename.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fatal> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
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
