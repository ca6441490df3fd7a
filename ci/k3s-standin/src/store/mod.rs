mod etcd;
mod file;
mod postgres;
mod postgres_tls;

use serde_json::Value;

pub use self::etcd::EtcdStore;
pub use self::file::FileStore;
pub use self::postgres::PostgresStore;
use crate::Fatal;

/// A key, its value and the revision that last changed it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `/registry/nodes/node1`, …
    pub key: String,
    /// JSON.
    pub value: String,
    /// Above 0.
    pub revision: i64,
}

/// A store of keys, each change of which is atomic.
pub trait Store: Send + Sync {
    /// All keys that begin with `prefix`, in order.
    fn list(&self, prefix: &str) -> Result<Vec<Entry>, Fatal>;
    /// One key.
    fn get(&self, key: &str) -> Result<Option<Entry>, Fatal>;
    /// Writes if the key's revision is `expected` (0: absent), and says whether it did.
    fn swap(&self, key: &str, value: &str, expected: i64) -> Result<bool, Fatal>;
    /// Removes a key, and says whether it was there.
    fn delete(&self, key: &str) -> Result<bool, Fatal>;
}

/// Changes a JSON object that is there, as often as others change it too; `false` where it is
/// not there.
pub fn update(store: &dyn Store, key: &str, change: impl Fn(&mut Value)) -> Result<bool, Fatal> {
    loop {
        let Some(entry) = store.get(key)? else { return Ok(false) };
        let mut object: Value = serde_json::from_str(&entry.value).map_err(|e| e.to_string())?;
        change(&mut object);
        let text = object.to_string();
        if text == entry.value || store.swap(key, &text, entry.revision)? {
            return Ok(true);
        }
    }
}

/// Writes a key, whatever it held.
pub fn put(store: &dyn Store, key: &str, value: &str) -> Result<(), Fatal> {
    loop {
        let revision = store.get(key)?.map_or(0, |entry| entry.revision);
        if store.swap(key, value, revision)? {
            return Ok(());
        }
    }
}
