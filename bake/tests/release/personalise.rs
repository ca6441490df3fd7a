//! A release image becomes the node that baking it would have given.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::support::bench::{MIB, ROOT};
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

/// Killed by the system at the first byte that it writes beyond a limit (setrlimit(2), `RLIMIT_FSIZE`):
/// only into the image does it write that far.
#[test]
fn a_killed_run_is_put_right_by_the_next() {
    use std::os::unix::process::ExitStatusExt;
    const SIGXFSZ: i32 = 25;
    let bench = bench();
    release(&bench, "dist", &[]);
    bench.baked("alpha", &["--out", "baked.img"]);
    run("zstd", &["-dqk", &text(&bench.path("dist/bake-edge-server-arm64.img.zst"))]);
    let [image, aside] = [bench.path("a.img"), bench.path(".a.img.bake-aside")];
    let hidden = !shares_blocks(&bench);
    let again = ["personalise", "a.img", "--profile", "./edge.yaml", "--node", "alpha"];
    for limit in [ROOT, ROOT + 4097, ROOT + MIB] {
        run("cp", &["--sparse=always", &text(&bench.path(SERVER)), &text(&image)]);
        let killed = Command::new("prlimit")
            .args([&format!("--fsize={limit}"), "--", env!("CARGO_BIN_EXE_bake")])
            .args(["--cache-dir", "cache"])
            .args(again)
            .env("SOURCE_DATE_EPOCH", "1750000000")
            .current_dir(bench.dir.path())
            .output()
            .unwrap();
        assert_eq!(killed.status.signal(), Some(SIGXFSZ), "{killed:?}");
        assert_eq!((aside.exists(), image.exists()), (hidden, !hidden), "one name, and one only");
        let said = |arguments: &[&str], status: i32| {
            let out = bench.run(arguments);
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(out.status.code(), Some(status), "{arguments:?}: {said}");
            said
        };
        if hidden {
            for verb in [&["inspect", "a.img"][..], &["verify", "a.img"]] {
                assert!(said(verb, 4).contains(".a.img.bake-aside for now"), "{verb:?}");
            }
        }
        let told = said(&again, 0);
        assert_eq!(told.contains("is the release image again"), hidden, "{told}");
        assert_eq!(digest(&bench, "a.img"), digest(&bench, "baked.img"));
        for end in [".spdx.json", ".cdx.json"] {
            let [ours, baked] = ["a.img", "baked.img"].map(|image| format!("{image}{end}"));
            assert_eq!(digest(&bench, &ours), digest(&bench, &baked));
        }
        let names = bench.listing();
        assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
    }
}

/// As a run leaves it that was killed at its last step: the node is whole, and its journal there.
#[test]
fn what_was_finished_but_for_the_journal_is_finished_by_the_next() {
    let bench = bench();
    release(&bench, "dist", &[]);
    run("zstd", &["-dqk", &text(&bench.path("dist/bake-edge-server-arm64.img.zst"))]);
    // Told about the release image, or by somebody else.
    let beside = |end: &str| bench.path(&format!("{SERVER}{end}"));
    for end in [".spdx.json", ".cdx.json", ".intoto.json", ".bmap"] {
        fs::write(beside(end), "old").unwrap();
    }
    personalise(&bench, SERVER, &["--node", "alpha"]);
    bench.baked("alpha", &["--out", "baked.img"]);
    let complete = || {
        assert_eq!(digest(&bench, SERVER), digest(&bench, "baked.img"));
        for end in [".spdx.json", ".cdx.json"] {
            assert_eq!(
                fs::read(beside(end)).unwrap(),
                fs::read(bench.path(&format!("baked.img{end}"))).unwrap()
            );
        }
        let attested = fs::read_to_string(bench.path("baked.img.intoto.json")).unwrap();
        let attested = attested.replace("baked.img", "bake-edge-server-arm64.img");
        assert_eq!(fs::read_to_string(beside(".intoto.json")).unwrap(), attested);
        assert!(!beside(".bmap").exists(), "it was another image's");
    };
    complete();

    let journal = bench.path("dist/.bake-edge-server-arm64.img.bake-undo");
    fs::write(&journal, "of a run that was ended").unwrap();
    let said = |arguments: &[&str], status: i32| {
        let out = bench.run(arguments);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(status), "{arguments:?}: {said}");
        said
    };
    let seen = said(&["inspect", SERVER], 0);
    assert!(seen.contains(".bake-undo") && seen.contains("run the same once more"), "{seen}");
    let rebuild = ["rebuild", "--attestation", &format!("{SERVER}.intoto.json"), "--profile"];
    for verb in [
        &["flash", SERVER, "--yes", "--device", "/dev/null"][..],
        &[&rebuild[..], &["./edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"]].concat(),
        &["--profile", "./edge.yaml", "--node", "alpha", "--base", SERVER, "--out", "b.img"],
    ] {
        let seen = said(verb, 4);
        assert!(verb[0] == "flash" || seen.contains(".bake-undo"), "{verb:?}: {seen}");
    }
    // Another node, and an image whose digest was to be another.
    let again = ["personalise", SERVER, "--profile", "./edge.yaml", "--node", "alpha"];
    for (more, words) in
        [(&["--node", "beta"][..], "it is alpha already"), (&["--replace"], "it is alpha already")]
    {
        fs::write(&journal, "of a run that was ended").unwrap();
        let arguments = if more[0] == "--node" { again[..4].to_vec() } else { again.to_vec() };
        let seen = said(&[&arguments, more].concat(), 2);
        assert!(seen.contains(words), "{more:?}: {seen}");
        assert!(!journal.exists());
    }
    fs::write(&journal, "of a run that was ended").unwrap();
    let sha256 = digest(&bench, "base.img");
    let seen = said(&[&again[..], &["--sha256", &sha256]].concat(), 3);
    assert!(seen.contains(&sha256), "{seen}");

    fs::write(&journal, "of a run that was ended").unwrap();
    let seen = said(&again, 0);
    assert!(seen.contains("was alpha already") && !journal.exists(), "{seen}");
    complete();
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
        (
            SERVER,
            &["--node", "alpha", "--set", "k3s.airgap=true"],
            "it lacks its image bundle (K3s)",
        ),
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
