//! What a release consists of, and how its images become nodes.

#[path = "../support/mod.rs"]
mod support;

mod cosign;
mod documents;
mod flash;
mod images;
mod locked;
mod os_list;
mod personalise;
mod pinned;
mod rebuild;
#[path = "../fetch/registry_double.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod registry_double;
#[path = "../fetch/server.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod server;
mod signed;

use registry_double::{Registry, index};
use support::bench::{Bench, text};
use support::run;

const PROFILE: &str = "\
version: 1
cluster: {name: edge, topology: embedded-etcd, vip: {address: 192.168.24.40, provider: kube-vip}}
image: ./base.img.xz
k3s: {version: v1.36.5+k3s1, airgap: false}
system:
  timezone: Europe/Berlin
  users: [{name: ops, sudo: true, ssh_keys: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0aXoGcZ5TkNq4dYJp7i6zQ9yN2h9f6Qm0s5m9Zl3Vd ops@laptop\"]}]
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1, dns: [192.168.24.1]}
nodes:
  - {name: alpha, role: server, address: 192.168.24.11}
  - {name: beta, role: server, address: 192.168.24.12}
  - {name: gamma, role: server, address: 192.168.24.13}
  - {name: worker, role: agent, address: dhcp}
";

/// A folder with everything a release needs, and the compressed base image, whose digest is known.
fn bench() -> Bench {
    let bench = Bench::new(PROFILE);
    let status = "Package: libc6\nStatus: install ok installed\nArchitecture: arm64\n\
                  Source: glibc (2.36-9)\nVersion: 2.36-9+deb12u1\n";
    std::fs::write(bench.path("status"), status).unwrap();
    bench.done(&["cp", "status", "base.img:/var/lib/dpkg/status"]);
    run("xz", &["-0", "-k", &text(&bench.path("base.img"))]);
    bench
}

/// A release compressed with zstd, for speed.
fn release(bench: &Bench, folder: &str, arguments: &[&str]) -> serde_json::Value {
    release_as("zst", bench, folder, arguments)
}

fn release_as(suffix: &str, bench: &Bench, folder: &str, arguments: &[&str]) -> serde_json::Value {
    let fixed = [
        &["release", "--json", "--quiet", "--profiles", "./edge.yaml", "--out-dir", folder],
        &["--k3s", "k3s", "--firstboot", "firstboot", "--compress", suffix][..],
        arguments,
    ];
    let said = bench.done(&fixed.concat());
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

/// Locks the profile by a registry that has kube-vip's container image.
fn lock(bench: &Bench, registry: &Registry, arguments: &[&str]) {
    registry.push("kube-vip/kube-vip", "v1.2.3", index(&["arm64"], "kube-vip"));
    let mirror = registry.server.url("").to_string();
    let fixed = ["lock", "--profile", "./edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"];
    bench.done(&[&fixed[..], &["--mirror", &mirror], arguments].concat());
}

fn digest(bench: &Bench, name: &str) -> String {
    run("sha256sum", &[&text(&bench.path(name))])[..64].to_owned()
}
