//! A download from its first byte to its verdict, over as many requests as it takes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{self, HeaderMap};
use url::Url;

use super::client::{self, Client, Failure, Way, shown};
use super::fetcher::Options;
use super::part::{Origin, Part};
use super::stream::{self, Body};
use crate::error::{Error, Result};
use crate::event::{Event, Sink, Unit};
use crate::io::digest::Sha256;
use crate::sys::interrupt::Cancel;
use crate::units::human;

const STEP: &str = "download";
/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Tries in all, with progress or without: a server that drops every connection has an end too.
const MAX_TRIES: u32 = 200;
/// Largest file where no length is known: more than any image published for these boards.
const MAX_LEN: u64 = 64 << 30;

/// What to download.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) url: Url,
    /// What it must be; without it the caller verifies what it unpacks to.
    pub(super) sha256: Option<Sha256>,
    pub(super) size: Option<u64>,
    pub(super) way: Way,
}

/// A complete file in the folder of downloads.
#[derive(Debug)]
pub(super) struct Downloaded {
    pub(super) path: PathBuf,
    /// Where it came from, without credentials.
    pub(super) url: Url,
    pub(super) sha256: Sha256,
    pub(super) len: u64,
}

/// Downloads to `KEY.part` in `folder`, which the caller has locked, and compares the digest.
pub(super) fn run(
    client: &Client,
    options: &Options,
    sink: &dyn Sink,
    folder: &Path,
    key: &str,
    wanted: &Wanted,
) -> Result<Downloaded> {
    let url = shown(&wanted.url);
    let mut part = Part::open(folder, key, &url, wanted.sha256.is_some(), &options.cancel)?;
    sink.emit(Event::Started {
        step: STEP,
        title: format!("Downloading {}", wanted.name),
        total: wanted.size,
        unit: Unit::Bytes,
    });
    if part.len() > 0 {
        let message = format!("continuing after the {} already here", human(part.len()));
        sink.emit(Event::Note { message });
    }
    let mut session = Session { client, options, sink, wanted, shown: 0 };
    let mut second_chance = true;
    loop {
        session.complete(&mut part)?;
        let found = part.sha256();
        match wanted.sha256 {
            Some(expected) if expected != found && part.pieced && second_chance => {
                second_chance = false;
                let message = "the pieces do not fit together; downloading again from the start";
                sink.emit(Event::Warning { message: message.into() });
                part.restart()?;
            }
            Some(expected) if expected != found => {
                part.remove()?;
                return Err(wrong_digest(wanted, expected, found));
            }
            _ => {
                let len = part.len();
                let verdict = if wanted.sha256.is_some() { "verified" } else { "not verified yet" };
                let detail = format!("{}, {verdict}, sha256 {found}", human(len));
                let path = part.finish()?;
                sink.emit(Event::Finished { step: STEP, detail });
                let url = Url::parse(&url).unwrap_or_else(|_| wanted.url.clone());
                return Ok(Downloaded { path, url, sha256: found, len });
            }
        }
    }
}

/// What a server says when a small file is asked for.
#[derive(Debug)]
pub(super) enum Answer {
    /// The file.
    Found(Vec<u8>),
    /// It has none.
    Absent(Error),
    /// It wants to know who asks.
    Denied { challenges: Vec<String>, error: Error },
}

/// A small file, in memory, asked for with `headers`.
pub(super) fn small(
    client: &Client,
    options: &Options,
    sink: &dyn Sink,
    wanted: &Wanted,
    headers: &HeaderMap,
    limit: u64,
) -> Result<Answer> {
    let mut tries = Tries::default();
    loop {
        match small_once(client, &options.cancel, wanted, headers.clone(), limit) {
            Ok(body) => return Ok(Answer::Found(body)),
            Err(Failure::Absent(error)) => return Ok(Answer::Absent(error)),
            Err(Failure::Denied { challenges, error }) => {
                return Ok(Answer::Denied { challenges, error });
            }
            Err(failure) => tries.failed(failure, false, wanted, options, sink)?,
        }
    }
}

fn small_once(
    client: &Client,
    cancel: &Cancel,
    wanted: &Wanted,
    headers: HeaderMap,
    limit: u64,
) -> Result<Vec<u8>, Failure> {
    let Wanted { name, url, way, .. } = wanted;
    let body = Body::new(stream::get(client, url, *way, headers, cancel)?)?;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next(cancel)? {
        bytes.extend(piece.map_err(|e| broken(&e))?);
        if bytes.len() as u64 > limit {
            let reason = format!("{name} is larger than {}", human(limit));
            return Err(Failure::Final(Error::Network { url: shown(url), reason }));
        }
    }
    Ok(bytes)
}

struct Session<'a> {
    client: &'a Client,
    options: &'a Options,
    sink: &'a dyn Sink,
    wanted: &'a Wanted,
    /// Progress as last shown: it never goes back.
    shown: u64,
}

impl Session<'_> {
    /// Tries until the server has no more bytes.
    fn complete(&mut self, part: &mut Part) -> Result<()> {
        let mut tries = Tries::default();
        loop {
            let before = part.len();
            match self.once(part) {
                Ok(()) => return Ok(()),
                Err(failure) => {
                    let progress = part.len() > before;
                    part.pieced = part.len() > 0;
                    tries.failed(failure, progress, self.wanted, self.options, self.sink)?;
                }
            }
        }
    }

    /// One request and its body.
    fn once(&mut self, part: &mut Part) -> Result<(), Failure> {
        self.options.cancel.check()?;
        let validator = part.origin.validator.clone();
        let url = &self.wanted.url;
        let cancel = &self.options.cancel;
        let way = self.wanted.way;
        let headers = client::range(part.len(), validator.as_deref());
        let response = stream::get(self.client, url, way, headers, cancel)?;
        let headers = response.headers();
        let mut total = full_length(&response);
        match response.status() {
            StatusCode::RANGE_NOT_SATISFIABLE => {
                // Everything is here already, or what is here is not the server's file.
                if part.len() > 0 && total == Some(part.len()) {
                    return Ok(());
                }
                part.restart()?;
                return Err(Failure::again("the server has no such range"));
            }
            StatusCode::PARTIAL_CONTENT => {
                if range_start(headers) != Some(part.len()) {
                    part.restart()?;
                    return Err(Failure::again("the server sent another range than asked for"));
                }
            }
            _ => {
                part.restart()?;
                total = total.or_else(|| response.content_length());
            }
        }
        self.refuse_page(headers)?;
        self.check_size(total)?;
        let origin =
            Origin { url: shown(&self.wanted.url), validator: strong_validator(headers), total };
        part.set_origin(origin)?;
        self.receive(response, part, total)
    }

    fn receive(
        &mut self,
        response: Response,
        part: &mut Part,
        total: Option<u64>,
    ) -> Result<(), Failure> {
        let limit = self.wanted.size.or(total).unwrap_or(MAX_LEN);
        let mut said = Instant::now();
        let body = Body::new(response)?;
        while let Some(piece) = body.next(&self.options.cancel)? {
            let piece = piece.map_err(|e| broken(&e))?;
            if part.len() + piece.len() as u64 > limit {
                let reason = format!("it is longer than the {limit} bytes expected");
                return Err(Failure::Final(self.unexpected(reason)));
            }
            part.append(&piece)?;
            if said.elapsed() >= Duration::from_millis(50) {
                said = Instant::now();
                self.progress(part.len());
            }
        }
        self.progress(part.len());
        match self.wanted.size.or(total) {
            Some(expected) if part.len() < expected => Err(Failure::again(format!(
                "the connection ended after {} of {expected} bytes",
                part.len()
            ))),
            _ => Ok(()),
        }
    }

    fn progress(&mut self, done: u64) {
        if done > self.shown {
            self.shown = done;
            self.sink.emit(Event::Progress { step: STEP, done });
        }
    }

    fn refuse_page(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        if !kind.trim_start().to_ascii_lowercase().starts_with("text/html") {
            return Ok(());
        }
        let error = Error::Network {
            url: shown(&self.wanted.url),
            reason: "a web page came instead of the file".into(),
        };
        Err(Failure::Final(error.hint(
            "a captive portal or a proxy may be in the way: open a browser, or try --mirror",
        )))
    }

    fn check_size(&self, total: Option<u64>) -> Result<(), Failure> {
        match (self.wanted.size, total) {
            (Some(expected), Some(found)) if expected != found => {
                let reason = format!("the server has {found} bytes where {expected} are expected");
                Err(Failure::Final(self.unexpected(reason)))
            }
            _ => Ok(()),
        }
    }

    fn unexpected(&self, reason: String) -> Error {
        Error::Verification { what: shown(&self.wanted.url), reason }
            .hint("the file was replaced, or a mirror is out of step")
    }
}

/// Failures in a row, and in all.
#[derive(Debug, Default)]
struct Tries {
    in_a_row: u32,
    all: u32,
}

impl Tries {
    /// Takes note of a failure and waits, or gives up.
    fn failed(
        &mut self,
        failure: Failure,
        progress: bool,
        wanted: &Wanted,
        options: &Options,
        sink: &dyn Sink,
    ) -> Result<()> {
        let (reason, asked) = match failure {
            Failure::Final(error) | Failure::Absent(error) | Failure::Denied { error, .. } => {
                return Err(error);
            }
            Failure::Again { reason, pause } => (reason, pause),
        };
        self.in_a_row = if progress { 1 } else { self.in_a_row + 1 };
        self.all += 1;
        if self.in_a_row > options.retries || self.all > MAX_TRIES {
            let reason = format!("{reason} (tried {} times)", self.all);
            return Err(Error::Network { url: shown(&wanted.url), reason }
                .hint("check the network and the proxy settings, or try --mirror; what has arrived is kept"));
        }
        let doubled = options.pause.saturating_mul(1 << (self.in_a_row - 1).min(16));
        let pause = asked.unwrap_or(doubled).min(MAX_PAUSE.max(asked.unwrap_or_default()));
        let seconds = pause.as_secs_f64();
        let message = format!("{}: {reason}; trying again in {seconds:.1} s", wanted.name);
        // Once may be chance; silence for as long as all tries take would be puzzling.
        sink.emit(match self.in_a_row {
            2 => Event::Warning { message },
            _ => Event::Note { message },
        });
        sleep(pause, options)
    }
}

fn sleep(pause: Duration, options: &Options) -> Result<()> {
    let until = Instant::now() + pause;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        options.cancel.check()?;
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
    options.cancel.check()
}

fn broken(error: &std::io::Error) -> Failure {
    let timeout = error.kind() == std::io::ErrorKind::TimedOut
        || error
            .get_ref()
            .and_then(|e| e.downcast_ref::<reqwest::Error>())
            .is_some_and(reqwest::Error::is_timeout);
    Failure::again(if timeout { "no more data came" } else { "the connection broke" })
}

fn wrong_digest(wanted: &Wanted, expected: Sha256, found: Sha256) -> Error {
    Error::Verification {
        what: shown(&wanted.url),
        reason: format!("its sha256 is {found}, not {expected}"),
    }
    .hint("the download was removed; the file was replaced, or a proxy or mirror changed it")
}

/// Length of the whole file, where the answer says so (RFC 9110, 14.4).
fn full_length(response: &Response) -> Option<u64> {
    if response.status() == StatusCode::OK {
        return response.content_length();
    }
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.parse().ok()
}

/// First byte of a partial answer: `bytes 100-199/200`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

/// What `If-Range` takes: a strong entity tag, else the date.
fn strong_validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    text(header::ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(header::LAST_MODIFIED))
}
