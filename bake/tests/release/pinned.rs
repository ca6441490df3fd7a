//! Container images that a lock pins: every way to a node gives the same manifests.

use std::fs;

use super::registry_double::{Door, Registry, index};
use super::{Bench, bench, lock, release, run, text};

const MANIFESTS: &str = "/var/lib/rancher/k3s/server/manifests";
const METALLB: &str = "\
kind: Deployment
spec: {template: {spec: {containers: [{name: controller, image: quay.io/metallb/controller:v0.16.1}]}}}
---
kind: DaemonSet
spec: {template: {spec: {containers: [{name: speaker, image: quay.io/metallb/speaker:v0.16.1}]}}}
";

/// A bench whose nodes name container images of bake's, of another project's and of their own.
fn locked() -> (Bench, Registry, Vec<String>) {
    let (bench, registry) = (bench(), Registry::start(Door::Open));
    let digests = [
        ("metallb/controller", "v0.16.1"),
        ("metallb/speaker", "v0.16.1"),
        ("library/app", "latest"),
    ];
    let digests = digests.map(|(name, tag)| registry.push(name, tag, index(&["arm64"], name)));
    fs::write(bench.path("metallb.yaml"), METALLB).unwrap();
    fs::write(bench.path("app.yaml"), "kind: Pod\nspec: {containers: [{image: app}]}\n").unwrap();
    let pools =
        "cluster: {load_balancer: {provider: metallb, addresses: [192.168.24.60-192.168.24.69]}, ";
    let profile = fs::read_to_string(bench.path("edge.yaml")).unwrap();
    let profile = profile.replace("cluster: {", pools);
    fs::write(bench.path("edge.yaml"), format!("{profile}manifests: [app.yaml]\n")).unwrap();
    lock(&bench, &registry, &GIVEN);
    (bench, registry, digests.to_vec())
}

const GIVEN: [&str; 2] = ["--metallb-manifest", "metallb.yaml"];

fn manifests(bench: &Bench, image: &str) -> String {
    ["bake-kube-vip.yaml", "bake-metallb.yaml", "app.yaml"]
        .map(|name| bench.done(&["cat", &format!("{image}:{MANIFESTS}/{name}")]))
        .concat()
}

#[test]
fn a_release_image_becomes_the_node_with_the_same_digests() {
    let (bench, _registry, digests) = locked();
    bench.baked("alpha", &[&["--out", "alpha.img"], &GIVEN[..]].concat());
    let baked = manifests(&bench, "alpha.img");
    let named = ["controller:v0.16.1", "speaker:v0.16.1", "app"];
    for (name, digest) in named.iter().zip(&digests) {
        assert!(baked.contains(&format!("{name}@sha256:{digest}")), "{name}: {baked}");
    }
    assert!(baked.contains("/kube-vip:v1.2.3@sha256:"), "{baked}");
    release(&bench, "dist", &GIVEN);
    let packed = "dist/bake-edge-server-arm64.img.zst";
    let personalise = [
        "personalise",
        packed,
        "--profile",
        "./edge.yaml",
        "--node",
        "alpha",
        "--out",
        "other.img",
    ];
    bench.done(&personalise);
    assert_eq!(manifests(&bench, "other.img"), baked);
    run("cmp", &[&text(&bench.path("alpha.img")), &text(&bench.path("other.img"))]);
    let made_of = [&["--k3s", "k3s", "--firstboot", "firstboot"][..], &GIVEN].concat();
    for image in ["alpha.img", packed] {
        let attestation = format!("{image}.intoto.json");
        let rebuild = ["rebuild", "--profile", "./edge.yaml", "--attestation", &attestation];
        bench.done(&[&rebuild[..], &made_of].concat());
    }
    // A lock that says otherwise is another image.
    let lock = fs::read_to_string(bench.path("edge.lock.yaml")).unwrap();
    fs::write(bench.path("edge.lock.yaml"), lock.replace(&digests[0], &"5".repeat(64))).unwrap();
    bench.baked("alpha", &[&["--out", "spoilt.img"], &GIVEN[..]].concat());
    assert!(manifests(&bench, "spoilt.img").contains(&"5".repeat(64)));
}
