//! The server side: one thread a connection, one request each.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::client::reason;
use crate::Fatal;
use crate::pki::{Anybody, Subject, Tls, subject};

const HEAD_LIMIT: usize = 16 * 1024;
const BODY_LIMIT: usize = 1024 * 1024;
const STACK: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client asks.
#[derive(Debug)]
pub struct Request {
    /// GET, POST, …
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query, decoded no further.
    pub query: String,
    /// Headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
    /// Whom the client's certificate names, where our authority issued it.
    pub subject: Option<Subject>,
}

impl Request {
    /// User and password of basic authorization.
    pub fn basic(&self) -> Option<(String, String)> {
        let pair = self.headers.get("authorization")?.strip_prefix("Basic ")?;
        let pair = base64::engine::general_purpose::STANDARD.decode(pair.trim()).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        pair.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }
}

/// What the server says.
#[derive(Debug)]
pub struct Response {
    /// HTTP status code.
    pub status: u16,
    /// Content type.
    pub kind: &'static str,
    /// Body.
    pub body: String,
}

impl Response {
    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }

    /// JSON.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self { status, kind: "application/json", body: value.to_string() }
    }
}

/// The bound port.
pub struct Listener {
    socket: TcpListener,
    tls: Arc<ServerConfig>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl Listener {
    /// Binds, with the certificates that are there now.
    pub fn bind(address: SocketAddr, tls: &Tls) -> Result<Self, Fatal> {
        let socket = TcpListener::bind(address)
            .map_err(|e| format!("listen tcp {address}: bind: {}", plain(&e)))?;
        let certificates = |name: &str| {
            CertificateDer::pem_file_iter(tls.file(name))
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|e| format!("{name}: {e}"))
        };
        let mut roots = RootCertStore::empty();
        for ca in certificates("client-ca.crt")? {
            roots.add(ca).map_err(|e| e.to_string())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|e| e.to_string())?;
        let key = PrivateKeyDer::from_pem_file(tls.file("serving-kube-apiserver.key"))
            .map_err(|e| e.to_string())?;
        let anybody = Anybody::new(Arc::clone(&provider), clients.root_hint_subjects());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_client_cert_verifier(Arc::new(anybody))
            .with_single_cert(certificates("serving-kube-apiserver.crt")?, key)
            .map_err(|e| e.to_string())?;
        Ok(Self { socket, tls: Arc::new(config), clients })
    }

    /// Serves for ever.
    pub fn serve<F>(self, respond: F) -> Result<(), Fatal>
    where
        F: Fn(&Request) -> Response + Send + Sync + 'static,
    {
        let respond = Arc::new(respond);
        for stream in self.socket.incoming() {
            let Ok(stream) = stream else { continue };
            let (tls, clients) = (Arc::clone(&self.tls), Arc::clone(&self.clients));
            let respond = Arc::clone(&respond);
            // A client that goes away in the middle is its own affair.
            let _ = std::thread::Builder::new().stack_size(STACK).spawn(move || {
                let _ = answer(stream, tls, clients.as_ref(), respond.as_ref());
            });
        }
        Ok(())
    }
}

fn answer(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    clients: &dyn ClientCertVerifier,
    respond: &dyn Fn(&Request) -> Response,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut request = read(&mut stream)?;
    request.subject = stream.conn.peer_certificates().and_then(|chain| {
        let (own, above) = chain.split_first()?;
        clients.verify_client_cert(own, above, UnixTime::now()).ok()?;
        subject(own)
    });
    let response = respond(&request);
    write!(
        stream,
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        response.status,
        reason(response.status),
        response.kind,
        response.body.len()
    )?;
    stream.write_all(response.body.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn read(stream: &mut impl Read) -> io::Result<Request> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > HEAD_LIMIT {
            return Err(bad());
        }
        more(stream, &mut bytes)?;
    };
    let text = String::from_utf8(bytes[..head].to_vec()).map_err(|_| bad())?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = words.next().zip(words.next()).ok_or_else(bad)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = match headers.get("content-length") {
        Some(length) => length.parse().map_err(|_| bad())?,
        None => 0,
    };
    if length > BODY_LIMIT {
        return Err(bad());
    }
    while bytes.len() < head + 4 + length {
        more(stream, &mut bytes)?;
    }
    let body = String::from_utf8(bytes[head + 4..head + 4 + length].to_vec());
    Ok(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: body.map_err(|_| bad())?,
        subject: None,
    })
}

fn more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => {
            bytes.extend_from_slice(&buffer[..read]);
            Ok(())
        }
    }
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".into(),
        io::ErrorKind::AddrNotAvailable => "cannot assign requested address".into(),
        _ => error.to_string(),
    }
}
