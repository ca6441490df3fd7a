//! The same lock and secrets are the same bytes: in another folder, of files with other dates and
//! modes, for another user with other habits, on one processor; of everything that is written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::bench::{Bench, SINGLE, change, text};
use super::support::run;

/// Somebody else, where the tests may be that.
const NOBODY: u32 = 65534;

/// Every way to an output, with `bake` and its arguments in `"$@"`.
const EVERYTHING: &str = r#"set -e
for suffix in img img.xz img.zst img.gz; do
    "$@" --node node1 --bmap --out "node1.$suffix"
done
bake=$1; shift
"$bake" fleet "$@" --out-dir fleet --compress zst
"$bake" fleet "$@" --out-dir deltas --deltas
"$bake" release --profiles edge.yaml --out-dir dist --url https://example.org/v1 --compress zst \
    --k3s k3s --firstboot firstboot --cache-dir cache --locked
"$bake" apply deltas/golden-server.img deltas/node1.delta --out applied.img
"$bake" personalise dist/bake-edge-server-arm64.img.zst --profile edge.yaml --node node1 \
    --out personal.img --cache-dir cache
"#;

const OPTIONS: [&str; 9] = [
    "--profile",
    "edge.yaml",
    "--k3s",
    "k3s",
    "--firstboot",
    "firstboot",
    "--cache-dir",
    "cache",
    "--locked",
];

fn done(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// Digests of all files below `folder`, but for what was there before and the cache.
fn written(folder: &Path, before: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let inside = path.strip_prefix(folder).unwrap().to_owned();
            if before.contains(&inside) || name == "cache" || name == "fleet.json" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let digest = run("sha256sum", &[&text(&path)])[..64].to_owned();
                assert!(found.insert(inside, digest).is_none());
            }
        }
    }
    found
}

#[test]
fn the_same_lock_makes_the_same_files_elsewhere() {
    let bench = Bench::new(SINGLE);
    let here = bench.dir.path();
    fs::write(bench.path("motd"), "hello\n").unwrap();
    change(&bench.path("edge.yaml"), "nodes:", "files: [{path: /etc/motd, source: motd}]\nnodes:");
    let more = "  - {name: worker, role: agent, address: dhcp}\n";
    let profile = fs::read_to_string(bench.path("edge.yaml")).unwrap() + more;
    fs::write(bench.path("edge.yaml"), profile).unwrap();
    let bake = env!("CARGO_BIN_EXE_bake");
    let lock = ["lock", "--profile", "edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"];
    done(Command::new(bake).args(lock).current_dir(here));
    let mut first = Command::new("sh");
    first.args(["-c", "umask 022; eval \"$0\"", EVERYTHING, bake]).args(OPTIONS);
    let before: Vec<PathBuf> =
        fs::read_dir(here).unwrap().map(|e| e.unwrap().file_name().into()).collect();
    done(first.current_dir(here).env_remove("SOURCE_DATE_EPOCH"));

    let elsewhere = tempfile::tempdir().unwrap();
    let there = elsewhere.path().join("a folder");
    fs::create_dir(&there).unwrap();
    // In another order, as folders list them, too.
    for file in ["motd", "k3s", "firstboot", "edge.secrets.json", "edge.lock.yaml", "edge.yaml"] {
        fs::copy(bench.path(file), there.join(file)).unwrap();
        fs::set_permissions(there.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        run("touch", &["-d", "2031-07-01 12:00:00", &text(&there.join(file))]);
    }
    run("cp", &["--sparse=always", &text(&bench.path("base.img")), &text(&there)]);
    let mut second = Command::new("sh");
    let alone = "umask 077; exec taskset -c 0 sh -c 'eval \"$0\"' \"$0\" \"$@\"";
    // Where the tests were built may not be for everybody.
    let program = text(&elsewhere.path().join("bake"));
    fs::copy(bake, &program).unwrap();
    second.args(["-c", alone, EVERYTHING, &program]).args(OPTIONS).current_dir(&there);
    second.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in [
        ("LC_ALL", "tr_TR.UTF-8"),
        ("TZ", "Pacific/Kiritimati"),
        ("SOURCE_DATE_EPOCH", "1"),
        ("HOME", "/nonexistent"),
        ("COLUMNS", "40"),
    ] {
        second.env(name, value);
    }
    second.env("TMPDIR", &there);
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o755)).unwrap();
        chown(&there, Some(NOBODY), Some(NOBODY)).unwrap();
        for entry in fs::read_dir(&there).unwrap() {
            chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        second.uid(NOBODY).gid(NOBODY);
    }
    done(&mut second);

    let (first, second) = (written(here, &before), written(&there, &before));
    assert_eq!(first, second);
    for name in ["node1.img.xz.bmap", "deltas/worker.delta", "dist/SHA256SUMS", "applied.img"] {
        assert!(first.contains_key(Path::new(name)), "{name}: {first:?}");
    }
    let node = &first[Path::new("node1.img")];
    for name in ["applied.img", "personal.img"] {
        assert_eq!(&first[Path::new(name)], node, "{name}");
    }
}
