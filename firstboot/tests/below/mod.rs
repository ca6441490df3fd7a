//! A server of three below a directory that stands for its root.

#![allow(dead_code, reason = "each test program uses its part")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use firstboot::finding::{Condition, Finding};
use firstboot::machine::StepId;
use firstboot::report::Report;
use firstboot::steps::{self, Context, Memory};
use firstboot::sys::Real;
use nodeconf::NodeConfig;

const CONFIG: &str = include_str!("../fake/node.json");

pub struct Board {
    root: tempfile::TempDir,
    pub config: NodeConfig,
}

impl Board {
    /// 192.168.24.11, whose shared address is 192.168.24.40, with nothing on its disk.
    pub fn new() -> Self {
        let mut json: serde_json::Value = serde_json::from_str(CONFIG).unwrap();
        json["cluster"]["topology"] = "embedded-etcd".into();
        json["cluster"]["vip"] = serde_json::json!({"address": "192.168.24.40", "port": 16443, "provider": "keepalived"});
        json["cluster"]["servers"] = serde_json::json!([
            {"name": "node1", "address": "192.168.24.11"},
            {"name": "node2", "address": "192.168.24.12"},
            {"name": "node3", "address": "192.168.24.13"},
        ]);
        let config = NodeConfig::parse(json.to_string().as_bytes()).unwrap();
        Self { root: tempfile::tempdir().unwrap(), config }
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn program(&self, name: &str, text: &str) {
        let path = format!("/usr/sbin/{name}");
        self.write(&path, text);
        fs::set_permissions(self.at(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn with<T>(&self, act: impl FnOnce(&Context) -> T) -> T {
        let sys = Real::below(self.root.path());
        let report = Report::open(&sys);
        let memory = &Memory::default();
        let (config, sys) = (&self.config, &sys);
        act(&Context { sys, config, report: &report, applied: false, sealed: false, memory })
    }

    pub fn check(&self) -> Finding {
        self.with(|ctx| steps::check(StepId::Vip, ctx))
    }

    pub fn apply(&self) -> Result<(), Condition> {
        self.with(|ctx| steps::apply(StepId::Vip, ctx))
    }
}
