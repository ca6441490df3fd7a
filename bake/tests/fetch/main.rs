//! Downloads against a server on the loopback interface that misbehaves as told.

mod base;
mod cli;
mod download;
mod k3s;
mod registry;
mod registry_double;
mod server;
mod signature;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use bake::event::{Event, Sink};
use bake::fetch::{Cache, Fetcher, FileRequest, Options};
use bake::io::digest::Sha256;
use tempfile::TempDir;
use url::Url;

/// Keeps every event.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<Event>>);

impl Sink for Log {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Log {
    /// Everything said, a line an event.
    fn text(&self) -> String {
        self.0.lock().unwrap().iter().map(|e| format!("{e:?}\n")).collect()
    }
}

/// A cache of its own, and options that make tests quick and leave a busy machine time.
#[derive(Debug)]
struct Bench {
    dir: TempDir,
    log: Log,
    options: Options,
}

impl Bench {
    fn new() -> Self {
        let options = Options {
            pause: Duration::from_millis(5),
            stall_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(60),
            retries: 3,
            ..Options::default()
        };
        Self { dir: TempDir::new().unwrap(), log: Log::default(), options }
    }

    fn fetcher(&self) -> Fetcher<'_> {
        let cache = Cache::open(Some(self.dir.path())).unwrap();
        Fetcher::new(cache, self.options.clone(), &self.log)
    }

    /// Names of the files in a folder of the cache, sorted.
    fn files(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dir.path().join(folder)) else {
            return Vec::new();
        };
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Waits for something that comes as soon as the machine lets it.
fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Bytes that do not repeat within any test's file.
fn data(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> =
        std::iter::repeat_with(&mut next).take(len / 8 + 1).flatten().collect();
    bytes.truncate(len);
    bytes
}

fn request(url: Url, data: &[u8]) -> FileRequest {
    FileRequest { name: "a test file".into(), url, sha256: Sha256::of(data), size: None }
}
