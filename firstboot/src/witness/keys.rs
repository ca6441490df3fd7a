//! Who we are to others, and who others are to us.

use std::io;
use std::path::Path;
use std::sync::Arc;

use nodeconf::paths;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::exit::Exit;
use crate::finding::Condition;
use crate::sys::Sys;
use crate::sys::https::{certificates, private_key};

/// TLS for serving, with the certificates on this card. A client must show a certificate of the
/// witnesses' CA that is good for clients (extended key usage clientAuth).
pub(super) fn tls(sys: &dyn Sys) -> Result<ServerConfig, (Exit, Condition)> {
    let (ca, chain, key) = (
        read(sys, paths::WITNESS_CA)?,
        read(sys, paths::WITNESS_CERT)?,
        read(sys, paths::WITNESS_KEY)?,
    );
    build(&ca, &chain, &key).map_err(|why| {
        let what = format!("the witness's certificates cannot be used: {why}");
        (Exit::ConfigWrong, Condition::new(what, "bake and flash the card again"))
    })
}

fn read(sys: &dyn Sys, path: &str) -> Result<Vec<u8>, (Exit, Condition)> {
    sys.read(Path::new(path)).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => (
            Exit::ConfigWrong,
            Condition::new(
                format!("{path} is missing"),
                "this card was not baked completely: bake and flash it again",
            ),
        ),
        _ => (Exit::TryAgain, Condition::io(format!("reading {path}"), &e)),
    })
}

fn build(ca: &[u8], chain: &[u8], key: &[u8]) -> Result<ServerConfig, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca, "their CA").map_err(|e| text(&e))? {
        roots.add(certificate).map_err(|e| format!("their CA: {e}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .map_err(|e| text(&e))?;
    let chain = certificates(chain, "our certificate").map_err(|e| text(&e))?;
    let key = private_key(key).map_err(|e| text(&e))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| text(&e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|e| text(&e))?;
    // Every exchange is a connection of its own; nothing is kept for a client that may not return.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Whether the owner of `certificate`, which the handshake has verified, goes by `name`.
pub(super) fn is_named(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let (Ok(parsed), Ok(name)) =
        (ParsedCertificate::try_from(certificate), ServerName::try_from(name))
    else {
        return false;
    };
    verify_server_name(&parsed, &name).is_ok()
}
