//! One HTTP request: what is allowed, what an answer means, what is worth another try.

use std::error::Error as _;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use url::{Host, Url};

use super::fetcher::Options;
use crate::error::{Error, Result};

/// Redirects to follow: downloads of releases take two or three.
const MAX_REDIRECTS: usize = 10;
/// Longest pause a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

const REFUSED: &str = "a proxy or the server refuses access: check HTTPS_PROXY, or try --mirror";

/// Why a request did not give what was asked for.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another try may help, not before the pause the server asked for.
    Again { reason: String, pause: Option<Duration> },
    /// No other try will.
    Final(Error),
    /// The server has no such file.
    Absent(Error),
    /// The server wants to know who asks: what it says of how (`WWW-Authenticate`).
    Denied { challenges: Vec<String>, error: Error },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl Failure {
    pub(super) fn again(reason: impl Into<String>) -> Self {
        Self::Again { reason: reason.into(), pause: None }
    }
}

/// Asks servers. Clones share connections.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::blocking::Client,
    mirror: Option<Url>,
}

impl Client {
    pub(super) fn new(options: &Options) -> Result<Self> {
        // An earlier caller may have installed one; any provider will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::blocking::Client::builder()
            .user_agent(concat!("bake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            // Of the blocking client: for the answer to begin, and for each read of its body.
            .timeout(options.stall_timeout)
            .redirect(redirects())
            .build()
            .map_err(|e| Error::Network { url: "any server".into(), reason: describe(&e) })?;
        Ok(Self { http, mirror: options.mirror.clone() })
    }

    /// Where `url` is really asked for: at the mirror, if there is one.
    pub(super) fn actual(&self, url: &Url) -> Url {
        let Some(mirror) = &self.mirror else { return url.clone() };
        let mut actual = mirror.clone();
        actual.set_path(&format!("{}{}", mirror.path().trim_end_matches('/'), url.path()));
        actual.set_query(url.query());
        actual
    }

    /// GETs `url`, with `headers` besides the usual ones.
    pub(super) fn get(&self, url: &Url, way: Way, headers: HeaderMap) -> Result<Response, Failure> {
        let actual = self.actual(url);
        if self.mirror.is_none() {
            require_safe(&actual, way)?;
        }
        let request = self.http.get(actual).header(header::ACCEPT_ENCODING, "identity");
        let response = request.headers(headers).send().map_err(|e| failure(&e, url))?;
        judge(response, url)
    }
}

/// Asks for the bytes from `from` on, of the file that has the validator (RFC 9110, 13.1.5).
pub(super) fn range(from: u64, validator: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if from > 0 {
        headers.extend(value(format!("bytes={from}-")).map(|value| (header::RANGE, value)));
        let validator = validator.and_then(value);
        headers.extend(validator.map(|value| (header::IF_RANGE, value)));
    }
    headers
}

fn value(text: impl AsRef<str>) -> Option<HeaderValue> {
    HeaderValue::from_str(text.as_ref()).ok()
}

/// What may be asked for over plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Only what is on the loopback interface.
    Private,
    /// Anything: its digest or its signature will tell whether it was changed on the way.
    Plain,
}

/// HTTPS, or HTTP on the loopback interface or where `way` allows it.
fn require_safe(url: &Url, way: Way) -> Result<()> {
    let reason = match url.scheme() {
        "https" => return Ok(()),
        "http" if is_loopback(url) || way == Way::Plain => return Ok(()),
        "http" => "it is plain HTTP, which anyone on the way can change",
        _ => "it is neither HTTPS nor HTTP",
    };
    Err(Error::Refused { action: format!("download {}", shown(url)), reason: reason.into() }
        .hint("use an https:// URL, or name a server you trust with --mirror"))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Follows redirects, but never from HTTPS to HTTP.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let secure = attempt.previous().iter().any(|u| u.scheme() == "https");
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else if secure && attempt.url().scheme() != "https" {
            attempt.error("redirected from HTTPS to HTTP")
        } else {
            attempt.follow()
        }
    })
}

fn judge(response: Response, url: &Url) -> Result<Response, Failure> {
    let status = response.status();
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            Ok(response)
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(Failure::Again { reason: said(status), pause: retry_after(response.headers()) })
        }
        _ if status.is_server_error() => {
            Err(Failure::Again { reason: said(status), pause: retry_after(response.headers()) })
        }
        _ => {
            let error = Error::Network { url: shown(url), reason: said(status) };
            Err(match status {
                StatusCode::NOT_FOUND | StatusCode::GONE => Failure::Absent(error.hint(
                    "the file may have moved: see `bake images list` for newer ones, or try --mirror",
                )),
                StatusCode::UNAUTHORIZED => Failure::Denied {
                    challenges: challenges(response.headers()),
                    error: error.hint(REFUSED),
                },
                StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                    Failure::Final(error.hint(REFUSED))
                }
                _ => Failure::Final(error),
            })
        }
    }
}

fn challenges(headers: &HeaderMap) -> Vec<String> {
    let all = headers.get_all(header::WWW_AUTHENTICATE).iter();
    all.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
}

fn said(status: StatusCode) -> String {
    format!("the server answered {status}")
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3); its date form is not worth a clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// What a failed request means.
fn failure(error: &reqwest::Error, url: &Url) -> Failure {
    let reason = describe(error);
    let fatal = |hint: &str| {
        let error = Error::Network { url: shown(url), reason: reason.clone() };
        Failure::Final(if hint.is_empty() { error } else { error.hint(hint) })
    };
    if certificate_fault(error) {
        fatal(
            "check the host's clock; where a proxy inspects TLS, add its CA to the system's \
             trust store or name it in SSL_CERT_FILE",
        )
    } else if error.is_redirect() || error.is_builder() {
        fatal("")
    } else if error.is_timeout() {
        Failure::again("the server does not answer")
    } else {
        Failure::again(reason)
    }
}

/// Whether the server's certificate was refused. An [`std::io::Error`] hides what it wraps from
/// `source`, so it is opened.
fn certificate_fault(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|inner| certificate_fault(inner))
        || error.source().is_some_and(certificate_fault)
}

/// An error with its causes, without the URL (it may hold credentials) and without repeats.
fn describe(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !parts.iter().any(|p| p.contains(&text)) {
            parts.push(text);
        }
        cause = inner.source();
    }
    if parts.is_empty() { "the request failed".into() } else { parts.join(": ") }
}

/// A URL as people may see it: without credentials, query and fragment.
#[must_use]
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// The same of a text; nothing of what is no URL.
#[must_use]
pub fn shown_text(url: &str) -> String {
    Url::parse(url).map(|url| shown(&url)).unwrap_or_default()
}
