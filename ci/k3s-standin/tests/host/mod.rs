//! Boards that are directories, each with a loopback address of its own.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// What a test waits for at most; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A board.
pub struct Host {
    pub root: tempfile::TempDir,
    pub name: String,
    pub address: String,
    env: Vec<(String, String)>,
    child: Option<Child>,
    /// Length of the log when it was started last.
    before: usize,
}

/// An address that no other test has: 127.X.Y.Z with X and Y from the process id.
fn address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    format!("127.{}.{low}.{}", (high % 120) + 100, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A directory in memory where there is one: etcd syncs every step, and disks may be busy.
pub fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Host {
    pub fn new(name: &str) -> Self {
        let host = Self {
            root: memory(),
            name: name.to_owned(),
            address: address(),
            env: Vec::new(),
            child: None,
            before: 0,
        };
        host.write("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
        host
    }

    /// Writes `config.yaml`: the board's own lines and `more`.
    pub fn configure(&self, more: &str) {
        let (name, address) = (&self.name, &self.address);
        let own = format!("node-name: {name}\nnode-ip: {address}\nbind-address: {address}\n{more}");
        self.write("etc/rancher/k3s/config.yaml", &own);
    }

    pub fn url(&self) -> String {
        format!("https://{}:6443", self.address)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn data(&self, path: &str) -> PathBuf {
        self.root.path().join("var/lib/rancher/k3s").join(path)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.env.push((format!("K3S_STANDIN_{name}"), value.to_owned()));
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3s-standin"));
        command.args(args).env("K3S_STANDIN_ROOT", self.root.path());
        for (name, ms) in [("PING", "0"), ("READY", "0"), ("NODE", "0"), ("RETRY", "200")] {
            command.env(format!("K3S_STANDIN_{name}_MS"), ms);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn start(&mut self, verb: &str) {
        self.before = self.log().len();
        let log = self.root.path().join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        self.child = Some(self.command(&[verb]).stderr(log).stdout(Stdio::null()).spawn().unwrap());
    }

    /// Runs a server that must end by itself with `status`, and returns what it said.
    pub fn fails(&self, status: i32) -> String {
        let out = self.command(&["server"]).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(status), "{said}");
        said
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.command(&[&["kubectl"], args].concat()).output().unwrap()
    }

    /// Asks until the answer contains `part`.
    pub fn waits_for(&self, args: &[&str], part: &str) -> String {
        self.waits(args, part, |said| said.contains(part))
    }

    pub fn waits(&self, args: &[&str], what: &str, enough: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let out = self.kubectl(args);
            let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
            if enough(&said) {
                return said;
            }
            let ended = self.log()[self.before..].contains("level=fatal");
            assert!(begun.elapsed() < PATIENCE && !ended, "no {what}: {said}\nlog: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn is_ready(&self) {
        self.waits(&["get", "--raw", "/readyz"], "readyz", |said| said == "ok");
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().expect("a started process").try_wait().unwrap().is_some()
    }

    /// Waits for the process to end by itself.
    pub fn ends(&mut self) -> i32 {
        let begun = Instant::now();
        loop {
            let child = self.child.as_mut().expect("a started process");
            if let Some(status) = child.try_wait().unwrap() {
                self.child = None;
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < PATIENCE, "still runs: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for a line of its log.
    pub fn says(&self, part: &str) {
        let begun = Instant::now();
        while !self.log().contains(part) {
            assert!(begun.elapsed() < PATIENCE, "never said {part}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// kill -9.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}
