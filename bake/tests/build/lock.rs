//! A profile with a lock is baked of exactly what the lock says, or not at all.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::support::bench::{Bench, SINGLE, change, text};
use super::support::run;

const MANIFEST: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: probe}
spec:
  containers:
    - name: probe
      image: \"registry.example/probe:1.2\"
";

/// As [`Bench::bake`], in `folder` and without a date.
fn bake(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bake"))
        .args(arguments)
        .args(["--profile", "./edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"])
        .args(["--cache-dir", "cache"])
        .current_dir(folder)
        .env_remove("SOURCE_DATE_EPOCH")
        .output()
        .unwrap()
}

fn done(out: Output) -> String {
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    String::from_utf8(out.stdout).unwrap()
}

fn failed(out: Output, status: i32) -> String {
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(status), "{said}");
    said
}

fn sha256(path: &Path) -> String {
    run("sha256sum", &[&text(path)]).split(' ').next().unwrap().to_owned()
}

/// A bench whose profile has a manifest.
fn bench() -> Bench {
    let bench = Bench::new(SINGLE);
    fs::create_dir(bench.path("manifests")).unwrap();
    fs::write(bench.path("manifests/probe.yaml"), MANIFEST).unwrap();
    let profile = SINGLE.replace("nodes:", "manifests: [manifests/*.yaml]\nnodes:");
    fs::write(bench.path("edge.yaml"), profile).unwrap();
    bench
}

#[test]
fn what_is_locked_is_baked_and_anything_else_is_refused() {
    let bench = bench();
    let here = bench.dir.path();
    let said = failed(bake(here, &["--out", "node1.img", "--locked"]), 2);
    assert!(said.contains("edge.lock.yaml") && said.contains("bake lock"), "{said}");
    done(bake(here, &["lock"]));
    let lock = fs::read_to_string(bench.path("edge.lock.yaml")).unwrap();
    for name in ["base.img", "k3s", "firstboot", "manifests/probe.yaml"] {
        assert!(lock.contains(&sha256(&bench.path(name))), "{name}: {lock}");
    }
    assert!(lock.contains("registry.example/probe:1.2"), "{lock}");
    failed(bake(here, &["lock"]), 4);
    done(bake(here, &["lock", "--check"]));
    done(bake(here, &["--out", "node1.img", "--locked"]));
    bench.judge("node1.img");
    let record = format!("{}:/etc/bake/record.json", text(&bench.path("node1.img")));
    let record = run(env!("CARGO_BIN_EXE_bake"), &["cat", &record]);
    assert!(record.contains(&sha256(&bench.path("edge.lock.yaml"))), "{record}");

    let out = ["--out", "other.img", "--node", "node1"];
    let refused = |what: &str, part: &str, spoil: &dyn Fn(&Path)| {
        let path = bench.path(what);
        let (sound, time) = (fs::read(&path).unwrap(), path.metadata().unwrap().modified());
        let set_back = |path: &Path| {
            let file = fs::File::options().append(true).open(path).unwrap();
            file.set_modified(*time.as_ref().unwrap()).unwrap();
        };
        spoil(&path);
        // Which hides nothing.
        set_back(&path);
        let said = failed(bake(here, &out), 3);
        assert!(said.contains(part) && said.contains("bake lock --update"), "{what}: {said}");
        assert!(!bench.path("other.img").exists(), "{what}");
        failed(bake(here, &["lock", "--check"]), 3);
        fs::write(&path, sound).unwrap();
        set_back(&path);
    };
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    };
    refused("base.img", "base.img", &flip);
    refused("k3s", "k3s", &flip);
    refused("firstboot", "firstboot", &flip);
    refused("manifests/probe.yaml", "manifests/probe.yaml", &|p| change(p, "1.2", "6.6"));
    let first = sha256(&bench.path("manifests/probe.yaml"));
    let wrong = "0".repeat(64);
    refused("edge.lock.yaml", "manifests/probe.yaml", &|p| change(p, &first, &wrong));
    refused("edge.lock.yaml", "v1.37.1+k3s1", &|p| change(p, "v1.36.5+k3s1", "v1.37.1+k3s1"));
    refused("edge.lock.yaml", "bake 0.0.9", &|p| {
        change(p, concat!("bake: \"", env!("CARGO_PKG_VERSION")), "bake: \"0.0.9");
    });
    fs::write(bench.path("manifests/new.yaml"), MANIFEST).unwrap();
    let said = failed(bake(here, &out), 3);
    assert!(said.contains("manifests/new.yaml is not in the lock"), "{said}");
    done(bake(here, &[&out[..], &["--no-lock"]].concat()));
}

#[test]
fn an_update_says_what_changed() {
    let bench = bench();
    let here = bench.dir.path();
    done(bake(here, &["lock"]));
    assert!(done(bake(here, &["lock", "--update"])).contains("unchanged"));
    change(&bench.path("manifests/probe.yaml"), "probe:1.2", "probe:1.3");
    let said = failed(bake(here, &["lock", "--check"]), 3);
    assert!(said.contains("manifests/probe.yaml"), "{said}");
    let said = done(bake(here, &["lock", "--update"]));
    assert!(said.contains("file manifests/probe.yaml"), "{said}");
    assert!(said.contains("container image registry.example/probe:1.3: new"), "{said}");
    done(bake(here, &["lock", "--check"]));
    let warned = |out: Output| {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        done(out);
        said.contains("not pinned") && said.contains("registry.example/probe:1.3")
    };
    assert!(warned(bake(here, &["lock", "--check"])));
    let pinned = format!("probe:1.3@sha256:{}", "0".repeat(64));
    change(&bench.path("manifests/probe.yaml"), "probe:1.3", &pinned);
    assert!(!warned(bake(here, &["lock", "--update"])));
    fs::write(bench.path("edge.lock.yaml"), "what: is this\n").unwrap();
    failed(bake(here, &["lock", "--check"]), 2);
    done(bake(here, &["lock", "--update"]));
    done(bake(here, &["lock", "--check"]));
}

/// The same lock and secrets are the same bytes: in another folder, of files with other dates, for
/// a user with other habits.
#[test]
fn the_same_lock_bakes_the_same_bytes_elsewhere() {
    let bench = bench();
    let here = bench.dir.path();
    done(bake(here, &["lock"]));
    let elsewhere = tempfile::tempdir().unwrap();
    let there = elsewhere.path().join("a folder");
    for suffix in ["img", "img.zst", "img.gz"] {
        done(bake(here, &["--out", &format!("node1.{suffix}")]));
    }
    run("cp", &["-r", &text(here), &text(&there)]);
    for suffix in ["img", "img.zst", "img.gz"] {
        for beside in ["", ".spdx.json", ".cdx.json", ".intoto.json"] {
            fs::remove_file(there.join(format!("node1.{suffix}{beside}"))).unwrap();
        }
    }
    fs::remove_dir_all(there.join("cache")).unwrap();
    fs::rename(there.join("base.img"), there.join("renamed.img")).unwrap();
    for file in ["manifests/probe.yaml", "edge.yaml", "k3s", "firstboot", "renamed.img"] {
        run("touch", &["-d", "2031-07-01 12:00:00", &text(&there.join(file))]);
    }
    // One processor, too: how much is compressed at a time must not show.
    let script = "umask 077; exec taskset -c 0 \"$@\"";
    for suffix in ["img", "img.zst", "img.gz"] {
        let name = format!("node1.{suffix}");
        let out = Command::new("sh")
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_bake"), "--locked", "--out", &name])
            .args(["--profile", "edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"])
            .args(["--cache-dir", "other-cache", "--base", "./renamed.img"])
            .current_dir(&there)
            .env("LC_ALL", "tr_TR.UTF-8")
            .env("TZ", "Pacific/Kiritimati")
            .env("SOURCE_DATE_EPOCH", "1")
            .output()
            .unwrap();
        done(out);
        assert_eq!(sha256(&bench.path(&name)), sha256(&there.join(&name)), "{suffix}");
    }
}

#[test]
fn an_image_is_made_again_from_its_attestation() {
    let bench = bench();
    let here = bench.dir.path();
    done(bake(here, &["lock"]));
    done(bake(here, &["--out", "node1.img"]));
    done(bake(here, &["--out", "node1.img.zst"]));
    let rebuild = |of: &str, more: &[&str]| {
        bake(here, &[&["rebuild", "--attestation", &format!("{of}.intoto.json")], more].concat())
    };
    let before = bench.listing();
    assert!(done(rebuild("node1.img", &[])).contains("node1.img: made again, the same bytes"));
    assert_eq!(done(rebuild("node1.img.zst", &[])).lines().count(), 2, "and the image in it");
    assert_eq!(bench.listing(), before, "only compared");
    done(rebuild("node1.img", &["--out", "again.img"]));
    assert_eq!(sha256(&bench.path("again.img")), sha256(&bench.path("node1.img")));
    failed(rebuild("node1.img.zst", &["--out", "other.img"]), 2);
    failed(rebuild("node1.img", &["--no-sbom"]), 2);

    let told = bench.path("node1.img.intoto.json");
    let sound = fs::read_to_string(&told).unwrap();
    let refused = |was: &str, wrong: &str| {
        change(&told, was, wrong);
        let said = failed(rebuild("node1.img", &[]), 3);
        fs::write(&told, &sound).unwrap();
        said
    };
    let said = refused(&sha256(&bench.path("node1.img")), &"0".repeat(64));
    assert!(said.contains("output node1.img") && said.contains("went in is the same"), "{said}");
    let said = refused(&sha256(&bench.path("k3s")), &"1".repeat(64));
    assert!(said.contains("k3s: its sha256 was 1111"), "{said}");
    let said = refused(&sha256(&bench.path("edge.lock.yaml")), &"2".repeat(64));
    assert!(said.contains("edge.lock.yaml"), "{said}");
    // The image that lies there is not the one that was attested.
    let image = fs::File::options().append(true).open(bench.path("node1.img")).unwrap();
    image.set_len(image.metadata().unwrap().len() + 1).unwrap();
    assert!(failed(rebuild("node1.img", &[]), 3).contains("and must be"));
    fs::remove_file(bench.path("node1.img")).unwrap();
    done(rebuild("node1.img", &[]));
    change(&bench.path("edge.yaml"), "airgap: false", "airgap:  false");
    assert!(failed(rebuild("node1.img", &[]), 3).contains("edge.yaml"));
    fs::write(&told, "{}").unwrap();
    failed(rebuild("node1.img", &[]), 3);
}
