//! No secret is where it must not be: whole clusters are baked, and every byte that came of it is
//! searched for every secret in every form. The tables here say who may have what, and where;
//! anything else fails.

#[path = "../support/mod.rs"]
mod support;

mod needles;
mod outputs;
mod where_they_belong;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use needles::{Found, Needles, of_file};
use support::bench::{BOOT, Bench, ROOT, text};
use support::run;
use where_they_belong::{Node, places};

/// 32 random bytes each, as the profile has them.
const WIFI: &str = "9d1f3c27b85e6a40f1c2d3e4a5b69788f0e1d2c3b4a5968778695a4b3c2d1e0f";
const ENVIRONMENT: &str = "5b0c6e1d9f2a4837c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3";
const CONFIG: &str = "e7a90b1c2d3f4e5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d9";
const FILE: &str = "c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d3";
const HASH: &str = "$6$c2FsdA$k1QH8bVtW0oZpYx3nR7mJ5sLdCfGaUeXiTqKwN2yBvM9z4OoPlAhDjEgFrSIu6k1QH8bVtW0oZpYx3nR7mJ5";
const OWN: [(&str, &str); 5] = [
    ("profile.psk", WIFI),
    ("profile.env", ENVIRONMENT),
    ("profile.config", CONFIG),
    ("profile.file", FILE),
    ("profile.hash", HASH),
];

/// A shipped profile with an agent, and every kind of secret that a profile can have.
fn profile(shipped: &str) -> String {
    let system = format!(
        "system:\n  users: [{{name: ops, password_hash: \"{HASH}\"}}]\n  \
         wifi: {{ssid: lab, psk: \"{WIFI}\", country: DE}}\n"
    );
    let k3s = format!("k3s:\n  env: {{SOME_KEY: \"{ENVIRONMENT}\"}}\n");
    let k3s = match shipped.contains("embedded-etcd") {
        true => format!("{k3s}  config: {{etcd-s3-secret-key: \"{CONFIG}\"}}\n"),
        false => k3s,
    };
    let own = format!(
        "{shipped}  - {{name: worker1, role: agent, address: 192.168.24.31}}\n\
         files:\n  - {{path: /etc/own.key, mode: \"0600\", content: \"{FILE}\"}}\n"
    );
    own.replace("image: raspios-lite-arm64-bookworm", "image: ./base.img")
        .replace("airgap: true", "airgap: false")
        .replace(
            "provider: metallb, addresses: [192.168.24.41-192.168.24.49]",
            "provider: servicelb",
        )
        .replace("system:\n", &system)
        .replace("k3s:\n", &k3s)
}

/// What the program said in all its runs.
struct Said(Vec<(String, Vec<u8>)>);

impl Said {
    fn run(&mut self, bench: &Bench, arguments: &[&str]) -> Option<i32> {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_bake"))
            .args(["--cache-dir", "cache"])
            .args(arguments)
            .current_dir(bench.dir.path())
            .env("TMPDIR", bench.path("tmp"))
            .env("SOURCE_DATE_EPOCH", "1750000000")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        self.0.push((format!("{arguments:?}"), [out.stdout, out.stderr].concat()));
        out.status.code()
    }

    /// The secrets that can be read in it.
    fn shows(&self, needles: &Needles) -> Vec<String> {
        let mut wrong = Vec::new();
        for (run, output) in &self.0 {
            let found = needles.count(output);
            wrong.extend(
                found.keys().map(|(secret, form)| format!("{run} shows {secret} as {form}")),
            );
        }
        wrong
    }

    fn last(&self) -> String {
        String::from_utf8_lossy(&self.0.last().unwrap().1).into_owned()
    }
}

fn packages(bench: &Bench) {
    for name in ["haproxy", "iputils-arping", "keepalived", "postgresql"] {
        let control = bench.path(&format!("{name}/DEBIAN"));
        fs::create_dir_all(&control).unwrap();
        let text = format!(
            "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: test <t@example.org>\nDescription: none\n"
        );
        fs::write(control.join("control"), text).unwrap();
        let (from, to) = (bench.path(name), bench.path(&format!("debs/{name}.deb")));
        fs::create_dir_all(bench.path("debs")).unwrap();
        run(
            "dpkg-deb",
            &["--root-owner-group", "-b", &from.to_string_lossy(), &to.to_string_lossy()],
        );
    }
}

const BAKE: [&str; 10] = [
    "--profile",
    "./edge.yaml",
    "--k3s",
    "k3s",
    "--firstboot",
    "firstboot",
    "--packages",
    "debs",
    "-v",
    "--node",
];

/// Bakes every node, and provokes what can go wrong; every output is in the folder or in what is
/// returned.
fn bake_all(bench: &Bench, nodes: &[Node]) -> Said {
    let mut said = Said(Vec::new());
    for node in nodes {
        let image = format!("{}.img", node.name);
        let bake = [&BAKE[..], &[node.name]].concat();
        assert_eq!(
            said.run(bench, &[&bake[..], &["--out", &image]].concat()),
            Some(0),
            "{}",
            said.last()
        );
        assert_eq!(
            said.run(bench, &[&bake[..], &["--dry-run"]].concat()),
            Some(0),
            "{}",
            said.last()
        );
        let json = format!("{}.json.img", node.name);
        let again = said.run(
            bench,
            &[&BAKE[..8], &["--json", "--node", node.name, "--out", &json, "--bmap"]].concat(),
        );
        assert_eq!(again, Some(0), "{}", said.last());
        said.run(bench, &[&bake[..], &["--dry-run", "--json"]].concat());
        said.run(bench, &["inspect", &image, "--json"]);
        said.run(bench, &["ls", "-R", &format!("{image}:/")]);
        said.run(bench, &["verify", &image, "--profile", "./edge.yaml", "-v"]);
        said.run(
            bench,
            &["verify", &image, "--profile", "./edge.yaml", "--node", nodes[0].name, "--json"],
        );
        said.run(bench, &["profile", "show", "./edge.yaml", "--node", node.name]);
        said.run(bench, &["profile", "show", "./edge.yaml", "--node", node.name, "--json"]);
    }
    said.run(bench, &["diff", "node1.img", "worker1.img"]);
    said.run(bench, &["diff", "node1.img", "base.img", "--json"]);
    let profile = ["--profile", "./edge.yaml"];
    for arguments in
        [&["secrets", "show"][..], &["secrets", "show", "--json"], &["secrets", "show", "--reveal"]]
    {
        said.run(bench, &[arguments, &profile].concat());
    }
    errors(bench, &mut said);
    said
}

fn errors(bench: &Bench, said: &mut Said) {
    let node = [&BAKE[..], &["node1", "--out", "never.img"]].concat();
    let too_long = format!("system.wifi.psk={WIFI}{WIFI}");
    let no_hash = format!("system.users[0].password_hash={ENVIRONMENT} {ENVIRONMENT}");
    let no_text = format!("k3s.env.SOME_KEY=[{ENVIRONMENT}]");
    let no_file = format!("files[0].mode={FILE}");
    for set in [&too_long, &no_hash, &no_text, &no_file] {
        for more in [&[][..], &["--json"]] {
            let code = said.run(bench, &[&node[..], more, &["--set", set]].concat());
            assert_eq!(code, Some(2), "{set}: {}", said.last());
        }
    }
    let path = bench.path("edge.secrets.json");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("\"version\": 2", "\"version\": \"2\""),
        ("\"created\":", "\"created\": \"x\", \"was\":"),
        ("\"server_token\": ", "\"server_token\": 7, \"was\": "),
        ("\"key\": \"-----BEGIN", "\"kex\": \"-----BEGIN"),
    ] {
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        for more in [&["-v"][..], &["--json"]] {
            let arguments = [&["secrets", "show", "--profile", "./edge.yaml"], more].concat();
            assert_ne!(said.run(bench, &arguments), Some(0), "{from}");
        }
        assert_ne!(said.run(bench, &node), Some(0), "{from}");
    }
    fs::write(&path, good).unwrap();
    run("chmod", &["644", &text(&path)]);
    assert_eq!(said.run(bench, &node), Some(4), "{}", said.last());
    run("chmod", &["600", &text(&path)]);
}

/// A file of an image's root, and its mode and owner, as debugfs has them.
fn read(image: &Path, path: &str) -> Option<(Vec<u8>, String)> {
    let at = format!("{}?offset={ROOT}", image.display());
    let out = |command: &str| {
        let run = std::process::Command::new("debugfs").args(["-R", command, &at]).output();
        run.unwrap().stdout
    };
    let stat = String::from_utf8_lossy(&out(&format!("stat {path}"))).into_owned();
    let word = |after: &str| Some(stat.split(after).nth(1)?.split_whitespace().next()?.to_owned());
    let mode = format!("{} {}", word("Mode:")?, word("User:")?);
    Some((out(&format!("cat {path}")), mode))
}

/// Every place of a secret in an image that is not in the node's table.
fn strays(image: &Path, node: &Node, needles: &Needles) -> Vec<String> {
    let bytes = fs::read(image).unwrap();
    let mut strays = Vec::new();
    let (boot, len) = (BOOT.0 as usize, BOOT.1 as usize);
    for ((secret, form), _) in needles.count(&bytes[boot..boot + len]) {
        strays.push(format!("{secret} as {form} on the FAT partition"));
    }
    let mut allowed = Found::new();
    for (path, mode, secrets) in places(node) {
        let Some((content, found)) = read(image, path) else {
            strays.push(format!("{path} is missing"));
            continue;
        };
        if found != mode {
            strays.push(format!("{path} has mode and owner {found}"));
        }
        let counted = needles.count(&content);
        for secret in &secrets {
            if !counted.keys().any(|(found, _)| found == *secret) {
                strays.push(format!("{path} has no {secret}: the table or the search is wrong"));
            }
        }
        for ((secret, form), times) in counted {
            if secrets.contains(&secret.as_str()) {
                *allowed.entry((secret, form)).or_default() += times;
            }
        }
    }
    // Counted over the whole image, free blocks and journal included.
    for (key, times) in needles.count(&bytes) {
        let known = allowed.get(&key).copied().unwrap_or(0);
        if times != known {
            strays.push(format!("{} as {}: {times} times, {known} where it belongs", key.0, key.1));
        }
    }
    strays
}

fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// The cluster's secrets with those of the profile, and a search for them.
fn needles_of(bench: &Bench) -> (BTreeMap<String, String>, Needles) {
    let mut secrets = of_file(&fs::read_to_string(bench.path("edge.secrets.json")).unwrap());
    assert!(secrets.len() >= 20, "{:?}", secrets.keys());
    secrets.extend(OWN.map(|(what, text)| (what.to_owned(), text.to_owned())));
    let needles = Needles::new(&secrets);
    (secrets, needles)
}

fn scan(shipped: &str, nodes: &[Node]) {
    let bench = Bench::new(&profile(shipped));
    packages(&bench);
    fs::create_dir(bench.path("tmp")).unwrap();
    let said = bake_all(&bench, nodes);
    let (secrets, needles) = needles_of(&bench);
    let mut wrong = said.shows(&needles);
    for node in nodes {
        for image in [format!("{}.img", node.name), format!("{}.json.img", node.name)] {
            let strays = strays(&bench.path(&image), node, &needles);
            wrong.extend(strays.into_iter().map(|stray| format!("{image}: {stray}")));
        }
    }
    let mut others = Vec::new();
    files_below(bench.dir.path(), &mut others);
    for path in others {
        let name = text(&path);
        if name.ends_with(".img") || name.ends_with("edge.yaml") || name.ends_with(".secrets.json")
        {
            continue;
        }
        let found = needles.count(&fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}")));
        wrong.extend(found.keys().map(|(secret, form)| format!("{name}: {secret} as {form}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    can_fail(&bench, &nodes[0], &secrets, &needles);
}

/// The search finds what is put where it must not be.
fn can_fail(bench: &Bench, node: &Node, secrets: &BTreeMap<String, String>, needles: &Needles) {
    let image = bench.path(&format!("{}.img", node.name));
    let token = &secrets["server_token"];
    for (at, content, expected) in [
        (BOOT.0 + BOOT.1 - 4096, token.clone(), "FAT partition"),
        // The last block of the root file system is free.
        (fs::metadata(&image).unwrap().len() - 4096, hex::encode(token), "server_token as hex"),
    ] {
        let copy = bench.path("copy.img");
        fs::copy(&image, &copy).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&copy).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, content.as_bytes(), at).unwrap();
        let strays = strays(&copy, node, needles);
        assert!(strays.iter().any(|stray| stray.contains(expected)), "{strays:?}");
    }
}

#[test]
fn three_servers_with_etcd_and_an_agent() {
    let nodes = [
        Node::server("node1"),
        Node::server("node2"),
        Node::server("node3"),
        Node::agent("worker1"),
    ];
    scan(include_str!("../../../profiles/master3.yaml"), &nodes);
}

#[test]
fn two_servers_with_a_database_and_an_agent() {
    let server = |name| Node { database: true, ..Node::server(name) };
    let nodes = [Node::database("db1"), server("node1"), server("node2"), Node::agent("worker1")];
    scan(include_str!("../../../profiles/master2-postgres.yaml"), &nodes);
}
