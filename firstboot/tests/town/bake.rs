//! What lies on a freshly baked card.

use nodeconf::paths;
use serde_json::{Value, json};

use crate::fake::{CONFIG, FLOOR, Fake};

/// Which cluster.
#[derive(Debug, Clone)]
pub struct Plan {
    pub servers: usize,
    pub agents: usize,
    /// `embedded-etcd` or `external-datastore`.
    pub topology: &'static str,
    pub bootstrap: Value,
}

impl Plan {
    pub fn etcd(servers: usize, agents: usize) -> Self {
        Self { servers, agents, topology: "embedded-etcd", bootstrap: json!("majority") }
    }

    pub fn shared(servers: usize, agents: usize) -> Self {
        Self { topology: "external-datastore", ..Self::etcd(servers, agents) }
    }

    pub fn len(&self) -> usize {
        self.servers + self.agents
    }

    pub fn is_server(&self, board: usize) -> bool {
        board < self.servers
    }

    pub fn name(&self, board: usize) -> String {
        format!("node{}", board + 1)
    }

    pub fn address(&self, board: usize) -> String {
        format!("192.168.24.{}", 11 + board)
    }

    pub fn unit(&self, board: usize) -> &'static str {
        if self.is_server(board) { "k3s.service" } else { "k3s-agent.service" }
    }

    fn config(&self, board: usize, incarnation: u32) -> String {
        let mut config: Value = serde_json::from_str(CONFIG).unwrap();
        let servers: Vec<Value> = (0..self.servers)
            .map(|b| json!({"name": self.name(b), "address": self.address(b)}))
            .collect();
        config["cluster"]["servers"] = servers.into();
        config["cluster"]["topology"] = self.topology.into();
        config["cluster"]["bootstrap"] = self.bootstrap.clone();
        config["cluster"]["vip"] =
            json!({"address": "192.168.24.10", "port": 16443, "provider": "none"});
        if self.topology == "external-datastore" {
            config["cluster"]["datastore"] =
                json!({"kind": "postgres", "hosts": ["192.168.24.99:5432"], "node": null});
        }
        config["node"]["name"] = self.name(board).into();
        config["node"]["role"] = if self.is_server(board) { "server" } else { "agent" }.into();
        config["node"]["address"]["static"]["address"] = self.address(board).into();
        config["node"]["incarnation"] = incarnation.into();
        config["k3s"]["unit"] = self.unit(board).into();
        config["system"]["time_wait"] = 0.into();
        config.to_string()
    }
}

/// A board with a fresh card.
pub fn board(plan: &Plan, board: usize, incarnation: u32) -> Fake {
    Fake::with(|world| {
        world.address = plan.address(board);
        world.network_at = Some(std::time::Duration::ZERO);
        world.clock = std::time::Duration::from_secs(FLOOR + 5);
        world.swap = false;
        let unit = format!("/etc/systemd/system/{}", plan.unit(board));
        let config = plan.config(board, incarnation);
        let agent = "server: https://192.168.24.10:16443\n";
        for (path, text, mode) in [
            (paths::NODE_CONFIG, config.as_str(), 0o644),
            (paths::K3S_CONFIG, if plan.is_server(board) { "x: y\n" } else { agent }, 0o600),
            (&*unit, "[Service]\n", 0o644),
            (paths::WITNESS_CA, "witness CA", 0o644),
            (paths::WITNESS_CERT, "witness certificate", 0o644),
            (paths::WITNESS_KEY, "witness key", 0o600),
            (paths::API_CA, "API CA", 0o644),
        ] {
            world.disk.place(path, text.as_bytes(), mode);
        }
        if plan.is_server(board) {
            world.disk.place(paths::API_ADMIN_CERT, b"s3cret administrator", 0o644);
            world.disk.place(paths::API_ADMIN_KEY, b"s3cret key", 0o600);
        }
    })
}
