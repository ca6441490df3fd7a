//! Fleets: the same bytes as one by one, from images and from deltas.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use super::support::bench::{Bench, ROOT, SINGLE, text};
use super::support::run;

const NODES: [&str; 4] = ["node1", "rack1", "rack2", "rack3"];

const PROFILE: &str = "\
version: 1
cluster: {name: attic, topology: single}
image: ./base.img
k3s: {version: v1.36.5+k3s1, airgap: false}
system:
  users: [{name: ops, ssh_keys: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0aXoGcZ5TkNq4dYJp7i6zQ9yN2h9f6Qm0s5m9Zl3Vd ops@laptop\"]}]
  wifi: {ssid: Field Lab, psk: correct horse battery, country: DE}
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1, dns: [192.168.24.1]}
files:
  - {path: /opt/open, content: everybody may read this}
  - {path: /opt/closed, content: the private file of the profile, mode: '0600'}
nodes:
  - {name: node1, role: server, address: 192.168.24.11}
  - {name: 'rack{1..3}', role: agent, address: 192.168.24.20-192.168.24.29}
";

fn bench() -> Bench {
    let bench = Bench::new(SINGLE);
    fs::write(bench.path("attic.yaml"), PROFILE).unwrap();
    bench
}

const MATERIALS: [&str; 8] = [
    "--profile",
    "./attic.yaml",
    "--k3s",
    "k3s",
    "--firstboot",
    "firstboot",
    "--cache-dir",
    "cache",
];

fn fleet(bench: &Bench, arguments: &[&str]) -> Output {
    bench.program().arg("fleet").args(MATERIALS).args(arguments).output().unwrap()
}

/// What a run that went well printed.
fn good(out: &Output) -> String {
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn alone(bench: &Bench, node: &str, out: &str) {
    let mut program = bench.program();
    good(&program.args(MATERIALS).args(["--node", node, "--out", out]).output().unwrap());
}

fn apply(bench: &Bench, golden: &str, delta: &str, out: &str) -> Output {
    let arguments = ["apply", golden, delta, "--out", out, "--cache-dir", "cache"];
    bench.program().args(arguments).output().unwrap()
}

fn golden(node: &str) -> &'static str {
    if node == "node1" { "d/golden-server.img" } else { "d/golden-agent.img" }
}

/// Every secret of the cluster, as it would stand in a file.
fn secrets(bench: &Bench) -> Vec<String> {
    fn walk(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) if text.contains("PRIVATE KEY") => {
                found.push(text.lines().nth(1).unwrap().to_owned());
            }
            serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
                match value.as_str().filter(|_| key.contains("token") || key.contains("password")) {
                    Some(text) => found.push(text.to_owned()),
                    None => walk(value, found),
                }
            }),
            _ => {}
        }
    }
    let text = fs::read(bench.path("attic.secrets.json")).unwrap();
    let mut found = Vec::new();
    walk(&serde_json::from_slice(&text).unwrap(), &mut found);
    assert!(found.len() > 15 && found.iter().all(|secret| secret.len() >= 8), "{}", found.len());
    found.extend(["correct horse battery".into(), "the private file of the profile".into()]);
    found
}

/// Which of these texts stand anywhere in a file.
fn found(bench: &Bench, file: &str, texts: &[String]) -> String {
    fs::write(bench.path("texts"), texts.join("\n")).unwrap();
    let arguments = ["-a", "-o", "-F", "-f", "texts", file];
    let out = Command::new("grep").args(arguments).current_dir(bench.dir.path()).output().unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn a_fleet_gives_the_same_bytes_as_nodes_one_by_one() {
    let bench = bench();
    let said = good(&fleet(&bench, &["--deltas", "--out-dir", "d", "--jobs", "2"]));
    assert!(said.contains("4 baked"), "{said}");
    good(&fleet(&bench, &["--out-dir", "full", "--fast"]));
    let mode = |path: &str| fs::metadata(bench.path(path)).unwrap().permissions().mode() & 0o777;
    for node in NODES {
        let (image, delta) = (format!("full/{node}.img"), format!("d/{node}.delta"));
        assert_eq!((mode(&image), mode(&delta)), (0o600, 0o600));
        bench.judge(&image);
        let single = format!("{node}.img");
        alone(&bench, node, &single);
        let whole = fs::read(bench.path(&image)).unwrap();
        assert!(whole == fs::read(bench.path(&single)).unwrap(), "{node} alone is another");
        good(&apply(&bench, golden(node), &delta, "applied.img"));
        assert!(whole == fs::read(bench.path("applied.img")).unwrap(), "{node}'s delta is wrong");
        fs::remove_file(bench.path("applied.img")).unwrap();
        let verify = ["verify", &single, "--profile", "./attic.yaml", "--node", node];
        good(&bench.program().args(verify).args(["--cache-dir", "cache"]).output().unwrap());
    }
    // What all share holds no secret, and nothing of any node.
    for role in ["server", "agent"] {
        let name = format!("d/golden-{role}.img");
        bench.judge(&name);
        assert_eq!(found(&bench, &name, &secrets(&bench)), "");
        assert_eq!(found(&bench, &name, &["rack2".into(), "192.168.24.2".into()]), "");
        assert_ne!(found(&bench, &name, &["everybody may read this".into()]), "");
        let said = good(&bench.program().args(["inspect", &name]).output().unwrap());
        assert!(said.contains("what all nodes of a role share"), "{said}");
        good(&bench.program().args(["verify", &name]).output().unwrap());
    }
    // And the search finds what is there.
    assert_ne!(found(&bench, "full/rack2.img", &secrets(&bench)), "");
    let offset = format!("{}?offset={ROOT}", text(&bench.path("full/rack2.img")));
    let shown = run("debugfs", &["-R", "cat /etc/hostname", &offset]);
    assert!(shown.contains("rack2\n"), "{shown}");
}

#[test]
fn golden_images_and_deltas_have_bills_and_attestations_beside_them() {
    let bench = bench();
    let nodes = ["--nodes", "rack1,rack2"];
    good(&fleet(&bench, &[&["--deltas", "--out-dir", "d"], &nodes[..]].concat()));
    let read = |name: &str| fs::read(bench.path(name)).unwrap();
    for name in ["golden-agent.img", "rack1.delta", "rack2.delta"] {
        for suffix in ["spdx", "cdx"] {
            let bill = read(&format!("d/{name}.{suffix}.json"));
            assert!(bill == read(&format!("d/golden-agent.img.{suffix}.json")), "{name}");
            serde_json::from_slice::<serde_json::Value>(&bill).unwrap();
        }
        let statement = read(&format!("d/{name}.intoto.json"));
        let statement: serde_json::Value = serde_json::from_slice(&statement).unwrap();
        let sum = run("sha256sum", &[text(&bench.path(&format!("d/{name}"))).as_str()]);
        assert_eq!(statement["subject"][0]["name"], name);
        assert_eq!(statement["subject"][0]["digest"]["sha256"], sum[..64]);
    }
    // The same bill as an image's own, and none where none is wanted.
    alone(&bench, "rack1", "rack1.img");
    assert!(read("rack1.img.spdx.json") == read("d/rack1.delta.spdx.json"));
    good(&fleet(&bench, &[&["--deltas", "--no-sbom", "--out-dir", "n"], &nodes[..]].concat()));
    let left = fs::read_dir(bench.path("n")).unwrap().count();
    assert_eq!(left, 4, "a golden image, two deltas, fleet.json");
}

#[test]
fn compressed_images_unpack_to_the_images() {
    let bench = bench();
    let nodes = ["--nodes", "rack2"];
    good(&fleet(&bench, &[&["--fast", "--out-dir", "plain"], &nodes[..]].concat()));
    for (suffix, program) in [("zst", "zstd"), ("xz", "xz")] {
        let compress = ["--compress", suffix];
        good(&fleet(&bench, &[&["--out-dir", suffix], &compress[..], &nodes].concat()));
        let image = format!("{suffix}/rack2.img");
        let packed = text(&bench.path(&format!("{image}.{suffix}")));
        let statement = fs::read(format!("{packed}.intoto.json")).unwrap();
        let statement: serde_json::Value = serde_json::from_slice(&statement).unwrap();
        let sum = |path: &str| run("sha256sum", &[path])[..64].to_owned();
        let said = |at: usize| statement["subject"][at]["digest"]["sha256"].clone();
        assert_eq!(said(0), sum(&packed), "{suffix}");
        run(program, &["-t", &packed]);
        run(program, &["-d", "-k", &packed]);
        let whole = fs::read(bench.path("plain/rack2.img")).unwrap();
        assert!(whole == fs::read(bench.path(&image)).unwrap(), "{packed} is another image");
        assert_eq!(said(1), sum(&text(&bench.path(&image))), "{suffix}");
        bench.judge(&image);
        // A golden image that is compressed is one too.
        let deltas = ["--deltas", "--nodes", "rack2", "--out-dir", "d"];
        good(&fleet(&bench, &[&deltas[..], &compress].concat()));
        let golden = format!("d/golden-agent.img.{suffix}");
        good(&apply(&bench, &golden, "d/rack2.delta", "applied.img"));
        let (applied, whole) = (bench.path("applied.img"), bench.path("plain/rack2.img"));
        assert!(fs::read(&applied).unwrap() == fs::read(whole).unwrap(), "{golden}");
        for made in ["d", suffix] {
            fs::remove_dir_all(bench.path(made)).unwrap();
        }
        fs::remove_file(applied).unwrap();
    }
}

#[test]
fn one_node_of_a_range_can_be_set() {
    let bench = bench();
    let set = ["--set", "nodes.rack2.address=192.168.24.77", "--nodes", "rack1,rack2,rack3"];
    good(&fleet(&bench, &[&["--fast", "--out-dir", "f"], &set[..]].concat()));
    for (node, address) in [("rack1", 20), ("rack2", 77), ("rack3", 22)] {
        let image = format!("{}?offset={ROOT}", text(&bench.path(&format!("f/{node}.img"))));
        let shown =
            run("debugfs", &["-R", &format!("cat {}", nodeconf::paths::NODE_CONFIG), &image]);
        assert!(shown.contains(&format!("\"192.168.24.{address}\"")), "{node}: {shown}");
    }
}

#[test]
fn only_what_has_changed_is_baked_and_one_that_fails_stops_none() {
    let bench = bench();
    let again = |more: &[&str]| fleet(&bench, &[&["--deltas", "--out-dir", "d"], more].concat());
    let time = |name: &str| fs::metadata(bench.path(name)).unwrap().modified().unwrap();
    assert!(good(&again(&["--nodes", "rack2,rack1"])).contains("2 baked"));
    let first = time("d/rack1.delta");
    let said = good(&again(&[]));
    assert!(said.contains("2 baked, 2 unchanged"), "{said}");
    assert_eq!(time("d/rack1.delta"), first);
    // A golden image that is the same is not written again either.
    let golden = time("d/golden-agent.img");
    fs::remove_file(bench.path("d/rack3.delta")).unwrap();
    assert!(good(&again(&[])).contains("1 baked, 3 unchanged"));
    assert_eq!(time("d/golden-agent.img"), golden);
    // One that is gone is.
    fs::remove_file(bench.path("d/golden-agent.img")).unwrap();
    assert!(good(&again(&[])).contains("0 baked, 4 unchanged"));
    assert!(bench.path("d/golden-agent.img").exists());
    // Something of somebody else's is in the way of one node.
    fs::write(bench.path("d/rack1.delta"), "mine").unwrap();
    let out = again(&["--set", "system.timezone=Europe/Berlin"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(4), "{said}");
    assert!(said.contains("1 of 4 nodes failed: rack1"), "{said}");
    assert!(String::from_utf8_lossy(&out.stdout).contains("3 baked, 1 failed"));
    assert_eq!(fs::read(bench.path("d/rack1.delta")).unwrap(), b"mine");
    let forced = again(&["--set", "system.timezone=Europe/Berlin", "--force"]);
    assert!(good(&forced).contains("4 baked"));
    // The incarnation rose once, with what the nodes are made from, and not with `--force`.
    let secrets = fs::read_to_string(bench.path("attic.secrets.json")).unwrap();
    assert_eq!(secrets.matches("\"incarnation\": 2").count(), 4, "each is its second card");
}

#[test]
fn a_delta_that_is_damaged_or_for_another_image_is_not_applied() {
    let bench = bench();
    // What is said to be the golden image of a delta is.
    for nodes in ["node1,rack1", "rack2", "rack1,node1"] {
        let said = good(&fleet(&bench, &["--deltas", "--out-dir", "d", "--nodes", nodes]));
        let told = said.lines().find_map(|line| line.strip_prefix("An image: bake ")).expect(&said);
        good(&bench.program().args(told.split(' ')).args(["--force"]).output().unwrap());
    }
    let refused = |golden: &str, delta: &str| {
        let out = apply(&bench, golden, delta, "o.img");
        assert!(!bench.path("o.img").exists());
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, said) = refused(golden("node1"), "d/rack1.delta");
    assert!(code == Some(3) && said.contains("another golden image"), "{code:?} {said}");
    let mut bytes = fs::read(bench.path("d/rack1.delta")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(bench.path("bad.delta"), &bytes).unwrap();
    assert_eq!(refused(golden("rack1"), "bad.delta").0, Some(3));
    bytes[middle] ^= 0x40;
    fs::write(bench.path("bad.delta"), &bytes[..bytes.len() - 9]).unwrap();
    let (code, said) = refused(golden("rack1"), "bad.delta");
    assert!(code == Some(3) && said.contains("bad.delta"), "{code:?} {said}");
    // One byte of what all share has changed.
    let mut image = fs::read(bench.path(golden("rack1"))).unwrap();
    image[ROOT as usize + 1024 + 0x78] ^= 1;
    fs::write(bench.path("changed.img"), image).unwrap();
    assert_eq!(refused("changed.img", "d/rack1.delta").0, Some(3));
}
