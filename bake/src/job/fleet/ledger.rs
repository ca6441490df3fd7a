//! What is in a folder of images, and what it was made from: `fleet.json` in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, Result};
use crate::io::private::{self, Existing};

/// Name of the file.
pub const NAME: &str = "fleet.json";
/// Version of the file that this build writes; it makes everything anew after another.
const VERSION: u32 = 1;
/// How often it is written at most while nodes are being finished.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    version: u32,
    files: BTreeMap<String, Entry>,
}

/// One output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Digest of everything it is made from.
    pub inputs: String,
    /// The file as it was written; `None` while it is being made.
    pub written: Option<Stamp>,
    /// What a golden image is, for the deltas that are for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// By what a file is known again without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    bytes: u64,
    modified: u128,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let modified = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        Some(Self { bytes: found.len(), modified })
    }
}

/// The ledger of a folder, kept up to date by many threads.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    state: Mutex<(Content, Instant)>,
    /// Why what is there could not be used.
    unread: Option<&'static str>,
}

impl Ledger {
    /// Reads the ledger of `folder`; one that cannot be read, or is of another version, is empty.
    ///
    /// # Errors
    /// [`Error::Io`] where it is there and the system does not hand it out.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let read = match fs::read(&path) {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Content::new()),
            Err(error) => return Err(Error::io("reading", &path, error)),
        };
        let unread = read.as_ref().err().copied();
        let state = Mutex::new((read.unwrap_or_else(|_| Content::new()), Instant::now()));
        Ok(Self { folder: folder.to_owned(), state, unread })
    }

    /// The entry of an output that is there, as it was written, from the same inputs.
    pub fn unchanged(&self, file: &str, inputs: &str) -> Option<Entry> {
        let entry = self.entry(file).filter(|entry| entry.inputs == inputs)?;
        (entry.written.is_some() && entry.written == Stamp::of(&self.folder.join(file)))
            .then_some(entry)
    }

    /// Whether the output at `file` may be replaced: it is not there, or it is ours.
    pub fn is_ours(&self, file: &str) -> bool {
        match (self.entry(file), Stamp::of(&self.folder.join(file))) {
            (_, None) => true,
            (Some(Entry { written, .. }), found) => written.is_none() || written == found,
            (None, Some(_)) => false,
        }
    }

    /// Why an output that is there and not ours is not.
    pub fn why_not_ours(&self) -> String {
        match self.unread {
            Some(why) => {
                format!("it exists, and {NAME}, which knew what a fleet left there, {why}")
            }
            None => "it exists, and is not what an earlier fleet left there".into(),
        }
    }

    /// Notes that outputs are about to be made, before any is.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn begin<'n>(&self, files: impl IntoIterator<Item = (&'n str, &'n str)>) -> Result<()> {
        let mut state = self.lock();
        for (file, inputs) in files {
            let entry = Entry { inputs: inputs.to_owned(), written: None, identity: None };
            state.0.files.insert(file.to_owned(), entry);
        }
        self.write(&state.0)
    }

    /// Notes that an output is whole.
    ///
    /// # Errors
    /// As [`Ledger::begin`].
    pub fn done(&self, file: &str, identity: Option<String>) -> Result<()> {
        let mut state = self.lock();
        let written = Stamp::of(&self.folder.join(file));
        if let Some(entry) = state.0.files.get_mut(file) {
            (entry.written, entry.identity) = (written, identity);
        }
        if state.1.elapsed() < EVERY {
            return Ok(());
        }
        state.1 = Instant::now();
        self.write(&state.0)
    }

    /// Writes it for the last time.
    ///
    /// # Errors
    /// As [`Ledger::begin`].
    pub fn close(&self) -> Result<()> {
        self.write(&self.lock().0)
    }

    fn entry(&self, file: &str) -> Option<Entry> {
        self.lock().0.files.get(file).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Content, Instant)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, content: &Content) -> Result<()> {
        let path = self.folder.join(NAME);
        let text = serde_json::to_vec_pretty(content).map_err(std::io::Error::from);
        private::write(&path, &text.at("encoding", &path)?, Existing::Replace)
    }
}

impl Content {
    fn new() -> Self {
        Self { version: VERSION, files: BTreeMap::new() }
    }
}

/// What the text says, or why it does not.
fn parse(text: &[u8]) -> Result<Content, &'static str> {
    match serde_json::from_slice::<Content>(text) {
        Ok(content) if content.version == VERSION => Ok(content),
        Ok(_) => Err("is of another version of bake"),
        Err(error) if error.is_eof() => Err("is empty or cut short"),
        Err(_) => Err("is damaged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_what_it_wrote_and_what_it_did_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let ledger = Ledger::open(dir.path()).unwrap();
        fs::write(at("a.img"), "mine").unwrap();
        assert!(!ledger.is_ours("a.img"), "nobody said so");
        assert!(ledger.is_ours("b.img"), "it is not there");
        ledger.begin([("b.img", "inputs")]).unwrap();
        fs::write(at("b.img"), "half").unwrap();
        // Killed here: the next run knows that it was ours and not whole.
        let again = Ledger::open(dir.path()).unwrap();
        assert!(again.is_ours("b.img") && again.unchanged("b.img", "inputs").is_none());
        fs::write(at("b.img"), "whole").unwrap();
        again.done("b.img", Some("identity".into())).unwrap();
        again.close().unwrap();
        let again = Ledger::open(dir.path()).unwrap();
        let entry = again.unchanged("b.img", "inputs").unwrap();
        assert_eq!(entry.identity.as_deref(), Some("identity"));
        assert_eq!(again.unchanged("b.img", "others"), None);
        fs::write(at("b.img"), "changed by hand").unwrap();
        assert_eq!(again.unchanged("b.img", "inputs"), None);
        assert!(!again.is_ours("b.img"), "somebody has changed it");
    }

    #[test]
    fn one_that_cannot_be_read_is_empty_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.img"), "whose?").unwrap();
        for (text, why) in [
            ("", "is empty or cut short"),
            (r#"{"version": 1, "files": {"a.img": {"inp"#, "is empty or cut short"),
            ("{}", "is damaged"),
            (r#"{"version": 99, "files": {}}"#, "is of another version"),
        ] {
            fs::write(dir.path().join(NAME), text).unwrap();
            let ledger = Ledger::open(dir.path()).unwrap();
            assert!(!ledger.is_ours("a.img") && ledger.is_ours("b.img"), "{text}");
            assert!(ledger.why_not_ours().contains(why), "{text}: {}", ledger.why_not_ours());
        }
        fs::remove_file(dir.path().join(NAME)).unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        assert!(ledger.why_not_ours().ends_with("not what an earlier fleet left there"));
    }
}
