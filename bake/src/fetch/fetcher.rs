//! The way in: what to fetch, and how patiently.

use std::fs::File;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::HeaderMap;
use url::Url;

use super::client::{self, Client, Way};
use super::download::{self, Answer, Wanted};
use super::entry::{Kind, Record};
use super::{Cache, Verified};
use crate::error::{Error, Result};
use crate::event::{Event, Sink};
use crate::io::digest::Sha256;
use crate::openpgp::Keyring;
use crate::sys::interrupt::Cancel;

/// How downloads behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// Use only what is in the cache.
    pub offline: bool,
    /// Ask here instead: replaces scheme and host, its path goes before the URL's.
    pub mirror: Option<Url>,
    /// Failures in a row, without a byte of progress, after which to give up.
    pub retries: u32,
    /// Pause after the first failure; doubles with each, up to 30 s.
    pub pause: Duration,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for an answer or for more data.
    pub stall_timeout: Duration,
    /// Keys that base images may be signed by.
    pub keyring: Keyring,
    /// Refuse base images whose signature was not verified.
    pub require_signature: bool,
    /// Stops the work.
    pub cancel: Cancel,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            offline: false,
            mirror: None,
            retries: 6,
            pause: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(60),
            keyring: Keyring::default(),
            require_signature: false,
            cancel: Cancel::new(),
        }
    }
}

impl Options {
    /// Reads the value of `--mirror`: an HTTP or HTTPS URL without query.
    ///
    /// # Errors
    /// [`Error::Usage`] that says what a mirror looks like.
    pub fn parse_mirror(text: &str) -> Result<Url> {
        // It may hold a password, so it is not shown.
        let wrong = |why: &str| {
            Err(Error::Usage(format!(
                "the value of --mirror {why}: write for example `https://mirror.example/images`"
            )))
        };
        match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => wrong("is no HTTP(S) URL"),
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                wrong("has a query or a fragment")
            }
            Ok(url) => Ok(url),
            Err(_) => wrong("is no URL"),
        }
    }
}

/// A file to fetch whose digest is known beforehand.
#[derive(Debug, Clone)]
pub struct FileRequest {
    /// What it is, for people ("K3s v1.36.5+k3s1 for arm64").
    pub name: String,
    /// Where it is published; HTTPS, or HTTP on the loopback interface.
    pub url: Url,
    /// What its content must be.
    pub sha256: Sha256,
    /// Its length in bytes, where known.
    pub size: Option<u64>,
}

/// Fetches through one cache, with one set of options.
pub struct Fetcher<'a> {
    pub(super) cache: Cache,
    pub(super) options: Options,
    pub(super) sink: &'a dyn Sink,
    client: OnceLock<Client>,
}

impl std::fmt::Debug for Fetcher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl<'a> Fetcher<'a> {
    /// Nothing is touched, no connection made, before something is fetched.
    #[must_use]
    pub fn new(cache: Cache, options: Options, sink: &'a dyn Sink) -> Self {
        Self { cache, options, sink, client: OnceLock::new() }
    }

    /// The cache it works with.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The file, from the cache or downloaded into it.
    ///
    /// # Errors
    /// [`Error::NotFound`] where offline and not in the cache, [`Error::Network`],
    /// [`Error::Verification`] where the server has other bytes (they are removed), [`Error::Io`],
    /// [`Error::Interrupted`].
    pub fn file(&self, request: &FileRequest) -> Result<Verified<File>> {
        self.obtain(request, Way::Private)
    }

    pub(super) fn obtain(&self, request: &FileRequest, way: Way) -> Result<Verified<File>> {
        let key = request.sha256.to_string();
        if let Some(found) = self.cache.open_file(&key, self.sink)? {
            return Ok(found);
        }
        self.refuse_offline(&request.name, &request.url)?;
        let _lock = self.cache.lock(&key, &request.name, self.sink, &self.options.cancel)?;
        if let Some(found) = self.cache.open_file(&key, self.sink)? {
            return Ok(found);
        }
        let wanted = Wanted {
            name: request.name.clone(),
            url: request.url.clone(),
            sha256: Some(request.sha256),
            size: request.size,
            way,
        };
        let got = self.download(&key, &wanted)?;
        let record = Record::new(&request.name, got.url.as_str(), got.sha256, got.len);
        self.cache.adopt(&got.path, Kind::File, &key, record)?;
        self.cache
            .open_file(&key, self.sink)?
            .ok_or(Error::NotFound { what: "cache entry", name: key })
    }

    /// The content of a small text, such as a list of checksums, of at most `limit` bytes.
    ///
    /// Not cached and not verified beyond TLS: what it says must be treated accordingly.
    ///
    /// # Errors
    /// As [`Fetcher::file`].
    pub fn text(&self, name: &str, url: &Url, limit: u64) -> Result<String> {
        self.refuse_offline(name, url)?;
        let bytes = self.small(name, url, Way::Private, limit)??;
        String::from_utf8(bytes).map_err(|_| {
            let reason = "it is no text".into();
            Error::Corrupt { what: name.into(), reason }
        })
    }

    /// A small file; an error inside where the server has none.
    pub(super) fn small(
        &self,
        name: &str,
        url: &Url,
        way: Way,
        limit: u64,
    ) -> Result<Result<Vec<u8>>> {
        match self.ask(name, url, way, &HeaderMap::new(), limit)? {
            Answer::Found(bytes) => Ok(Ok(bytes)),
            Answer::Absent(error) => Ok(Err(error)),
            Answer::Denied { error, .. } => Err(error),
        }
    }

    /// The same with `headers`, and without an opinion on what the server says.
    pub(super) fn ask(
        &self,
        name: &str,
        url: &Url,
        way: Way,
        headers: &HeaderMap,
        limit: u64,
    ) -> Result<Answer> {
        let wanted = Wanted { name: name.into(), url: url.clone(), sha256: None, size: None, way };
        download::small(self.client()?, &self.options, self.sink, &wanted, headers, limit)
    }

    pub(super) fn download(&self, key: &str, wanted: &Wanted) -> Result<download::Downloaded> {
        let folder = self.cache.downloads()?;
        download::run(self.client()?, &self.options, self.sink, &folder, key, wanted)
    }

    /// Whether nothing may be downloaded.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.options.offline
    }

    /// Tells the user something.
    pub fn warn(&self, message: String) {
        self.sink.emit(Event::Warning { message });
    }

    /// Nothing, unless nothing may be downloaded.
    ///
    /// # Errors
    /// [`Error::NotFound`] that tells what is missing from the cache.
    pub fn refuse_offline(&self, name: &str, url: &Url) -> Result<()> {
        if !self.options.offline {
            return Ok(());
        }
        Err(Error::NotFound { what: "cached copy", name: name.into() }.hint(format!(
            "--offline was given: run once without it, with access to {}",
            client::shown(url)
        )))
    }

    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(&self.options)?;
        Ok(self.client.get_or_init(|| client))
    }
}
