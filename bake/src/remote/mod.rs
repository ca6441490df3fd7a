//! Questions to the nodes of a cluster: HTTPS with certificates on both sides, to an address.
//!
//! Who answers is known by a name in its certificate and the authority that issued it, never by
//! where it answers. Proxies of the environment are not asked: nodes are near.

use std::error::Error as _;
use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nodeconf::Secret;
use reqwest::blocking::Client;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, Result};

pub use reqwest::Method;

/// Longest answer that is read: a list of some hundred nodes.
const LIMIT: u64 = 16 << 20;

/// Whom to believe, and who asks.
#[derive(Debug, Clone)]
pub struct Access {
    tls: ClientConfig,
}

/// Where somebody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Address and TCP port.
    pub address: SocketAddr,
    /// DNS name its certificate must have; `None` for the address itself.
    pub name: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answered in time.
    Silent,
    /// The connection was refused, or there is no way there.
    Unreachable(String),
    /// Somebody answered who is not who was meant, or did not believe us.
    Distrust(String),
    /// The answer broke off or is no HTTP.
    Garbled(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("no answer in time"),
            Self::Unreachable(why) => write!(f, "not reachable: {why}"),
            Self::Distrust(why) => write!(f, "not trusted: {why}"),
            Self::Garbled(why) => write!(f, "no sense in the answer: {why}"),
        }
    }
}

impl Access {
    /// Believes who has a certificate of `ca` (PEM), and shows `certificate` with its `key` (PEM).
    ///
    /// # Errors
    /// [`Error::Corrupt`] where one of them cannot be read.
    pub fn new(ca: &str, certificate: &str, key: &Secret) -> Result<Self> {
        let damaged = |what: &str| Error::Corrupt {
            what: format!("a {what} of the secrets file"),
            reason: "unreadable".into(),
        };
        let certificates = |pem: &str| -> Result<Vec<CertificateDer<'static>>> {
            let all: std::result::Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
            all.ok().filter(|all| !all.is_empty()).ok_or_else(|| damaged("certificate"))
        };
        let mut roots = RootCertStore::empty();
        for ca in certificates(ca)? {
            roots.add(ca).map_err(|_| damaged("certificate"))?;
        }
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| damaged("key"))?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(certificate)?, key.map_err(|_| damaged("key"))?)
            .map_err(|_| damaged("key"))?;
        Ok(Self { tls })
    }

    /// Asks once. `timeout` bounds all of it.
    ///
    /// # Errors
    /// [`Failure`]; any HTTP status is an answer.
    pub fn ask(
        &self,
        place: &Place,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
        timeout: Duration,
    ) -> std::result::Result<Reply, Failure> {
        let mut client = Client::builder()
            .user_agent(concat!("bake/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(self.tls.clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout)
            .timeout(timeout);
        let mut host = place.address.to_string();
        if let Some(name) = &place.name {
            client = client.resolve(name, place.address);
            host = format!("{name}:{}", place.address.port());
        }
        let client = client.build().map_err(|e| Failure::Garbled(describe(&e)))?;
        let mut request = client.request(method, format!("https://{host}{path}"));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let reply = request.send().map_err(|e| classify(&e))?;
        let status = reply.status().as_u16();
        let mut body = Vec::new();
        match reply.take(LIMIT + 1).read_to_end(&mut body) {
            Ok(_) if body.len() as u64 <= LIMIT => Ok(Reply { status, body }),
            Ok(_) => Err(Failure::Garbled("it has no end".into())),
            Err(e) => Err(Failure::Garbled(e.to_string())),
        }
    }
}

fn classify(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Silent;
    }
    if let Some(tls) = error.source().and_then(tls_error) {
        return Failure::Distrust(distrust(tls));
    }
    let why = describe(error);
    if error.is_connect() { Failure::Unreachable(why) } else { Failure::Garbled(why) }
}

/// What TLS has to say, however deep it lies. An [`std::io::Error`] does not name what it wraps
/// as its source, but the source of that.
fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    let io = error.downcast_ref::<std::io::Error>();
    match io.and_then(std::io::Error::get_ref) {
        Some(wrapped) => tls_error(wrapped),
        None => error.source().and_then(tls_error),
    }
}

fn distrust(error: &rustls::Error) -> String {
    use rustls::{AlertDescription as Alert, CertificateError as Bad, Error as Tls};
    match error {
        Tls::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "its certificate is of another cluster".into()
        }
        Tls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "its certificate is another node's".into()
        }
        Tls::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::DecryptError,
        ) => "it does not know our certificate: these are the secrets of another cluster".into(),
        other => other.to_string(),
    }
}

/// The innermost cause: the ones around it say that something was being sent.
fn describe(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = String::from("the request failed");
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}
