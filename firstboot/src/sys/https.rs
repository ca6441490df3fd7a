//! HTTPS to a server whose certificate authority we have on disk, and to no other.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest answer we read; a Node object with its list of images is some 50 KiB.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// What to do with what the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read it.
    Get,
    /// Send it a JSON text.
    Post,
    /// Change of it what the JSON text names (RFC 7396).
    Patch,
    /// Remove it.
    Delete,
}

/// A certificate chain and its key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and what stands between it and its CA.
    pub chain: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity([redacted])")
    }
}

/// A request to one server.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpsRequest {
    /// What to do.
    pub method: Method,
    /// Where the server is. No name is ever looked up.
    pub address: SocketAddr,
    /// DNS name or IP address that its certificate must be for.
    pub name: String,
    /// Path, with query (`/ping`).
    pub path: String,
    /// JSON to send; empty for none.
    pub body: Vec<u8>,
    /// Certificates that may have signed the server's, PEM.
    pub ca: Vec<u8>,
    /// Who we are, where the server asks.
    pub client: Option<Identity>,
    /// For the connection.
    pub connect: Duration,
    /// For the whole exchange, connection included.
    pub timeout: Duration,
}

impl HttpsRequest {
    /// A GET request to a server whose certificate is for its address.
    #[must_use]
    pub fn get(address: SocketAddr, path: impl Into<String>, ca: Vec<u8>) -> Self {
        Self {
            method: Method::Get,
            address,
            name: address.ip().to_string(),
            path: path.into(),
            body: Vec::new(),
            ca,
            client: None,
            connect: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
        }
    }
}

impl std::fmt::Debug for HttpsRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} https://{}{}", self.method, self.address, self.path)
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
    /// Nobody listens, or the connection broke, or it took too long.
    #[error("{0}")]
    Unreachable(String),
    /// The server is not the one its CA stands for.
    #[error("{0}")]
    Untrusted(String),
    /// A certificate is not valid yet, or no longer, by one of the two clocks.
    #[error("{0}")]
    Untimely(String),
    /// The server does not accept our certificate, or asks for one.
    #[error("{0}")]
    Rejected(String),
    /// The certificates we hold cannot be used.
    #[error("{0}")]
    Credentials(String),
}

/// Asks a server, from code that is not asynchronous.
pub(super) fn ask_all(requests: &[HttpsRequest]) -> Vec<Result<HttpsReply, HttpsError>> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            return requests.iter().map(|_| Err(HttpsError::Unreachable(e.to_string()))).collect();
        }
    };
    runtime.block_on(async {
        let asked: Vec<_> =
            requests.iter().map(|request| tokio::spawn(ask(request.clone()))).collect();
        let mut replies = Vec::with_capacity(asked.len());
        for task in asked {
            let reply = task.await.unwrap_or_else(|e| Err(HttpsError::Unreachable(e.to_string())));
            replies.push(reply);
        }
        replies
    })
}

/// Asks a server.
///
/// # Errors
/// Why there is no answer within the request's time.
pub async fn ask(request: HttpsRequest) -> Result<HttpsReply, HttpsError> {
    let limit = request.timeout;
    tokio::time::timeout(limit, exchange(request))
        .await
        .unwrap_or_else(|_| Err(late("no answer", limit)))
}

async fn exchange(request: HttpsRequest) -> Result<HttpsReply, HttpsError> {
    let config = tls(&request)?;
    let name = ServerName::try_from(request.name.clone())
        .map_err(|e| HttpsError::Credentials(format!("the name {:?}: {e}", request.name)))?;
    let connected = tokio::time::timeout(request.connect, TcpStream::connect(request.address));
    let stream = connected
        .await
        .map_err(|_| late("no connection", request.connect))?
        .map_err(|e| classify(&e))?;
    // Small requests must not wait for more (Nagle); without it they are only slower.
    let _ = stream.set_nodelay(true);
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|e| classify(&e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| classify(&e))?;
    let connection = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(message(&request)?).await.map_err(|e| classify(&e))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_LIMIT).collect().await;
        let body = body.map_err(|e| classify(e.as_ref()))?.to_bytes().to_vec();
        Ok(HttpsReply { status, body })
    };
    let answer = answer.await;
    connection.abort();
    answer
}

fn message(request: &HttpsRequest) -> Result<hyper::Request<Full<Bytes>>, HttpsError> {
    let method = match request.method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
        Method::Patch => hyper::Method::PATCH,
        Method::Delete => hyper::Method::DELETE,
    };
    let kind = match request.method {
        Method::Patch => "application/merge-patch+json",
        _ => "application/json",
    };
    let mut builder = hyper::Request::builder()
        .method(method)
        .uri(&request.path)
        .header(hyper::header::HOST, request.address.to_string())
        .header(hyper::header::USER_AGENT, concat!("firstboot/", env!("CARGO_PKG_VERSION")))
        .header(hyper::header::CONNECTION, "close");
    if !request.body.is_empty() {
        builder = builder.header(hyper::header::CONTENT_TYPE, kind);
    }
    builder
        .body(Full::new(Bytes::from(request.body.clone())))
        .map_err(|e| HttpsError::Credentials(format!("the path {:?}: {e}", request.path)))
}

fn tls(request: &HttpsRequest) -> Result<ClientConfig, HttpsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&request.ca, "the server's CA")? {
        roots
            .add(certificate)
            .map_err(|e| HttpsError::Credentials(format!("the server's CA: {e}")))?;
    }
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| HttpsError::Credentials(e.to_string()))?
            .with_root_certificates(roots);
    let mut config = match &request.client {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates(&identity.chain, "our certificate")?;
            let key = private_key(&identity.key)?;
            config
                .with_client_auth_cert(chain, key)
                .map_err(|e| HttpsError::Credentials(format!("our certificate and key: {e}")))?
        }
    };
    // Every exchange is a connection of its own.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The certificates of a PEM file; `whose` names it in the error.
pub(crate) fn certificates(
    pem: &[u8],
    whose: &str,
) -> Result<Vec<CertificateDer<'static>>, HttpsError> {
    let bad = |why: String| HttpsError::Credentials(format!("{whose}: {why}"));
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|e| bad(e.to_string()))?;
    if found.is_empty() { Err(bad("no certificate in the file".into())) } else { Ok(found) }
}

/// The key of a PEM file.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, HttpsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|e| HttpsError::Credentials(format!("our key: {e}")))
}

fn late(what: &str, limit: Duration) -> HttpsError {
    HttpsError::Unreachable(format!("{what} within {} s", limit.as_secs_f32()))
}

/// What is behind an error, from the innermost that says it best: rustls's errors travel inside
/// I/O errors inside hyper's.
fn classify(error: &(dyn Error + 'static)) -> HttpsError {
    let mut next = Some(error);
    let mut text = error.to_string();
    while let Some(current) = next {
        text = current.to_string();
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return classify_tls(tls);
        }
        // io::Error shows its inner error's source as its own, so look at the inner one too.
        next = match current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    HttpsError::Unreachable(text)
}

fn classify_tls(error: &rustls::Error) -> HttpsError {
    use AlertDescription as Alert;
    let text = error.to_string();
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )
        | rustls::Error::AlertReceived(Alert::CertificateExpired) => HttpsError::Untimely(text),
        rustls::Error::InvalidCertificate(_) => HttpsError::Untrusted(text),
        rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired,
        ) => HttpsError::Rejected(text),
        _ => HttpsError::Unreachable(text),
    }
}
