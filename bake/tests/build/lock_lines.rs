//! Every line of a lock counts: changed in any way it is refused, and nothing is written, or what
//! is baked is the same but for the digest of the lock in its record.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::registry_double::{Door, Registry, index};
use super::support::bench::{Bench, SINGLE, text};
use super::support::run;

/// What may say something else: which bytes come out is not the lock's to prove here.
const FREE: [&str; 2] = [
    // Everything is dated by it.
    "time: ",
    // A file of the user's may be called anything.
    "  image: ",
];

/// Of a container image the lock's word is all there is: `bake lock --check` asks its registry.
fn is_free(lines: &[&str], at: usize) -> bool {
    let images = lines.iter().position(|line| *line == "container_images:").unwrap_or(usize::MAX);
    FREE.iter().any(|free| lines[at].starts_with(free))
        || (at > images && lines[at].starts_with("  sha256: "))
}

fn bake(bench: &Bench, arguments: &[&str]) -> Output {
    let given = ["--profile", "./edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"];
    let more = ["--airgap-images", "images", "--packages", "debs", "--cache-dir", "cache", "-q"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_bake"));
    program.args(arguments).args(given).args(more).current_dir(bench.dir.path());
    program.env_remove("SOURCE_DATE_EPOCH").output().unwrap()
}

/// A package without content.
fn deb(folder: &Path, name: &str, depends: &str) {
    let tree = folder.join(name);
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\n\
         Depends: {depends}\nDescription: none\n"
    );
    fs::write(tree.join("DEBIAN/control"), control.replace("Depends: \n", "")).unwrap();
    run("dpkg-deb", &["--root-owner-group", "-b", &text(&tree), &text(folder)]);
    fs::remove_dir_all(tree).unwrap();
}

/// A bench with something of every kind that a lock pins, and its lock.
fn bench() -> (Bench, String) {
    let (bench, registry) = (Bench::new(SINGLE), Registry::start(Door::Open));
    let profile = SINGLE
        .replace("airgap: false", "airgap: true")
        .replace("topology: single", "topology: embedded-etcd, vip: {address: 192.168.24.40}")
        .replace(
            "nodes:",
            "manifests: [m/*.yaml]\nfiles: [{path: /etc/motd, source: motd}]\nnodes:",
        )
        + "  - {name: node2, role: server, address: 192.168.24.12}\n"
        + "  - {name: node3, role: server, address: 192.168.24.13}\n";
    fs::write(bench.path("edge.yaml"), profile).unwrap();
    fs::create_dir(bench.path("m")).unwrap();
    let name = registry.name();
    registry.push("app", "1", index(&["arm64"], ""));
    let pod =
        format!("kind: Pod\nspec: {{containers: [{{image: {name}/app:1}}, {{image: held:1}}]}}\n");
    fs::write(bench.path("m/a.yaml"), pod).unwrap();
    fs::write(bench.path("motd"), "hello\n").unwrap();
    fs::write(bench.path("manifest.json"), "[{\"RepoTags\": [\"held:1\"]}]").unwrap();
    let here = text(bench.dir.path());
    run("tar", &["-C", &here, "--zstd", "-cf", &text(&bench.path("images")), "manifest.json"]);
    for (name, depends) in
        [("haproxy", "libtwo"), ("iputils-arping", ""), ("keepalived", ""), ("libtwo", "")]
    {
        deb(&bench.path("debs"), name, depends);
    }
    let made = bake(&bench, &["lock"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let lock = fs::read_to_string(bench.path("edge.lock.yaml")).unwrap();
    (bench, lock)
}

/// Other values for `value`, each of its kind.
fn others(value: &str) -> Vec<String> {
    let is_digest = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest {
        let last = if value.ends_with('0') { "1" } else { "0" };
        return vec!["0".repeat(64), format!("{}{last}", &value[..63]), value[..63].to_owned()];
    }
    if let Ok(number) = value.parse::<u64>() {
        let more = ["0", "-1", "1e3", "18446744073709551616"].map(str::to_owned);
        return [vec![(number + 1).to_string()], more.to_vec()].concat();
    }
    let longer = format!("{}x", value.trim_matches('"'));
    vec![longer, "../../../../../etc/shadow".into(), "\"\"".into(), "~".into(), "\"a\\eb\"".into()]
}

#[test]
fn a_changed_line_is_refused() {
    let (bench, lock) = bench();
    let out = ["--node", "node2", "--out", "node2.img", "--locked", "--fast"];
    let sound = bake(&bench, &out);
    assert!(sound.status.success(), "{}", String::from_utf8_lossy(&sound.stderr));
    for beside in ["", ".spdx.json", ".cdx.json"] {
        fs::remove_file(bench.path(&format!("node2.img{beside}"))).unwrap();
    }
    let before = bench.listing();
    let (mut tried, mut kinds) = (0, std::collections::BTreeSet::new());
    let lines: Vec<&str> = lock.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let start = line.find(": ").map(|i| i + 2).or_else(|| line.rfind("- ").map(|i| i + 2));
        let values = match start {
            Some(start) if !is_free(&lines, at) => {
                kinds.insert(&line[..start]);
                others(&line[start..]).iter().map(|v| format!("{}{v}\n", &line[..start])).collect()
            }
            _ => Vec::new(),
        };
        // And the line is gone.
        for changed in values.into_iter().chain([String::new()]) {
            let mut all = lines.clone();
            all[at] = changed.trim_end();
            fs::write(bench.path("edge.lock.yaml"), all.join("\n")).unwrap();
            let refused = bake(&bench, &out);
            let said = String::from_utf8_lossy(&refused.stderr);
            let context = format!("line {}: {line} -> {changed}: {said}", at + 1);
            assert!(matches!(refused.status.code(), Some(2 | 3)), "{context}");
            assert!(said.contains("bake lock --update") || said.contains("yours"), "{context}");
            assert_eq!(bench.listing(), before, "{context}");
            tried += 1;
        }
    }
    assert!(tried > 150 && kinds.len() > 15, "{tried} of {kinds:?}");
}
