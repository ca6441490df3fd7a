//! An image of a release is made again from its attestation.

use std::fs;

use super::registry_double::{Door, Registry};
use super::support::bench::change;
use super::{bench, digest, lock, release, release_as};

const PROFILE: [&str; 6] = ["--profile", "./edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"];
const SERVER: &str = "dist/bake-edge-server-arm64.img.zst";

fn rebuild<'a>(attestation: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["rebuild", "--attestation", attestation], &PROFILE[..], more].concat()
}

/// Exit status 3, and what was said.
fn refused(bench: &super::Bench, arguments: &[&str]) -> String {
    let out = bench.run(arguments);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(3), "{arguments:?}: {said}");
    said
}

#[test]
fn it_is_the_same_and_needs_no_secrets() {
    let bench = bench();
    release(&bench, "dist", &[]);
    let before = bench.listing();
    for image in ["dist/bake-edge-agent-arm64.img.zst", SERVER] {
        let said = bench.done(&rebuild(&format!("{image}.intoto.json"), &[]));
        assert!(said.contains(&digest(&bench, image)), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
    assert_eq!(bench.listing(), before, "no secrets are made, nothing is left");
    assert!(!bench.path("edge.secrets.json").exists());
    let attestation = format!("{SERVER}.intoto.json");
    bench.done(&rebuild(&attestation, &["--out", "again.img.zst"]));
    assert_eq!(digest(&bench, "again.img.zst"), digest(&bench, SERVER));
}

#[test]
fn one_of_xz_is_made_again_and_a_delta_is_not() {
    let bench = bench();
    release_as("xz", &bench, "dist", &[]);
    let image = "dist/bake-edge-agent-arm64.img.xz";
    let attestation = format!("{image}.intoto.json");
    let said = bench.done(&rebuild(&attestation, &["--out", "again.img.xz"]));
    assert!(said.contains(&digest(&bench, image)), "{said}");
    assert_eq!(digest(&bench, "again.img.xz"), digest(&bench, image));

    let fleet = ["fleet", "--nodes", "worker", "--deltas", "--out-dir", "fleet"];
    bench.done(&[&fleet[..], &PROFILE].concat());
    let before = bench.listing();
    let out = bench.run(&rebuild("fleet/worker.delta.intoto.json", &[]));
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("about a delta") && said.contains("bake fleet --deltas"), "{said}");
    assert_eq!(bench.listing(), before);
}

#[test]
fn what_differs_is_refused() {
    let bench = bench();
    lock(&bench, &Registry::start(Door::Open), &[]);
    release(&bench, "dist", &["--locked"]);
    let attestation = format!("{SERVER}.intoto.json");
    let again = rebuild(&attestation, &[]);
    bench.done(&again);

    let image = bench.path(SERVER);
    let mut bytes = fs::read(&image).unwrap();
    let sound = bytes.clone();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&image, bytes).unwrap();
    let said = refused(&bench, &again);
    assert!(said.contains(SERVER) && said.contains("and must be"), "{said}");
    fs::write(&image, sound).unwrap();

    // A lock that is another one, also where the attestation was made to fit it.
    let (lock, told) = (bench.path("edge.lock.yaml"), bench.path(&attestation));
    let sound = [&lock, &told].map(|path| fs::read_to_string(path).unwrap());
    let before = digest(&bench, "edge.lock.yaml");
    change(&lock, &digest(&bench, "k3s"), &"0".repeat(64));
    let said = refused(&bench, &again);
    assert!(said.contains("edge.lock.yaml") && said.contains(&before), "{said}");
    change(&told, &before, &digest(&bench, "edge.lock.yaml"));
    let said = refused(&bench, &again);
    assert!(said.contains("k3s") && said.contains("bake lock --update"), "{said}");
    fs::write(&lock, &sound[0]).unwrap();
    fs::write(&told, &sound[1]).unwrap();
    bench.done(&again);

    // Another profile makes another record and another image of the same parts.
    let said = refused(&bench, &rebuild(&attestation, &["--set", "system.timezone=UTC"]));
    assert!(said.contains("output bake-edge-server-arm64.img.zst"), "{said}");
    assert!(said.contains("another profile"), "{said}");
}
