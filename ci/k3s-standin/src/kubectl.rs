//! `kubectl get nodes [NAME] [-o json]` and `kubectl get --raw PATH`, with K3s's kubeconfig.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::Value;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::{Fatal, log, rooted};

/// Runs it.
pub fn run(args: &[String]) -> Result<(), Fatal> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["get", "--raw", path] => log::out(&get(path)?),
        ["get", "node" | "nodes" | "no", "-o", "json"] => log::out(&get("/api/v1/nodes")?),
        ["get", "node" | "nodes" | "no", name, "-o", "json"] => {
            log::out(&get(&format!("/api/v1/nodes/{name}"))?)
        }
        ["get", "node" | "nodes" | "no"] => log::out(&table(&get("/api/v1/nodes")?)?),
        _ => Err("the stand-in's kubectl knows get nodes [NAME] [-o json] and get --raw".into()),
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
            "control-plane",
            node["status"]["nodeInfo"]["kubeletVersion"].as_str().unwrap_or_default()
        ));
    }
    Ok(out)
}

fn get(path: &str) -> Result<String, Fatal> {
    let file = match std::env::var_os("KUBECONFIG") {
        Some(file) => file.into(),
        None => rooted("/etc/rancher/k3s/k3s.yaml"),
    };
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let config: Value = serde_saphyr::from_str(&text).map_err(|e| e.to_string())?;
    let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
    let server = cluster["server"].as_str().ok_or("the kubeconfig names no server")?;
    let agent = ureq::Agent::config_builder()
        .tls_config(tls(cluster, user)?)
        .proxy(None)
        .http_status_as_error(false)
        .build()
        .new_agent();
    let mut reply = agent.get(format!("{server}{path}")).call().map_err(|e| e.to_string())?;
    let body = reply.body_mut().read_to_string().map_err(|e| e.to_string())?;
    match reply.status().as_u16() {
        200 => Ok(body),
        status => Err(format!("Error from server: {status}: {body}")),
    }
}

fn tls(cluster: &Value, user: &Value) -> Result<TlsConfig, Fatal> {
    let pem = |value: &Value| {
        let text = value.as_str().ok_or("the kubeconfig lacks a certificate or key")?;
        base64::engine::general_purpose::STANDARD.decode(text).map_err(|e| e.to_string())
    };
    let certificate = |value: &Value| -> Result<_, Fatal> {
        Certificate::from_pem(&pem(value)?).map_err(|e| e.to_string())
    };
    let ca = certificate(&cluster["certificate-authority-data"])?;
    let own = certificate(&user["client-certificate-data"])?;
    let key = PrivateKey::from_pem(&pem(&user["client-key-data"])?).map_err(|e| e.to_string())?;
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[ca]))
        .client_cert(Some(ClientCert::new_with_certs(&[own], key)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}
