//! The node lifecycle controller: a node whose lease is not renewed is no longer Ready.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::objects::LEASES;
use crate::store::Store;
use crate::{Fatal, log};

const TICK: Duration = Duration::from_millis(500);

/// When each node's lease was last seen to change, by this server's own clock.
#[derive(Debug, Default)]
pub struct Leases(Mutex<BTreeMap<String, (i64, Instant)>>);

impl Leases {
    /// Looks for ever.
    pub fn watch(&self, store: &dyn Store) {
        loop {
            // Without a datastore nothing can be said of anybody.
            let _ = self.look(store);
            std::thread::sleep(TICK);
        }
    }

    fn look(&self, store: &dyn Store) -> Result<(), Fatal> {
        let entries = store.list(LEASES)?;
        let mut seen = self.0.lock().map_err(|e| e.to_string())?;
        seen.retain(|name, _| entries.iter().any(|entry| entry.key[LEASES.len()..] == *name));
        for entry in entries {
            let name = entry.key[LEASES.len()..].to_owned();
            let at = seen.entry(name).or_insert((entry.revision, Instant::now()));
            if at.0 != entry.revision {
                *at = (entry.revision, Instant::now());
            }
        }
        Ok(())
    }

    /// Overrides the Ready condition of a node that has been silent for longer than `grace`.
    pub fn judge(&self, node: &mut Value, grace: Duration) {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        let Ok(seen) = self.0.lock() else { return };
        if seen.get(name).is_none_or(|(_, at)| at.elapsed() <= grace) {
            return;
        }
        let conditions = node["status"]["conditions"].as_array_mut();
        for condition in conditions.into_iter().flatten() {
            condition["status"] = json!("Unknown");
            condition["reason"] = json!("NodeStatusUnknown");
            condition["message"] = json!("Kubelet stopped posting node status.");
        }
    }
}

/// A condition of a node.
pub fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastHeartbeatTime": log::now(), "lastTransitionTime": log::now()})
}
