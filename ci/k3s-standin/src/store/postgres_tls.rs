//! TLS towards PostgreSQL.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::Fatal;

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
        (false, _) => {
            config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        }
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

/// Encrypts without asking for whom.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
