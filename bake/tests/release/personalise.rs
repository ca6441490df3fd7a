//! A release image becomes the node that baking it would have given.

use std::fs;

use super::{bake, bench, digest, node, release, run, text};

const SERVER: &str = "dist/bake-edge-server-arm64.img";

fn personalise(bench: &super::Bench, image: &str, arguments: &[&str]) {
    let fixed: [&str; 4] = ["personalise", image, "--profile", "./edge.yaml"];
    bake(bench, &[&fixed[..], arguments].concat());
}

#[test]
fn it_is_the_image_that_baking_gives() {
    let bench = bench();
    release(&bench, "dist", &[]);
    for name in ["alpha", "worker"] {
        node(&bench, name, &["--out", "baked.img", "--force"]);
        let role = if name == "worker" { "agent" } else { "server" };
        let packed = format!("dist/bake-edge-{role}-arm64.img.zst");
        personalise(&bench, &packed, &["--node", name, "--out", &format!("{name}.img")]);
        run("cmp", &[&text(&bench.path("baked.img")), &text(&bench.path(&format!("{name}.img")))]);
        bench.judge(&format!("{name}.img"));
        let beside = |image: &str| fs::read_to_string(bench.path(image)).unwrap();
        let attested = beside(&format!("{name}.img.intoto.json"));
        assert_eq!(
            attested,
            beside("baked.img.intoto.json").replace("baked.img", &format!("{name}.img"))
        );
    }
    // The other way round: the secrets are there from a personalised node.
    run("zstd", &["-dqk", &text(&bench.path("dist/bake-edge-server-arm64.img.zst"))]);
    personalise(&bench, SERVER, &["--node", "beta", "--out", "beta.img.zst"]);
    run("zstd", &["-dq", &text(&bench.path("beta.img.zst"))]);
    node(&bench, "beta", &["--out", "baked.img", "--force"]);
    assert_eq!(digest(&bench, "beta.img"), digest(&bench, "baked.img"));
    // In place.
    personalise(&bench, SERVER, &["--node", "beta"]);
    assert_eq!(digest(&bench, SERVER), digest(&bench, "baked.img"));
    bake(&bench, &["verify", SERVER]);
}

#[test]
fn a_wrong_image_or_profile_is_told_and_left_alone() {
    let bench = bench();
    release(&bench, "dist", &[]);
    run("zstd", &["-dqk", &text(&bench.path("dist/bake-edge-server-arm64.img.zst"))]);
    node(&bench, "gamma", &["--out", "gamma.img"]);
    let secrets = fs::read(bench.path("edge.secrets.json")).unwrap();
    let before = digest(&bench, SERVER);
    for (image, options, words) in [
        (SERVER, &["--node", "worker"][..], "another role"),
        (SERVER, &["--node", "alpha", "--set", "system.timezone=UTC"], "another profile"),
        ("gamma.img", &["--node", "alpha"], "it is gamma already"),
        ("base.img", &["--node", "alpha"], "nothing was baked into it"),
    ] {
        let fixed: [&str; 4] = ["personalise", image, "--profile", "./edge.yaml"];
        let out = bench.run(&[&fixed[..], options].concat());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains(words), "{options:?}: {said}");
    }
    assert_eq!(digest(&bench, SERVER), before);
    assert_eq!(fs::read(bench.path("edge.secrets.json")).unwrap(), secrets, "no card was claimed");
}
