//! The client side, with errors worded as Go words them: tests read them in K3s's log.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use ureq::http::{Request, header};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::Fatal;

/// Whose certificate the server must show.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Anybody's.
    Any,
    /// One issued below this PEM bundle.
    Bundle(String),
}

/// Status and body.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// Body.
    pub text: String,
}

impl Reply {
    /// The body, where the status is 2xx; K3s names others by URL and status line.
    pub fn body(self, url: &str) -> Result<String, Fatal> {
        match self.status {
            200..=299 => Ok(self.text),
            code => Err(format!("{url}: {code} {}", reason(code))),
        }
    }
}

/// A client with one identity.
#[derive(Debug, Clone)]
pub struct Client(ureq::Agent);

impl Client {
    /// `identity`: certificate chain and key, PEM.
    pub fn new(
        trust: &Trust,
        identity: Option<(&str, &str)>,
        patience: Duration,
    ) -> Result<Self, Fatal> {
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let tls = match trust {
            Trust::Any => tls.disable_verification(true),
            Trust::Bundle(pem) => tls.root_certs(RootCerts::new_with_certs(&certificates(pem)?)),
        };
        let identity = match identity {
            Some((crt, key)) => Some(ClientCert::new_with_certs(
                &certificates(crt)?,
                PrivateKey::from_pem(key.as_bytes()).map_err(|e| e.to_string())?,
            )),
            None => None,
        };
        let agent = ureq::Agent::config_builder()
            .tls_config(tls.client_cert(identity).build())
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(patience))
            .timeout_connect(Some(patience.min(Duration::from_secs(2))))
            .build()
            .new_agent();
        Ok(Self(agent))
    }

    /// A request, with basic authorization (user, password) and a JSON body.
    pub fn send(
        &self,
        method: &str,
        url: &str,
        user: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> Result<Reply, Fatal> {
        self.send_with(method, url, user, &[], body)
    }

    /// The same with headers.
    pub fn send_with(
        &self,
        method: &str,
        url: &str,
        user: Option<(&str, &str)>,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Reply, Fatal> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some((name, password)) = user {
            let pair = format!("{name}:{password}");
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
        }
        let sent = match body {
            Some(json) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                self.0.run(request.body(json.to_string()).map_err(|e| e.to_string())?)
            }
            None => self.0.run(request.body(()).map_err(|e| e.to_string())?),
        };
        let mut reply = sent.map_err(|e| format!("{} \"{url}\": {}", capital(method), go(&e)))?;
        let text = reply.body_mut().read_to_string();
        let text = text.map_err(|e| format!("{} \"{url}\": {}", capital(method), go(&e)))?;
        Ok(Reply { status: reply.status().as_u16(), text })
    }

    /// A GET.
    pub fn get(&self, url: &str, user: Option<(&str, &str)>) -> Result<Reply, Fatal> {
        self.send("GET", url, user, None)
    }
}

fn certificates(pem: &str) -> Result<Vec<Certificate<'static>>, Fatal> {
    parse_pem(pem.as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(e) => Some(Err(e.to_string())),
        })
        .collect()
}

fn capital(method: &str) -> String {
    let (first, rest) = method.split_at(1);
    format!("{first}{}", rest.to_lowercase())
}

fn go(error: &ureq::Error) -> String {
    let text = error.to_string();
    let says = |part: &str| text.contains(part);
    match error {
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            "dial tcp: connect: connection refused".into()
        }
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => "EOF".into(),
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::ConnectionReset => {
            "read: connection reset by peer".into()
        }
        _ if says("not valid yet") || says("NotValidYet") || says("xpired") => {
            format!(
                "tls: failed to verify certificate: x509: certificate has expired or is not yet valid ({text})"
            )
        }
        _ if says("UnknownIssuer") || says("BadSignature") => {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
                .into()
        }
        _ if says("Peer disconnected") || says("peer closed") => "EOF".into(),
        _ => text,
    }
}

/// The words of an HTTP status code.
pub fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}
