//! `kubectl get nodes [NAME] [-o json]`, `kubectl get --raw PATH` and `kubectl delete node NAME`, with K3s's kubeconfig.

use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;

use crate::http::client::{Client, Trust};
use crate::{Fatal, log, rooted};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it.
pub fn run(args: &[String]) -> Result<(), Fatal> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["get", "--raw", path] => log::out(&request("GET", path)?),
        ["get", "node" | "nodes" | "no", "-o", "json"] => {
            log::out(&request("GET", "/api/v1/nodes")?)
        }
        ["get", "node" | "nodes" | "no", name, "-o", "json"] => {
            log::out(&request("GET", &format!("/api/v1/nodes/{name}"))?)
        }
        ["delete", "node" | "nodes", name] | ["delete", "node" | "nodes", name, "--wait=false"] => {
            request("DELETE", &format!("/api/v1/nodes/{name}"))?;
            log::out(&format!("node \"{name}\" deleted\n"))
        }
        ["get", "node" | "nodes" | "no"] => log::out(&table(&request("GET", "/api/v1/nodes")?)?),
        _ => Err(
            "the stand-in's kubectl knows get nodes [NAME] [-o json], get --raw and delete node"
                .into(),
        ),
    }
}

fn table(list: &str) -> Result<String, Fatal> {
    let list: Value = serde_json::from_str(list).map_err(|e| e.to_string())?;
    let mut out = format!("{:<16} {:<10} {:<22} VERSION\n", "NAME", "STATUS", "ROLES");
    for node in list["items"].as_array().into_iter().flatten() {
        let ready = node["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "Ready" && c["status"] == "True");
        out.push_str(&format!(
            "{:<16} {:<10} {:<22} {}\n",
            node["metadata"]["name"].as_str().unwrap_or_default(),
            if ready { "Ready" } else { "NotReady" },
            roles(node),
            node["status"]["nodeInfo"]["kubeletVersion"].as_str().unwrap_or_default()
        ));
    }
    Ok(out)
}

fn roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object();
    let keys = labels.into_iter().flatten().map(|(key, _)| key.as_str());
    let mut roles: Vec<&str> =
        keys.filter_map(|key| key.strip_prefix("node-role.kubernetes.io/")).collect();
    roles.sort_unstable();
    if roles.is_empty() { "<none>".into() } else { roles.join(",") }
}

/// One request with the kubeconfig's identity.
pub fn request(method: &str, path: &str) -> Result<String, Fatal> {
    let file = match std::env::var_os("KUBECONFIG") {
        Some(file) => file.into(),
        None => rooted("/etc/rancher/k3s/k3s.yaml"),
    };
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let config: Value = serde_saphyr::from_str(&text).map_err(|e| e.to_string())?;
    let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
    let server = cluster["server"].as_str().ok_or("the kubeconfig names no server")?;
    let pem = |value: &Value| -> Result<String, Fatal> {
        let text = value.as_str().ok_or("the kubeconfig lacks a certificate or key")?;
        let pem = base64::engine::general_purpose::STANDARD.decode(text);
        String::from_utf8(pem.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
    };
    let trust = Trust::Bundle(pem(&cluster["certificate-authority-data"])?);
    let (crt, key) = (pem(&user["client-certificate-data"])?, pem(&user["client-key-data"])?);
    let client = Client::new(&trust, Some((&crt, &key)), PATIENCE)?;
    let reply = client.send(method, &format!("{server}{path}"), None, None)?;
    match reply.status {
        200 => Ok(reply.text),
        status => Err(format!("Error from server: {status}: {}", reply.text)),
    }
}
