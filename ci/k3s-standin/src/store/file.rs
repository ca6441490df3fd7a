//! One file, for the SQLite database of a single server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use super::{Entry, Store};
use crate::pki::write;
use crate::{Fatal, log};

/// The store.
#[derive(Debug)]
pub struct FileStore {
    file: PathBuf,
    data: Mutex<Data>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Data {
    revision: i64,
    keys: BTreeMap<String, (String, i64)>,
}

impl FileStore {
    /// Opens or makes the file.
    pub fn open(file: &Path) -> Result<Self, Fatal> {
        let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
        let data = match fs::read(file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|e| failed(&e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Data::default(),
            Err(e) => return Err(failed(&e)),
        };
        let store = Self { file: file.to_owned(), data: Mutex::new(data) };
        store.save(&*store.lock()?)?;
        Ok(store)
    }

    fn lock(&self) -> Result<MutexGuard<'_, Data>, Fatal> {
        self.data.lock().map_err(|e| e.to_string())
    }

    fn save(&self, data: &Data) -> Result<(), Fatal> {
        let text = serde_json::to_vec(data).map_err(|e| e.to_string())?;
        write(&self.file, &text, 0o600)
    }

    fn change(&self, change: impl FnOnce(&mut Data) -> bool) -> Result<bool, Fatal> {
        let mut data = self.lock()?;
        let mut next = data.clone();
        if !change(&mut next) {
            return Ok(false);
        }
        next.revision += 1;
        if let Err(e) = self.save(&next) {
            // A full disk ends K3s.
            log::line("fatal", &format!("database or disk is full: {e}"));
            std::process::exit(1);
        }
        *data = next;
        Ok(true)
    }
}

impl Store for FileStore {
    fn list(&self, prefix: &str) -> Result<Vec<Entry>, Fatal> {
        let data = self.lock()?;
        let found = data.keys.range(prefix.to_owned()..);
        Ok(found
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, (value, revision))| Entry {
                key: key.clone(),
                value: value.clone(),
                revision: *revision,
            })
            .collect())
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, Fatal> {
        let data = self.lock()?;
        Ok(data.keys.get(key).map(|(value, revision)| Entry {
            key: key.to_owned(),
            value: value.clone(),
            revision: *revision,
        }))
    }

    fn swap(&self, key: &str, value: &str, expected: i64) -> Result<bool, Fatal> {
        self.change(|data| {
            let is = data.keys.get(key).map_or(0, |(_, revision)| *revision);
            if is != expected {
                return false;
            }
            data.keys.insert(key.to_owned(), (value.to_owned(), data.revision + 1));
            true
        })
    }

    fn delete(&self, key: &str) -> Result<bool, Fatal> {
        self.change(|data| data.keys.remove(key).is_some())
    }
}
