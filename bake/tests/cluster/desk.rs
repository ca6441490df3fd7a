//! A folder with a profile, and the program run in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// Three servers, an agent whose address nobody knows beforehand.
pub const PROFILE: &str = "\
version: 1
cluster:
  name: edge
  topology: embedded-etcd
  vip: {address: 192.168.24.40, provider: keepalived}
image: ./base.img
k3s: {version: v1.36.5+k3s1, config: {tls-san: [127.0.0.1]}}
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1}
nodes:
  - {name: node1, role: server, address: 192.168.24.11}
  - {name: node2, role: server, address: 192.168.24.12}
  - {name: node3, role: server, address: 192.168.24.13}
  - {name: worker1, role: agent, address: dhcp}
";

/// Runs the test it is called from once more in a network of its own, where every address of the
/// profile's network leads here; `true` there. Names must be those of the tests' threads.
pub fn isolated() -> bool {
    const INSIDE: &str = "BAKE_TEST_ISOLATED";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let thread = std::thread::current();
    let name = thread.name().filter(|name| name.contains("::")).expect("the name of a test");
    let enter = "ip link set lo up && ip route add local 192.168.24.0/24 dev lo && exec \"$@\"";
    let out = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", enter, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare");
    let said = [out.stdout, out.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).concat();
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
    false
}

pub struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    pub fn new(profile: &str) -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(desk.path("edge.yaml"), profile).unwrap();
        fs::write(desk.path("base.img"), "").unwrap();
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn put(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// `bake VERB --profile ./edge.yaml …`
    pub fn bake(&self, verb: &str, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bake"))
            .args([verb, "--profile", "./edge.yaml"])
            .args(more)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    pub fn good(&self, verb: &str, more: &[&str]) -> String {
        let out = self.bake(verb, more);
        assert!(out.status.success(), "{more:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Exit status and what was said.
    pub fn bad(&self, verb: &str, more: &[&str]) -> (i32, String) {
        let out = self.bake(verb, more);
        (out.status.code().unwrap(), String::from_utf8(out.stderr).unwrap())
    }

    pub fn secrets(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("edge.secrets.json")).unwrap()).unwrap()
    }

    /// A certificate for 127.0.0.1, issued by openssl below an authority of the secrets file.
    pub fn serving(&self, authority: &Value, names: &str) -> (String, String) {
        let text = |key: &str| authority[key].as_str().unwrap().to_owned();
        let ca = self.put("issuer.crt", &text("certificate"));
        let ca_key = self.put("issuer.key", &text("key"));
        let extensions = self.put("ext", &format!("subjectAltName={names}\n"));
        let (key, request) = (self.put("serving.key", ""), self.put("serving.csr", ""));
        let certificate = self.put("serving.crt", "");
        openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=server",
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-days",
            "5",
            "-extfile",
            &extensions,
            "-out",
            &certificate,
        ]);
        (certificate, key)
    }
}

/// What openssl prints; it must be content.
pub fn openssl(arguments: &[&str]) -> String {
    let out = Command::new("openssl").args(arguments).output().expect("openssl");
    let all = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{arguments:?}: {all}");
    all
}
