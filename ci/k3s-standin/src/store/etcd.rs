//! etcd's keys, through its JSON gateway.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Entry, Store};
use crate::Fatal;
use crate::etcd::Gateway;

/// The store.
#[derive(Debug)]
pub struct EtcdStore(pub Arc<Gateway>);

impl Store for EtcdStore {
    fn list(&self, prefix: &str) -> Result<Vec<Entry>, Fatal> {
        // The end of a prefix is the prefix with its last byte one higher (etcd API, Range).
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        self.range(&json!({"key": BASE64.encode(prefix), "range_end": BASE64.encode(end)}))
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, Fatal> {
        Ok(self.range(&json!({"key": BASE64.encode(key)}))?.pop())
    }

    fn swap(&self, key: &str, value: &str, expected: i64) -> Result<bool, Fatal> {
        let key = BASE64.encode(key);
        let reply = self.0.call(
            "kv/txn",
            &json!({
                "compare": [{"key": key, "target": "MOD", "result": "EQUAL",
                    "mod_revision": expected.to_string()}],
                "success": [{"request_put": {"key": key, "value": BASE64.encode(value)}}],
            }),
        )?;
        Ok(reply["succeeded"] == true)
    }

    fn delete(&self, key: &str) -> Result<bool, Fatal> {
        let reply = self.0.call("kv/deleterange", &json!({"key": BASE64.encode(key)}))?;
        Ok(reply["deleted"].as_str().is_some_and(|count| count != "0"))
    }
}

impl EtcdStore {
    fn range(&self, request: &Value) -> Result<Vec<Entry>, Fatal> {
        let reply = self.0.call("kv/range", request)?;
        let text = |value: &Value| {
            let bytes = BASE64.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let entries = reply["kvs"].as_array().into_iter().flatten().map(|kv| Entry {
            key: text(&kv["key"]),
            value: text(&kv["value"]),
            revision: kv["mod_revision"].as_str().and_then(|n| n.parse().ok()).unwrap_or_default(),
        });
        Ok(entries.collect())
    }
}
