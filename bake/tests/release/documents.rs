//! What lies beside an output and inside it.

use std::fs;

use serde_json::Value;

use super::{bench, digest};

#[test]
fn every_output_says_what_it_is() {
    let bench = bench();
    bench.baked("alpha", &["--out", "alpha.img.zst"]);
    let read = |name: &str| fs::read_to_string(bench.path(name)).unwrap();
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    bench.done(&["cp", "-r", "alpha.img.zst:/etc/bake", "inside"]);
    assert_eq!(read("alpha.img.zst.spdx.json"), read("inside/sbom.spdx.json"));
    assert_eq!(read("alpha.img.zst.cdx.json"), read("inside/sbom.cdx.json"));
    let packages = json(&read("alpha.img.zst.spdx.json"))["packages"].to_string();
    assert!(packages.contains("pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=arm64"), "{packages}");
    assert!(packages.contains(&digest(&bench, "k3s")), "{packages}");
    assert!(!packages.contains("alpha"), "it is the role's: {packages}");

    let attestation = json(&read("alpha.img.zst.intoto.json"));
    let subject = &attestation["subject"];
    assert_eq!(subject[0]["name"], "alpha.img.zst");
    assert_eq!(subject[0]["digest"]["sha256"], digest(&bench, "alpha.img.zst"));
    super::run("zstd", &["-dq", &super::text(&bench.path("alpha.img.zst"))]);
    assert_eq!(subject[1]["name"], "alpha.img");
    assert_eq!(subject[1]["digest"]["sha256"], digest(&bench, "alpha.img"));
    let build = &attestation["predicate"]["buildDefinition"];
    assert_eq!(build["externalParameters"]["node"], "alpha");
    assert_eq!(
        build["externalParameters"]["profile"]["digest"]["sha256"],
        digest(&bench, "edge.yaml")
    );
    assert_eq!(build["resolvedDependencies"][0]["digest"]["sha256"], digest(&bench, "base.img"));

    let inside = json(&read("inside/provenance.json"));
    assert_eq!(inside["subject"][0]["name"], "/etc/bake/record.json");
    assert_eq!(inside["subject"][0]["digest"]["sha256"], digest(&bench, "inside/record.json"));
    let record = &attestation["predicate"]["runDetails"]["byproducts"][0];
    assert_eq!(record, &inside["subject"][0]);
    bench.done(&["verify", "alpha.img"]);
}

#[test]
fn it_can_be_left_out_and_is_not_overwritten() {
    let bench = bench();
    let beside = |image: &str| {
        let names = bench.listing().into_iter();
        names.filter_map(|n| n.strip_prefix(image).map(str::to_owned)).collect::<Vec<_>>()
    };
    bench.baked("alpha", &["--out", "bare.img", "--no-sbom"]);
    assert_eq!(beside("bare.img"), [""]);
    let listed = bench.done(&["ls", "bare.img:/etc/bake"]);
    assert!(listed.contains("record.json"), "{listed}");
    assert!(!listed.contains("sbom") && !listed.contains("provenance"), "{listed}");
    // Nobody takes the digest that an attestation is about.
    bench.baked("alpha", &["--out", "fast.img", "--fast"]);
    assert_eq!(beside("fast.img"), ["", ".cdx.json", ".spdx.json"]);
    // Baking it again takes all of it out and puts it in once more.
    bench.baked("alpha", &["--base", "fast.img", "--out", "again.img", "--no-sbom"]);
    assert_eq!(bench.done(&["diff", "bare.img", "again.img"]), "");
    fs::write(bench.path("alpha.img.cdx.json"), "mine").unwrap();
    let out = bench.bake("alpha", &["--out", "alpha.img"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(4) && said.contains("alpha.img.cdx.json"), "{said}");
    assert!(!bench.path("alpha.img").exists());
    assert_eq!(fs::read_to_string(bench.path("alpha.img.cdx.json")).unwrap(), "mine");
}
