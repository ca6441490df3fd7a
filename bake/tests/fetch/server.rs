//! A tiny HTTP/1.1 server on the loopback interface that misbehaves as told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    /// How many requests came before.
    pub number: usize,
}

impl Request {
    /// First byte of `Range: bytes=N-`.
    pub fn from(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What the server does about it.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Says this length instead of the body's; `Some(None)` says none.
    pub says: Option<Option<usize>>,
    /// Drops the connection after so many bytes of the body.
    pub cut: Option<usize>,
    /// Says nothing more after the cut instead of dropping the connection.
    pub stall: bool,
}

impl Reply {
    pub fn new(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let (headers, body) = (Vec::new(), body.into());
        Self { status, headers, body, says: None, cut: None, stall: false }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }

    pub fn stall(mut self, after: usize) -> Self {
        (self.cut, self.stall) = (Some(after), true);
        self
    }
}

/// A well-behaved answer for `data`: ranges, entity tag, `If-Range`.
pub fn file(request: &Request, data: &[u8], tag: &str) -> Reply {
    let fresh = request.headers.get("if-range").is_none_or(|v| v == tag);
    match request.from() {
        Some(from) if fresh && from < data.len() => {
            let range = format!("bytes {from}-{}/{}", data.len() - 1, data.len());
            Reply::new("206 Partial Content", &data[from..]).header("Content-Range", range)
        }
        Some(from) if fresh && from >= data.len() => Reply::new("416 Range Not Satisfiable", "")
            .header("Content-Range", format!("bytes */{}", data.len())),
        _ => Reply::new("200 OK", data).header("Accept-Ranges", "bytes"),
    }
    .header("ETag", tag)
}

/// The server; it lives as long as the test process.
#[derive(Debug, Clone)]
pub struct Server {
    port: u16,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// How long it says nothing where it stalls.
    pub const SILENCE: Duration = Duration::from_secs(60);

    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let server = Self { port, log: log.clone() };
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                // A client that goes away early is part of the play.
                thread::spawn(move || serve(stream, &log, &*answer).is_ok());
            }
        });
        server
    }

    /// The same over TLS, as `localhost`, with a certificate of `tls/ca.pem`.
    pub fn start_tls(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let plain = Self::start(answer);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, behind) = (Arc::new(tls_config()), plain.port);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = config.clone();
                thread::spawn(move || terminate(stream, config, behind).is_ok());
            }
        });
        Self { port, log: plain.log }
    }

    pub fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
}

fn tls_config() -> rustls::ServerConfig {
    let cert = CertificateDer::from_pem_slice(include_bytes!("tls/localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/localhost.key")).unwrap();
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap()
}

/// Passes one request and its answer through to the plain server.
fn terminate(
    stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
    behind: u16,
) -> std::io::Result<()> {
    let session = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = rustls::StreamOwned::new(session, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut plain = TcpStream::connect(("127.0.0.1", behind))?;
    plain.write_all(&head)?;
    std::io::copy(&mut plain, &mut tls)?;
    tls.conn.send_close_notify();
    tls.flush()
}

fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Reply,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let request = {
        let mut log = log.lock().unwrap();
        let request = Request { path, headers, number: log.len() };
        log.push(request.clone());
        request
    };
    let reply = answer(&request);
    let mut stream = reader.into_inner();
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", reply.status);
    if let Some(len) = reply.says.unwrap_or(Some(reply.body.len())) {
        head.push_str(&format!("Content-Length: {len}\r\n"));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    let end = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
    stream.write_all(&reply.body[..end])?;
    stream.flush()?;
    if reply.stall {
        thread::sleep(Server::SILENCE);
    } else {
        // Closed in order, so that what was sent arrives before the end.
        stream.shutdown(std::net::Shutdown::Write)?;
        let _ = stream.read(&mut [0; 64]);
    }
    Ok(())
}
