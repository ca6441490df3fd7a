//! `/v1-k3s/…` and `/db/info`: what servers and agents ask before they are part of the cluster
//! (K3s `pkg/server/handlers`).

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::auth::Caller;
use crate::bootstrap::{self, Found};
use crate::http::server::{Request, Response};
use crate::objects::{self, password_key};
use crate::pki::{Leaf, Purpose};
use crate::server::{self, Server};
use crate::{Fatal, log};

/// Answers what lies below `/v1-k3s/`.
pub fn respond(server: &Server, request: &Request, path: &str, caller: &Caller) -> Response {
    let allowed = match path {
        "server-bootstrap" | "token" => caller.may_join(),
        _ => caller.may_be_agent(),
    };
    if !allowed {
        return Response::text(403, "");
    }
    let answer = match path {
        "server-bootstrap" if server.etcd.is_none() => {
            return Response::text(400, "etcd disabled");
        }
        "server-bootstrap" => shared_files(server, request).map(|t| Response::text(200, t)),
        "token" => return rotate(server, request),
        "client-ca.crt" | "server-ca.crt" => server.tls.read(path).map(|t| Response::text(200, t)),
        "client-kubelet.crt" | "serving-kubelet.crt" => certificate(server, request, path, caller),
        "apiservers" => apiservers(server).map(|list| Response::json(200, &list)),
        "config" => Ok(Response::json(200, &json!({"ClusterDomain": "cluster.local"}))),
        "readyz" => Ok(match server.is_ready() {
            Ok(()) => Response::text(200, "ok"),
            Err(e) => Response::text(500, e),
        }),
        _ => return Response::text(404, "404 page not found\n"),
    };
    answer.unwrap_or_else(|e| Response::text(500, e))
}

/// What servers share, out of the datastore; whose token is another than what it is encrypted with
/// gets this server's own.
fn shared_files(server: &Server, request: &Request) -> Result<String, Fatal> {
    let (_, password) = request.basic().unwrap_or_default();
    match bootstrap::find(server.store(), &password) {
        Ok(Found::Ours(files)) => Ok(files),
        _ => {
            log::line(
                "warning",
                "Failed to retrieve HTTP bootstrap data from datastore; falling back to disk",
            );
            bootstrap::collect(&server.tls)
        }
    }
}

fn rotate(server: &Server, request: &Request) -> Response {
    if request.method != "PUT" {
        return Response::text(405, "method not allowed");
    }
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    let Some(new) = body["newToken"].as_str().filter(|new| !new.is_empty()) else {
        return Response::text(400, "newToken is missing");
    };
    match server::rotate(server, new) {
        Ok(()) => Response::text(200, ""),
        Err(e) => Response::text(500, format!("token error: {e}")),
    }
}

/// A certificate for a node that knows its password; whoever comes first sets it.
fn certificate(
    server: &Server,
    request: &Request,
    path: &str,
    caller: &Caller,
) -> Result<Response, Fatal> {
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    let (Some(node), Some(password)) = (header("k3s-node-name"), header("k3s-node-password"))
    else {
        return Ok(Response::text(400, "node name or password is not set"));
    };
    if matches!(caller, Caller::Node(name) if name != node) {
        return Ok(Response::text(403, "certificate belongs to another node"));
    }
    if !is_its_password(server, node, password)? {
        return Ok(Response::text(
            403,
            format!("unable to verify password for node {node}: hash does not match"),
        ));
    }
    let address = header("k3s-node-ip").unwrap_or("127.0.0.1");
    let (leaf, ca) = match path {
        "client-kubelet.crt" => (
            Leaf {
                name: format!("system:node:{node}"),
                group: Some("system:nodes".into()),
                names: Vec::new(),
                purpose: Purpose::Client,
            },
            "client-ca",
        ),
        _ => (
            Leaf {
                name: node.to_owned(),
                group: None,
                names: [node, "127.0.0.1", address].map(str::to_owned).to_vec(),
                purpose: Purpose::Server,
            },
            "server-ca",
        ),
    };
    let (chain, key) = server.tls.sign(leaf, ca)?;
    Ok(Response::text(200, chain + &key))
}

fn is_its_password(server: &Server, node: &str, password: &str) -> Result<bool, Fatal> {
    let store = server.store();
    let hash = digest(&SHA256, password.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let key = password_key(node);
    loop {
        if let Some(entry) = store.get(&key)? {
            return Ok(objects::read(&entry)?["data"]["hash"] == hash);
        }
        let name = format!("{node}.node-password.k3s");
        let secret = json!({"kind": "Secret", "apiVersion": "v1", "data": {"hash": hash},
            "metadata": {"name": name, "namespace": "kube-system"}});
        objects::create(store, &key, secret)?;
    }
}

/// Where the API servers are: agents fail over between them.
fn apiservers(server: &Server) -> Result<Value, Fatal> {
    let store = server.store();
    let mut found = Vec::new();
    for entry in store.list(objects::NODES)? {
        let node = objects::read(&entry)?;
        if node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] == "true" {
            let addresses = node["status"]["addresses"].as_array().cloned().unwrap_or_default();
            let internal = addresses.iter().find(|a| a["type"] == "InternalIP");
            if let Some(address) = internal.and_then(|a| a["address"].as_str()) {
                found.push(json!(format!("{address}:{}", server.port)));
            }
        }
    }
    Ok(json!(found))
}

/// The etcd members; with the cluster's id, which K3s leaves out.
pub fn db_info(server: &Server) -> Response {
    let Some(etcd) = &server.etcd else { return Response::text(404, "404 page not found\n") };
    let found = etcd.gateway.status().and_then(|s| Ok((s.cluster, etcd.gateway.members()?)));
    match found {
        Ok((cluster, members)) => {
            let members: Vec<Value> = members
                .iter()
                .map(|peer| {
                    json!({"ID": peer.id, "name": peer.name, "peerURLs": peer.peer_urls,
                        "clientURLs": peer.client_urls, "isLearner": peer.learner})
                })
                .collect();
            Response::json(200, &json!({"clusterID": format!("{cluster:x}"), "members": members}))
        }
        Err(e) => Response::text(500, e),
    }
}
