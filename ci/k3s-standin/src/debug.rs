//! `k3s debug …`: what tests ask about the cluster itself. A real K3s has no such verb; its
//! cluster id comes from etcdctl.

use serde_json::Value;

use crate::{Fatal, kubectl, log};

/// `cluster-id`: etcd's, hexadecimal; `members`: with it, as JSON.
pub fn run(args: &[String]) -> Result<(), Fatal> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let info = || kubectl::request("GET", "/db/info");
    match words.as_slice() {
        ["cluster-id"] => {
            let info: Value = serde_json::from_str(&info()?).map_err(|e| e.to_string())?;
            let id = info["clusterID"].as_str().ok_or("no embedded etcd here")?;
            log::out(&format!("{id}\n"))
        }
        ["members"] => log::out(&format!("{}\n", info()?)),
        _ => Err("k3s debug cluster-id | members".into()),
    }
}
