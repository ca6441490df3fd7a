//! The Kubernetes objects it knows, and their keys in the store (as in `/registry` of a real one).

use serde_json::{Value, json};

use crate::settings::uuid;
use crate::store::{Entry, Store};
use crate::{Fatal, log};

/// Below it lie the nodes.
pub const NODES: &str = "/registry/nodes/";
/// Below it lie the leases that nodes renew.
pub const LEASES: &str = "/registry/leases/kube-node-lease/";
/// Name of the node's etcd member.
pub const ETCD_NAME: &str = "etcd.k3s.cattle.io/node-name";
/// Address of the node's etcd member.
pub const ETCD_ADDRESS: &str = "etcd.k3s.cattle.io/node-address";
/// Holds a Node until its etcd member is removed.
pub const ETCD_FINALIZER: &str = "wrangler.cattle.io/managed-etcd-controller";

/// Key of the secret that ties a node's name to its password.
pub fn password_key(node: &str) -> String {
    format!("/registry/secrets/kube-system/{node}.node-password.k3s")
}

/// Gives a new object what the API server gives it, and writes it; `false` where one is there.
pub fn create(store: &dyn Store, key: &str, mut object: Value) -> Result<bool, Fatal> {
    object["metadata"]["uid"] = json!(uuid()?);
    object["metadata"]["creationTimestamp"] = json!(log::now());
    store.swap(key, &object.to_string(), 0)
}

/// An entry as the API shows it.
pub fn read(entry: &Entry) -> Result<Value, Fatal> {
    let mut object: Value =
        serde_json::from_str(&entry.value).map_err(|e| format!("{}: {e}", entry.key))?;
    object["metadata"]["resourceVersion"] = json!(entry.revision.to_string());
    Ok(object)
}

/// Removes a Node with what belongs to it: its password and its lease.
pub fn forget_node(store: &dyn Store, name: &str) -> Result<(), Fatal> {
    store.delete(&password_key(name))?;
    store.delete(&format!("{LEASES}{name}"))?;
    store.delete(&format!("{NODES}{name}")).map(drop)
}

/// RFC 7396: what a patch names is replaced, what it names null goes.
pub fn merge(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(object) = target.as_object_mut() else { return };
    for (key, change) in changes {
        if change.is_null() {
            object.shift_remove(key);
        } else {
            merge(object.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging() {
        let mut object = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut object, &json!({"a": {"b": null, "e": {"f": 3}}, "d": [2]}));
        assert_eq!(object, json!({"a": {"c": 2, "e": {"f": 3}}, "d": [2]}));
    }
}
