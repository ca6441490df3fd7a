//! Bakes small images with the real program, and asks other tools what came of it.

mod fleet;
mod lock;
mod lock_elsewhere;
mod lock_lines;
#[path = "../fetch/registry_double.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod registry_double;
#[path = "../fetch/server.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::process::Command;

use support::bench::{Bench, MIB, ROOT, SINGLE, elf, text};
use support::run;

#[test]
fn a_node_is_baked_the_same_everywhere_and_again() {
    let bench = Bench::new(SINGLE);
    bench.baked("node1", &["--base", "base.img", "--out", "node1.img"]);
    bench.judge("node1.img");
    let digest = |name: &str| run("sha256sum", &[&text(&bench.path(name))])[..64].to_owned();
    fs::create_dir(bench.path("elsewhere")).unwrap();
    bench.baked("node1", &["--base", "base.img", "--out", "elsewhere/other.img"]);
    assert_eq!(digest("node1.img"), digest("elsewhere/other.img"));
    bench.baked("node1", &["--base", "node1.img", "--out", "again.img"]);
    bench.judge("again.img");
    let diff = |a: &str, b: &str| {
        let run = Command::new(env!("CARGO_BIN_EXE_bake"))
            .args(["diff", a, b])
            .current_dir(bench.dir.path())
            .output();
        String::from_utf8(run.unwrap().stdout).unwrap()
    };
    assert_eq!(diff("node1.img", "again.img"), "");
    let offset = format!("{}?offset={ROOT}", text(&bench.path("node1.img")));
    let shown = run("debugfs", &["-R", "cat /etc/hostname", &offset]);
    assert!(shown.contains("node1\n"), "{shown}");
}

#[test]
fn the_root_grows_when_the_payload_needs_it() {
    let bench = Bench::new(SINGLE);
    let payload = format!("#!/bin/sh\n{}", "# K3s is large\n".repeat(10 << 20));
    bench.script("k3s", &payload);
    bench.baked("node1", &["--base", "base.img", "--out", "node1.img"]);
    bench.judge("node1.img");
    assert!(fs::metadata(bench.path("node1.img")).unwrap().len() > 200 * MIB);
    let table = run("sfdisk", &["-d", &text(&bench.path("node1.img"))]);
    assert!(table.contains("label-id: 0x4f1a2b3c"), "{table}");
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_nothing() {
    let bench = Bench::new(SINGLE);
    let cut = fs::File::create(bench.path("cut.img")).unwrap();
    std::io::copy(
        &mut std::io::Read::take(fs::File::open(bench.path("base.img")).unwrap(), 60 * MIB),
        &mut &cut,
    )
    .unwrap();
    fs::write(bench.path("exists.img"), "mine").unwrap();
    for (arguments, code, words) in [
        (&["--base", "cut.img", "--out", "o.img"][..], None, "cut.img"),
        (&["--base", "base.img", "--out", "exists.img"], Some(4), "exists.img"),
        (&["--base", "base.img", "--out", "no/such/o.img"], None, "no/such"),
        (&["--base", "./none.img", "--out", "o.img"], None, "none.img"),
        (
            &["--base", "base.img", "--out", "o.img", "--set", "system.timezone=Mars/Base"],
            Some(2),
            "Mars/Base",
        ),
        (
            &["--base", "base.img", "--out", "o.img", "--set", "cluster.nam=x"],
            Some(2),
            "cluster.nam",
        ),
    ] {
        let (status, said) = bench.refused(arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(code.is_none_or(|code| status == Some(code)), "{arguments:?}: {status:?} {said}");
        assert!(said.lines().count() < 25, "{said}");
    }
    assert_eq!(fs::read_to_string(bench.path("exists.img")).unwrap(), "mine");
    fs::write(bench.path("firstboot"), elf("amd64")).unwrap();
    let (status, said) = bench.refused(&["--base", "base.img", "--out", "o.img"]);
    assert!(status == Some(2) && said.contains("amd64"), "{status:?} {said}");
}

#[test]
fn a_dry_run_prints_the_recipe_and_writes_nothing() {
    let bench = Bench::new(SINGLE);
    let before = bench.listing();
    let out = bench.bake("node1", &["--base", "base.img", "--dry-run"]);
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.contains("amend   /boot/firmware/cmdline.txt: append `cgroup_memory=1"), "{said}");
    assert_eq!(bench.listing(), before);
    assert!(!bench.path("edge.secrets.json").exists());
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_a_bake() {
    let bench = Bench::new(SINGLE);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut program = bench.program();
    program.args(["--cache-dir", "cache", "--profile", "./edge.yaml", "--k3s", "k3s"]);
    program.args(["--firstboot", "firstboot", "--out", "node1.img"]).stderr(writer);
    assert_eq!(program.output().unwrap().status.code(), Some(0));
    bench.judge("node1.img");
    // Nor does it hide how a run ended.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let refused = bench.program().args(["ls", "no.img:/"]).stderr(writer).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
}
