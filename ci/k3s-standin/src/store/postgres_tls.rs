//! TLS towards PostgreSQL.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::Fatal;
use crate::pki::Anybody;

/// `files`: authority, certificate, key. Unless it `verifies`, any server will do, as with
/// libpq's `require`.
pub fn tls(verifies: bool, files: [Option<&str>; 3]) -> Result<ClientConfig, Fatal> {
    let [ca, crt, key] = files;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let config = match (verifies, ca) {
        (true, Some(ca)) => {
            let mut roots = RootCertStore::empty();
            for der in certificates(ca)? {
                roots.add(der).map_err(|e| format!("{ca}: {e}"))?;
            }
            config.with_root_certificates(roots)
        }
        (true, None) => return Err("the stand-in verifies only with datastore-cafile".into()),
        (false, _) => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody::new(provider, &[]))),
    };
    match (crt, key) {
        (Some(crt), Some(key)) => {
            let pair = PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{key}: {e}"))?;
            config.with_client_auth_cert(certificates(crt)?, pair).map_err(|e| e.to_string())
        }
        _ => Ok(config.with_no_client_auth()),
    }
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, Fatal> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|e| format!("{file}: {e}"))
}
