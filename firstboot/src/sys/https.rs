//! HTTPS to a server whose certificate authority we have on disk, and to no other.

use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Longest answer we read; a Node object with its list of images is some 50 KiB.
const BODY_LIMIT: u64 = 4 * 1024 * 1024;

/// A GET request.
#[derive(Clone)]
pub struct HttpsGet {
    /// `https://host:port/path`.
    pub url: String,
    /// Certificates that may have signed the server's, PEM.
    pub ca: Vec<u8>,
    /// Our own certificate chain and key, PEM.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
    /// For the whole exchange.
    pub timeout: Duration,
}

impl std::fmt::Debug for HttpsGet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpsGet").field("url", &self.url).finish_non_exhaustive()
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsReply {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpsError {
    /// Nobody listens, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// The server is not the one its CA stands for, or the clock says so.
    #[error("{0}")]
    Untrusted(String),
    /// The certificates we hold cannot be used.
    #[error("{0}")]
    Credentials(String),
}

pub(super) fn get(request: &HttpsGet) -> Result<HttpsReply, HttpsError> {
    let agent = ureq::Agent::config_builder()
        .tls_config(tls(request)?)
        .https_only(true)
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(request.timeout))
        .build()
        .new_agent();
    let mut response = agent.get(&request.url).call().map_err(classify)?;
    let status = response.status().as_u16();
    let body =
        response.body_mut().with_config().limit(BODY_LIMIT).read_to_vec().map_err(classify)?;
    Ok(HttpsReply { status, body })
}

fn tls(request: &HttpsGet) -> Result<TlsConfig, HttpsError> {
    let roots = certificates(&request.ca, "the server's CA")?;
    let client = match &request.client {
        Some((chain, key)) => {
            let chain = certificates(chain, "our certificate")?;
            let key = PrivateKey::from_pem(key)
                .map_err(|e| HttpsError::Credentials(format!("our key: {e}")))?;
            Some(ClientCert::new_with_certs(&chain, key))
        }
        None => None,
    };
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(client)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

fn certificates(pem: &[u8], whose: &str) -> Result<Vec<Certificate<'static>>, HttpsError> {
    let bad = |why: String| HttpsError::Credentials(format!("{whose}: {why}"));
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| bad(e.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(bad("no certificate in the file".into())) } else { Ok(found) }
}

/// rustls's errors travel inside an I/O error through ureq.
fn classify(error: ureq::Error) -> HttpsError {
    if let ureq::Error::Io(io) = &error
        && let Some(tls) = io.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>())
    {
        return match tls {
            rustls::Error::InvalidCertificate(_) => HttpsError::Untrusted(tls.to_string()),
            _ => HttpsError::Unreachable(tls.to_string()),
        };
    }
    match &error {
        ureq::Error::Rustls(tls @ rustls::Error::InvalidCertificate(_)) => {
            HttpsError::Untrusted(tls.to_string())
        }
        _ => HttpsError::Unreachable(error.to_string()),
    }
}
