//! The part of K3s that is a node: it fetches its certificates, registers, and renews its lease.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::access::Access;
use crate::config::Config;
use crate::http::client::{Client, Reply, Trust};
use crate::nodes::condition;
use crate::pki::write;
use crate::server::kubeconfig;
use crate::settings::{Settings, random_hex};
use crate::{Fatal, host, log, rooted, version};

const PATIENCE: Duration = Duration::from_secs(5);

/// What opens the supervisor to a node.
#[derive(Debug, Clone)]
pub struct Token {
    /// `node`.
    pub user: &'static str,
    /// The secret part.
    pub password: String,
    /// Hash of the authority that it pins.
    pub pin: Option<String>,
}

/// A node.
#[derive(Debug)]
pub struct Kubelet {
    begun: Instant,
    name: String,
    address: String,
    labels: Vec<(String, String)>,
    taints: Vec<Value>,
    dir: PathBuf,
    password: PathBuf,
    settings: Settings,
    token: Token,
    given: String,
    fails_over: bool,
    servers: Vec<String>,
}

impl Kubelet {
    /// As configured, with the server it asks first. An agent `fails_over` to others; a server's
    /// own node asks that server alone.
    pub fn new(
        config: &Config,
        settings: &Settings,
        server: &str,
        fails_over: bool,
        token: Token,
    ) -> Result<Self, Fatal> {
        let labels = config
            .all("node-label")
            .filter_map(|label| label.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Self {
            begun: Instant::now(),
            name: host::node_name(config)?,
            address: host::node_address(config),
            labels: labels.collect(),
            taints: config.all("node-taint").filter_map(taint).collect(),
            dir: config.path("data-dir", "/var/lib/rancher/k3s").join("agent"),
            password: rooted("/etc/rancher/node/password"),
            settings: settings.clone(),
            token,
            given: server.to_owned(),
            fails_over,
            servers: vec![server.to_owned()],
        })
    }

    /// Runs for ever, trying again whatever fails.
    pub fn run(mut self) {
        self.recall_servers();
        let client = loop {
            match self.enter() {
                Ok(client) => break client,
                Err(e) => log::line("error", &e),
            }
            self.next_server();
            std::thread::sleep(self.settings.retry);
        };
        while let Err(e) = self.register(&client) {
            log::line("error", &format!("Unable to register node with API server: {e}"));
            self.next_server();
            std::thread::sleep(self.settings.retry.min(Duration::from_millis(500)));
        }
        log::line("info", &format!("Successfully registered node {}", self.name));
        self.remember_servers(&client);
        self.keep_alive(&client)
    }

    /// Checks the authority, proves its name, and takes its certificates.
    fn enter(&self) -> Result<Client, Fatal> {
        let server = &self.servers[0];
        let token = crate::token::Token {
            pin: self.token.pin.clone(),
            password: self.token.password.clone(),
        };
        let access = Access::validate(server, &token, self.token.user)
            .map_err(|e| format!("Failed to validate connection to cluster at {server}: {e}"))?;
        let waiting =
            |e: Fatal| format!("Waiting to retrieve agent configuration; server is not ready: {e}");
        access.get("/v1-k3s/config").map_err(waiting)?;
        let (crt, key) = self.certificate(&access, "client-kubelet").map_err(waiting)?;
        self.certificate(&access, "serving-kubelet").map_err(waiting)?;
        let own = |name: &str| self.dir.join(name);
        let clients = access.get("/v1-k3s/client-ca.crt").map_err(waiting)?;
        write(&own("client-ca.crt"), clients.as_bytes(), 0o644)?;
        write(&own("server-ca.crt"), access.ca.as_bytes(), 0o644)?;
        let config = kubeconfig(server, &access.ca, &crt, &key);
        write(&own("kubelet.kubeconfig"), config.as_bytes(), 0o600)?;
        Client::new(&Trust::Bundle(access.ca), Some((&crt, &key)), PATIENCE)
    }

    fn certificate(&self, access: &Access, name: &str) -> Result<(String, String), Fatal> {
        let password = self.password()?;
        let headers = [
            ("k3s-Node-Name", self.name.as_str()),
            ("k3s-Node-Password", &password),
            ("k3s-Node-IP", &self.address),
        ];
        let url = format!("{}/v1-k3s/{name}.crt", access.base);
        let reply = access.post(&url, &headers)?;
        if reply.status == 403 {
            return Err("Node password rejected, duplicate hostname or contents of \
                        '/etc/rancher/node/password' may not match server node-passwd entry, try \
                        enabling a unique node name with the --with-node-id flag"
                .into());
        }
        let text = reply.body(&url)?;
        let at = text.find("-----BEGIN EC PRIVATE KEY").ok_or("a certificate without a key")?;
        let (crt, key) = text.split_at(at);
        write(&self.dir.join(format!("{name}.key")), key.as_bytes(), 0o600)?;
        write(&self.dir.join(format!("{name}.crt")), crt.as_bytes(), 0o644)?;
        Ok((crt.to_owned(), key.to_owned()))
    }

    fn password(&self) -> Result<String, Fatal> {
        if let Ok(text) = fs::read_to_string(&self.password) {
            return Ok(text.trim().to_owned());
        }
        let password = random_hex::<16>()?;
        write(&self.password, format!("{password}\n").as_bytes(), 0o600)?;
        Ok(password)
    }

    fn register(&self, client: &Client) -> Result<(), Fatal> {
        let mut labels = json!({
            "kubernetes.io/arch": arch(),
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
        });
        for (key, value) in &self.labels {
            labels[key] = json!(value);
        }
        let node = json!({"kind": "Node", "apiVersion": "v1",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"taints": self.taints}, "status": self.status()});
        let reply = self.api(client, "POST", "nodes", &node)?;
        match reply.status {
            201 => Ok(()),
            // It was here before: labels and taints are as they were then (K3s docs).
            409 => self.report(client),
            code => Err(format!("{code}: {}", reply.text)),
        }
    }

    fn status(&self) -> Value {
        let (status, reason, message) = match self.begun.elapsed() >= self.settings.node {
            true => ("True", "KubeletReady", "kubelet is posting ready status"),
            false => (
                "False",
                "KubeletNotReady",
                "container runtime network not ready: cni plugin not initialized",
            ),
        };
        json!({
            "addresses": [
                {"type": "InternalIP", "address": self.address},
                {"type": "Hostname", "address": self.name},
            ],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "enough"),
                condition("Ready", status, reason, message),
            ],
            "nodeInfo": {"kubeletVersion": version(), "architecture": arch(),
                "operatingSystem": "linux"},
        })
    }

    fn report(&self, client: &Client) -> Result<(), Fatal> {
        let path = format!("nodes/{}", self.name);
        let reply = self.api(client, "PATCH", &path, &json!({"status": self.status()}))?;
        match reply.status {
            200 => Ok(()),
            // A kubelet registers once; a deleted node stays away until its next start.
            404 => Err(format!("error getting node {:?}: not found", self.name)),
            code => Err(format!("{code}: {}", reply.text)),
        }
    }

    fn keep_alive(&mut self, client: &Client) {
        let mut reported = false;
        let mut beats = 0_u32;
        loop {
            let mut done = self.renew(client);
            if !reported && done.is_ok() && self.begun.elapsed() >= self.settings.node {
                done = self.report(client);
                reported = done.is_ok();
            }
            if let Err(e) = done {
                log::line("error", &e);
                self.next_server();
            }
            beats += 1;
            if beats.is_multiple_of(10) {
                self.remember_servers(client);
            }
            let due = self.settings.node.saturating_sub(self.begun.elapsed());
            let wait = if reported { self.settings.heartbeat } else { due };
            std::thread::sleep(wait.clamp(Duration::from_millis(20), self.settings.heartbeat));
        }
    }

    fn renew(&self, client: &Client) -> Result<(), Fatal> {
        let now = jiff::Timestamp::now().to_string();
        let lease = json!({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
            "metadata": {"name": self.name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": now}});
        let list = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        let mut reply = self.api(client, "PUT", &format!("{list}/{}", self.name), &lease)?;
        if reply.status == 404 {
            reply = self.api(client, "POST", list, &lease)?;
        }
        match reply.status {
            200 | 201 => Ok(()),
            code => Err(format!("failed to update lease: {code}: {}", reply.text)),
        }
    }

    fn api(&self, client: &Client, method: &str, path: &str, body: &Value) -> Result<Reply, Fatal> {
        let server = &self.servers[0];
        let url = match path.starts_with('/') {
            true => format!("{server}{path}"),
            false => format!("{server}/api/v1/{path}"),
        };
        client.send(method, &url, None, Some(body))
    }

    fn next_server(&mut self) {
        self.servers.rotate_left(1);
    }

    /// The servers that the cluster named last (K3s's load balancer keeps the same file).
    fn recall_servers(&mut self) {
        let known = fs::read(self.balancer()).ok();
        let known: Option<Value> = known.and_then(|text| serde_json::from_slice(&text).ok());
        let Some(known) = known.filter(|known| known["ServerURL"] == self.given) else { return };
        self.add_servers(&known["ServerAddresses"]);
    }

    fn remember_servers(&mut self, client: &Client) {
        let url = format!("{}/v1-k3s/apiservers", self.servers[0]);
        let Ok(list) = client.get(&url, None).and_then(|reply| reply.body(&url)) else { return };
        let Ok(list) = serde_json::from_str::<Value>(&list) else { return };
        self.add_servers(&list);
        let text = json!({"ServerURL": self.given, "ServerAddresses": list}).to_string();
        let _ = write(&self.balancer(), text.as_bytes(), 0o600);
    }

    fn add_servers(&mut self, addresses: &Value) {
        if !self.fails_over {
            return;
        }
        for address in addresses.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let url = format!("https://{address}");
            if !self.servers.contains(&url) {
                self.servers.push(url);
            }
        }
    }

    fn balancer(&self) -> PathBuf {
        self.dir.join("etc/k3s-agent-load-balancer.json")
    }
}

/// `key=value:Effect`.
fn taint(text: &str) -> Option<Value> {
    let (key, effect) = text.rsplit_once(':')?;
    let (key, value) = key.split_once('=').unwrap_or((key, ""));
    Some(json!({"key": key, "value": value, "effect": effect}))
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
