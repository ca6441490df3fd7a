//! Clients that are broken, slow, many or malicious.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use firstboot::sys::{HttpsRequest, Identity, Method, Real, Sys};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::node::{Node, config, other, prepare};

/// A TLS connection of our own, to send what no HTTP client sends.
fn connect(node: &Node, client: &Identity) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&node.authority.pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(&client.chain).unwrap()],
            PrivateKeyDer::from_pem_slice(&client.key).unwrap(),
        )
        .unwrap();
    let name = ServerName::try_from(config().witness_name("node1")).unwrap();
    let stream = TcpStream::connect(node.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(tls), name).unwrap(), stream)
}

/// What comes back for these bytes until the witness ends the connection.
fn exchange(node: &Node, bytes: &[u8]) -> String {
    let mut stream = connect(node, &node.authority.server("node2"));
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn garbage_is_answered_or_dropped_and_changes_nothing() {
    let node = Node::running();
    let before = node.served().card;
    for garbage in [&b"GET /v1/status HTTP/1.1\r\n\r\n"[..], &[0xff; 70_000], b"\x16\x03\x01", b""]
    {
        let mut stream = TcpStream::connect(node.address).unwrap();
        let _ = stream.write_all(garbage);
    }
    let long = "x".repeat(100_000);
    let many: String = (0..100).map(|n| format!("h{n}: v\r\n")).collect();
    let deep = "[".repeat(15_000);
    for (request, expected) in [
        ("\0\x01\x02 nonsense\r\n\r\n".into(), "HTTP/1.1 400"),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), "HTTP/1.1 431"),
        (format!("GET / HTTP/1.1\r\nh: {long}\r\n\r\n"), "HTTP/1.1 431"),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), "HTTP/1.1 431"),
        ("GET /v1/../../etc/passwd HTTP/1.1\r\n\r\n".into(), "HTTP/1.1 404"),
        ("DELETE /v1/status HTTP/1.1\r\n\r\n".into(), "HTTP/1.1 405"),
        (post("/v1/prepare", "{}"), "HTTP/1.1 400"),
        (post("/v1/prepare", ""), "HTTP/1.1 400"),
        (post("/v1/prepare", &deep), "HTTP/1.1 400"),
        (post("/v1/prepare", &long), "HTTP/1.1 413"),
        ("POST /v1/prepare HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n".into(), "HTTP/1.1 413"),
        (
            format!("POST /v1/slot HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n{long}"),
            "HTTP/1.1 413",
        ),
    ] {
        let answer = exchange(&node, request.as_bytes());
        let shown: String = request.chars().take(60).collect();
        // The answer may be lost where the witness ends the connection before all is sent (RFC 9112,
        // 9.6).
        let cut_off = request.len() > 16 * 1024 && answer.is_empty();
        assert!(answer.starts_with(expected) || cut_off, "{shown:?}: {answer:?}");
    }
    // The right request under the wrong path.
    let body = serde_json::to_string(&prepare(&node.card(), 1, other("node2"))).unwrap();
    assert!(exchange(&node, post("/v1/accept", &body).as_bytes()).starts_with("HTTP/1.1 400"));
    assert!(exchange(&node, post("/v1/prepare", &body).as_bytes()).starts_with("HTTP/1.1 200"));
    assert_eq!(node.served().card, before);
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn slow_clients_do_not_keep_others_waiting_and_are_cut_off() {
    let node = Node::running();
    // Some say nothing at all, some stop within a TLS record, some within a request.
    let mut silent: Vec<TcpStream> = (0..300)
        .map(|n| {
            let mut stream = TcpStream::connect(node.address).unwrap();
            if n % 2 == 0 {
                let _ = stream.write_all(b"\x16\x03\x01\x02\x00\x01");
            }
            stream
        })
        .collect();
    let mut slow: Vec<_> = (0..20)
        .map(|n| {
            let mut stream = connect(&node, &node.authority.server("node3"));
            let head = if n % 2 == 0 {
                "GET /v1/sta"
            } else {
                "POST /v1/slot HTTP/1.1\r\ncontent-length: 500\r\n\r\n{"
            };
            let _ = stream.write_all(head.as_bytes());
            stream
        })
        .collect();
    let begun = Instant::now();
    let reply = node.ask(&prepare(&node.card(), 1, other("node2"))).unwrap();
    assert_eq!(reply.status, 200);
    // Who had to wait for the slow ones to be cut off would wait at least this long.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let cut_off = |stream: &mut dyn Read| match stream.read_to_end(&mut Vec::new()) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("left open: {e}"),
        _ => {}
    };
    for stream in &mut slow {
        cut_off(stream);
    }
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        cut_off(stream);
    }
}

/// Who is pushed out by the others' arrival comes again, as `firstboot` does.
#[test]
fn two_hundred_at_a_time_are_all_answered() {
    let node = Node::running();
    let request = node.request(Method::Get, "/v1/status", Some(node.authority.operator()));
    let again = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                let sys = Real::below("/");
                let request = HttpsRequest { timeout: Duration::from_secs(20), ..request.clone() };
                for _ in 0..50 {
                    match sys.https(&request) {
                        Ok(reply) => return assert_eq!(reply.status, 200),
                        Err(_) => again.fetch_add(1, Ordering::Relaxed),
                    };
                    std::thread::sleep(Duration::from_millis(200));
                }
                panic!("never answered");
            });
        }
    });
    eprintln!("200 answered in {:?}, {} came again", begun.elapsed(), again.into_inner());
}

/// The limit of the project is 10 MB, for the binary that goes on boards; the one that tests build
/// brings more of itself into memory.
#[test]
fn memory_is_bounded() {
    let node = Node::running();
    let client = node.authority.server("node2");
    let card = node.card();
    let begun = Instant::now();
    for round in 1..=500 {
        assert_eq!(
            node.ask_as(&prepare(&card, round, other("node2")), client.clone()).unwrap().status,
            200
        );
        let status = node.request(Method::Get, "/v1/status", Some(client.clone()));
        assert_eq!(node.send(&status).unwrap().status, 200);
    }
    let served = begun.elapsed();
    let quiet = memory(&node);
    let mut crowd: Vec<_> = (0..90)
        .map(|_| {
            let mut stream = connect(&node, &client);
            let _ = stream.write_all(b"POST /v1/slot HTTP/1.1\r\ncontent-length: 16000\r\n\r\n");
            let _ = stream.write_all(&[b' '; 15_000]);
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let crowded = memory(&node);
    crowd.clear();
    eprintln!("1000 requests in {served:?}; then {quiet}; with 90 half-sent requests {crowded}");
    let limit =
        if std::env::var_os("BAKE_TEST_FIRSTBOOT").is_some() { 10_000_000 } else { 13_000_000 };
    let peak = crowded.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap();
    assert!(peak * 1024 <= limit, "{crowded}");
}

/// `VmHWM: … kB VmRSS: … kB` (proc_pid_status(5)).
fn memory(node: &Node) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let lines: Vec<_> =
        status.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS")).collect();
    lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}
