//! A release image becomes the node that baking it would have given.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use super::{bench, digest, release, run, text};

const SERVER: &str = "dist/bake-edge-server-arm64.img";

fn personalise(bench: &super::Bench, image: &str, arguments: &[&str]) {
    let fixed: [&str; 4] = ["personalise", image, "--profile", "./edge.yaml"];
    bench.done(&[&fixed[..], arguments].concat());
}

#[test]
fn it_is_the_image_that_baking_gives() {
    let bench = bench();
    release(&bench, "dist", &[]);
    for name in ["alpha", "worker"] {
        bench.baked(name, &["--out", "baked.img", "--force"]);
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
    bench.baked("beta", &["--out", "baked.img", "--force"]);
    assert_eq!(digest(&bench, "beta.img"), digest(&bench, "baked.img"));
    // In place, where nothing else is written but what changes.
    let before = fs::metadata(bench.path(SERVER)).unwrap();
    personalise(&bench, SERVER, &["--node", "beta"]);
    assert_eq!(digest(&bench, SERVER), digest(&bench, "baked.img"));
    let after = fs::metadata(bench.path(SERVER)).unwrap();
    assert_eq!((before.mode() & 0o777, after.mode() & 0o777), (0o644, 0o600), "it has secrets now");
    if !shares_blocks(&bench) {
        assert_eq!(before.ino(), after.ino());
    }
    bench.done(&["verify", SERVER]);
}

/// Whether the file system does; a node is then written anew without writing much.
fn shares_blocks(bench: &super::Bench) -> bool {
    let [from, to] = ["base.img", "shared.img"].map(|name| text(&bench.path(name)));
    Command::new("cp").args(["--reflink=always", &from, &to]).status().unwrap().success()
}

#[test]
fn a_killed_run_is_put_right_by_the_next() {
    let bench = bench();
    release(&bench, "dist", &[]);
    bench.baked("alpha", &["--out", "baked.img"]);
    run("zstd", &["-dqk", &text(&bench.path("dist/bake-edge-server-arm64.img.zst"))]);
    fs::rename(bench.path(SERVER), bench.path("released")).unwrap();
    let mut hidden = 0;
    for _ in 0..40 {
        run(
            "cp",
            &["--sparse=always", &text(&bench.path("released")), &text(&bench.path("a.img"))],
        );
        let run = ["personalise", "a.img", "--profile", "./edge.yaml", "--node", "alpha", "--fast"];
        let arguments = [&["--cache-dir", "cache"][..], &run].concat();
        let mut child = bench.program().args(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let aside = bench.path(".a.img.bake-aside");
        while !aside.exists() && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        child.wait().unwrap();
        let left = aside.exists();
        assert_ne!(left, bench.path("a.img").exists(), "one name, and one only");
        if left {
            let out = bench.run(&arguments[2..]);
            let said = String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success() && said.contains("is the release image again"), "{said}");
            hidden += 1;
        } else if digest(&bench, "a.img") != digest(&bench, "baked.img") {
            bench.done(&arguments[2..]);
        }
        assert_eq!(digest(&bench, "a.img"), digest(&bench, "baked.img"));
        let names = bench.listing();
        assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
        if hidden == 5 {
            break;
        }
    }
    assert!(hidden > 0 || shares_blocks(&bench), "no run was killed while the image was hidden");
}

#[test]
fn a_wrong_image_or_profile_is_told_and_left_alone() {
    let bench = bench();
    release(&bench, "dist", &[]);
    run("zstd", &["-dqk", &text(&bench.path("dist/bake-edge-server-arm64.img.zst"))]);
    bench.baked("gamma", &["--out", "gamma.img"]);
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

/// A release image that somebody changed is as good as any: only its digest tells.
#[test]
fn a_changed_release_image_is_refused_by_its_digest() {
    let bench = bench();
    release(&bench, "dist", &[]);
    let packed = "dist/bake-edge-server-arm64.img.zst";
    run("zstd", &["-dqk", &text(&bench.path(packed))]);
    for image in [packed, SERVER] {
        let sha256 = digest(&bench, image);
        let arguments = ["--node", "alpha", "--sha256", &sha256, "--out", "node.img", "--force"];
        personalise(&bench, image, &arguments);
        fs::remove_file(bench.path("node.img")).unwrap();
        let sound = fs::read(bench.path(image)).unwrap();
        let mut changed = sound.clone();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(bench.path(image), changed).unwrap();
        let fixed = ["personalise", image, "--profile", "./edge.yaml"];
        let out = bench.run(&[&fixed[..], &arguments].concat());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(3) && said.contains(&sha256), "{image}: {said}");
        assert!(!bench.path("node.img").exists(), "{image}");
        fs::write(bench.path(image), sound).unwrap();
    }
}
