//! Every verb that makes something of a profile with a lock takes exactly what that says.

use std::fs::{self, File};

use super::registry_double::{Door, Registry};
use super::{Bench, bench, digest, run, text};

const MADE_OF: [&str; 4] = ["--k3s", "k3s", "--firstboot", "firstboot"];

/// The verbs, each with an output of its own, which `card` is for one of them.
fn verbs(card: Option<&str>) -> Vec<Vec<String>> {
    let mut verbs = vec![
        "fleet --profile ./edge.yaml --nodes alpha --out-dir made".to_owned(),
        "fleet --profile ./edge.yaml --nodes alpha --deltas --out-dir made".to_owned(),
        "release --profiles ./edge.yaml --compress zst --out-dir made".to_owned(),
    ];
    verbs.extend(card.map(|device| {
        format!("flash --profile ./edge.yaml --node alpha --allow-loop --yes --device {device}")
    }));
    let words = |line: String| line.split(' ').chain(MADE_OF).map(str::to_owned).collect();
    verbs.into_iter().map(words).collect()
}

/// A loop device on a file of zeroes; needs root.
struct Card(String);

impl Card {
    fn new(bench: &Bench) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        File::create(bench.path("card")).unwrap().set_len(256 << 20).unwrap();
        let device = run("losetup", &["--find", "--show", &text(&bench.path("card"))]);
        Some(Self(device.trim().to_owned()))
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        run("losetup", &["-d", &self.0]);
    }
}

#[test]
fn what_a_lock_does_not_have_is_refused_by_every_verb() {
    let bench = bench();
    let registry = Registry::start(Door::Open);
    super::lock(&bench, &registry, &[]);
    let card = Card::new(&bench);
    let lock = bench.path("edge.lock.yaml");
    let sound = fs::read_to_string(&lock).unwrap();
    let spoilt = |from: &str, to: &str| {
        assert!(sound.contains(from), "{from}: {sound}");
        sound.replacen(from, to, 1)
    };
    let wrong = "0".repeat(64);
    for (what, text) in [
        ("k3s", spoilt(&digest(&bench, "k3s"), &wrong)),
        ("firstboot", spoilt(&digest(&bench, "firstboot"), &wrong)),
        ("base.img.xz", spoilt(&digest(&bench, "base.img.xz"), &wrong)),
        ("v1.37.1+k3s1", spoilt("v1.36.5+k3s1", "v1.37.1+k3s1")),
    ] {
        fs::write(&lock, text).unwrap();
        for verb in verbs(card.as_ref().map(|card| card.0.as_str())) {
            let arguments: Vec<&str> = verb.iter().map(String::as_str).collect();
            let out = bench.run(&arguments);
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(out.status.code(), Some(3), "{what}: {arguments:?}: {said}");
            assert!(said.contains(what) && said.contains("bake lock --update"), "{what}: {said}");
            let made = fs::read_dir(bench.path("made")).map_or(0, |files| {
                files
                    .filter(|f| !f.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'))
                    .count()
            });
            assert_eq!(made, 0, "{what}: {arguments:?}");
        }
    }
    fs::write(&lock, &sound).unwrap();
    // What is taken is what the lock has, and every image says which lock it was.
    let names = digest(&bench, "edge.lock.yaml");
    for verb in verbs(card.as_ref().map(|card| card.0.as_str())) {
        let arguments: Vec<&str> = verb.iter().map(String::as_str).chain(["--locked"]).collect();
        bench.done(&arguments);
    }
    run("zstd", &["-dq", &text(&bench.path("made/bake-edge-agent-arm64.img.zst"))]);
    let flashed = card.is_some();
    drop(card);
    let images =
        ["made/alpha.img", "made/golden-server.img", "made/bake-edge-agent-arm64.img", "card"];
    for image in images.iter().take(if flashed { 4 } else { 3 }) {
        let record = bench.done(&["cat", &format!("{image}:/etc/bake/record.json")]);
        assert!(record.contains(&names), "{image}: {record}");
    }
    // None, where one is asked for, and one that is no lock.
    for spoilt in [None, Some("what: is this\n")] {
        fs::remove_file(&lock).unwrap();
        spoilt.inspect(|text| fs::write(&lock, text).unwrap());
        for verb in verbs(None) {
            let arguments: Vec<&str> =
                verb.iter().map(String::as_str).chain(["--locked"]).collect();
            let out = bench.run(&arguments);
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(out.status.code() == Some(2) && said.contains("edge.lock.yaml"), "{said}");
        }
        fs::write(&lock, &sound).unwrap();
    }
}
