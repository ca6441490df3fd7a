//! The HTTPS port: supervisor and API server as a client without and with a certificate sees them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::data::{Data, Node};
use crate::server::Server;
use crate::{Fatal, version};

const HEAD_LIMIT: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// The bound port.
pub struct Listener {
    socket: TcpListener,
    tls: Arc<ServerConfig>,
    server: Arc<Server>,
}

impl Listener {
    /// Binds, with the certificates that are there now.
    pub fn bind(address: SocketAddr, server: Arc<Server>) -> Result<Self, Fatal> {
        let socket = TcpListener::bind(address).map_err(|e| format!("listen {address}: {e}"))?;
        let tls = Arc::new(tls(&server)?);
        Ok(Self { socket, tls, server })
    }

    /// Serves, one thread a connection.
    pub fn serve(self) -> Result<(), Fatal> {
        for stream in self.socket.incoming() {
            let Ok(stream) = stream else { continue };
            let (tls, server) = (Arc::clone(&self.tls), Arc::clone(&self.server));
            // A client that goes away in the middle is its own affair.
            std::thread::spawn(move || {
                let _ = answer(stream, tls, &server);
            });
        }
        Ok(())
    }
}

fn tls(server: &Server) -> Result<ServerConfig, Fatal> {
    let certificates = |name: &str| {
        CertificateDer::pem_file_iter(server.tls.file(name))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| format!("{name}: {e}"))
    };
    let mut clients = RootCertStore::empty();
    for ca in certificates("client-ca.crt")? {
        clients.add(ca).map_err(|e| e.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(clients), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|e| e.to_string())?;
    let key = PrivateKeyDer::from_pem_file(server.tls.file("serving-kube-apiserver.key"))
        .map_err(|e| e.to_string())?;
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates("serving-kube-apiserver.crt")?, key)
        .map_err(|e| e.to_string())
}

fn answer(stream: TcpStream, tls: Arc<ServerConfig>, server: &Server) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let path = request(&mut stream)?;
    // Whoever has a certificate of the client CA is the administrator here.
    let known = stream.conn.peer_certificates().is_some();
    let (status, kind, body) = respond(server, &path, known);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Reads a request's head and returns its path.
fn request(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 || head.len() > HEAD_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&buffer[..read]);
    }
    let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    let mut words = line.split(' ');
    match (words.next(), words.next()) {
        (Some("GET"), Some(path)) => Ok(path.split('?').next().unwrap_or_default().to_owned()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

type Response = (&'static str, &'static str, String);

fn respond(server: &Server, path: &str, known: bool) -> Response {
    let text = |status, body: &str| (status, "text/plain", body.to_owned());
    if !server.answers() {
        return text("503 Service Unavailable", "starting");
    }
    match path {
        "/ping" => return text("200 OK", "pong"),
        "/cacerts" => {
            return match server.tls.read("server-ca.crt") {
                Ok(pem) => text("200 OK", &pem),
                Err(e) => text("500 Internal Server Error", &e),
            };
        }
        _ if path.starts_with("/v1-k3s/") => return text("403 Forbidden", ""),
        _ if !known => return text("401 Unauthorized", "Unauthorized"),
        _ => {}
    }
    match path {
        "/version" => ok(&json!({"gitVersion": version()})),
        "/readyz" | "/livez" if server.is_ready() => text("200 OK", "ok"),
        _ if !server.is_ready() => text("500 Internal Server Error", "[-]poststarthook failed"),
        _ => match server.data.lock() {
            Ok(data) => object(&data, path, server.nodes_are_ready()),
            Err(e) => text("500 Internal Server Error", &e.to_string()),
        },
    }
}

fn object(data: &Data, path: &str, ready: bool) -> Response {
    if path == "/api/v1/nodes" {
        let items: Vec<Value> = data.nodes.iter().map(|(name, n)| node(name, n, ready)).collect();
        return ok(&json!({"kind": "NodeList", "apiVersion": "v1", "items": items}));
    }
    if path == "/api/v1/namespaces/kube-system" {
        let metadata = json!({"name": "kube-system", "uid": data.uid});
        return ok(&json!({"kind": "Namespace", "apiVersion": "v1", "metadata": metadata}));
    }
    if let Some(name) = path.strip_prefix("/api/v1/nodes/")
        && let Some(found) = data.nodes.get(name)
    {
        return ok(&node(name, found, ready));
    }
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
        "reason": "NotFound"});
    ("404 Not Found", "application/json", status.to_string())
}

fn ok(value: &Value) -> Response {
    ("200 OK", "application/json", value.to_string())
}

fn node(name: &str, node: &Node, ready: bool) -> Value {
    let created = i64::try_from(node.created).unwrap_or_default();
    let created = jiff::Timestamp::from_second(created).unwrap_or_default().to_string();
    let (status, reason, message) = match ready {
        true => ("True", "KubeletReady", "kubelet is posting ready status"),
        false => (
            "False",
            "KubeletNotReady",
            "container runtime network not ready: cni plugin not initialized",
        ),
    };
    let mut labels = json!({
        "kubernetes.io/hostname": name,
        "node-role.kubernetes.io/control-plane": "true",
    });
    for (key, value) in &node.labels {
        labels[key] = json!(value);
    }
    json!({
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "creationTimestamp": created, "labels": labels},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": node.address},
                {"type": "Hostname", "address": name},
            ],
            "conditions": [
                {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
                {"type": "Ready", "status": status, "reason": reason, "message": message},
            ],
            "nodeInfo": {"kubeletVersion": version()},
        },
    })
}
