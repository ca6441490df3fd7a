//! Connections, each bounded in time, size and number.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nodeconf::NodeConfig;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::gate::{Gate, Known};
use super::roll::Roll;
use super::routes::{Asker, Witness, answer};
use super::voter::Voter;
use crate::sys::{Priority, Sys};

/// For showing a certificate.
const HANDSHAKE: Duration = Duration::from_secs(8);
/// For a request's head.
const HEAD: Duration = Duration::from_secs(5);
/// For everything, from the connection to the last byte of the answer.
const WHOLE: Duration = Duration::from_secs(20);
/// A request's head, and how much is read ahead.
const BUFFER: usize = 16 * 1024;
const HEADERS: usize = 32;

/// Serves; returns only if it cannot.
pub(super) fn run(
    sys: Rc<dyn Sys>,
    config: NodeConfig,
    tls: ServerConfig,
    listen: SocketAddr,
) -> io::Result<Infallible> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind(listen))?;
    let voter = Voter::of(&config);
    let at = listener.local_addr().unwrap_or(listen);
    let what = if voter.is_some() { "votes and state" } else { "state" };
    sys.say(Priority::Info, &format!("witness of {}: {what} on {at}", config.node.name));
    let witness = Witness {
        sys,
        config,
        voter,
        roll: Roll::default(),
        probed: RefCell::default(),
        complaint: RefCell::default(),
    };
    // A new card's nonce is durable before anybody asks; trouble is told at once.
    witness.look();
    let serving = accept(listener, TlsAcceptor::from(Arc::new(tls)), Rc::new(witness));
    LocalSet::new().block_on(&runtime, serving)
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    witness: Rc<Witness>,
) -> io::Result<Infallible> {
    let mut gate = Gate::default();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            // The client is gone again, or the machine has no room for it now (accept(2)).
            Err(_) => {
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let known = Known::new(Cell::new(false));
        let connection = connection(stream, peer.ip(), tls.clone(), witness.clone(), known.clone());
        let task = spawn_local(timeout(WHOLE, connection));
        gate.enter(peer.ip(), known, task.abort_handle());
        yield_now().await;
    }
}

async fn connection(
    stream: TcpStream,
    from: IpAddr,
    tls: TlsAcceptor,
    witness: Rc<Witness>,
    known: Known,
) {
    // Answers are small; without this they are only slower.
    let _ = stream.set_nodelay(true);
    let handshake = async {
        // Nothing is set up for one who says nothing.
        stream.readable().await?;
        tls.accept(stream).await
    };
    let Ok(Ok(stream)) = timeout(HANDSHAKE, handshake).await else { return };
    let certificates = stream.get_ref().1.peer_certificates();
    let Some(certificate) = certificates.and_then(<[_]>::first).cloned() else { return };
    known.set(true);
    let service = service_fn(|request| {
        let (witness, asker) = (&witness, Asker { certificate: &certificate, from });
        async move { Ok::<_, Infallible>(answer(witness, asker, request).await) }
    });
    // Whoever breaks off has only himself to answer to.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .max_buf_size(BUFFER)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
