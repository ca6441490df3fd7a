//! Which packages are taken, held against Debian's rules and against apt itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bake::arch::Arch;
use bake::error::Error;
use bake::event::Silent;
use bake::fetch::{Cache, Fetcher, Options};
use bake::io::digest::Sha256;
use bake::packages::{self, Staged, Wanted};

use crate::archive::{Archive, now, root};
use crate::server::{Reply, Server, file};

fn shown(staged: &[Staged]) -> Vec<String> {
    staged.iter().map(|s| format!("{} {}", s.package.name, s.package.version)).collect()
}

#[test]
fn dependencies_come_first_and_pre_dependencies_in_a_batch_before() {
    let mut archive = Archive::new();
    archive
        .deb("app", "1", "Pre-Depends: early\nDepends: lib (>= 2), mail | post, virtual (>= 3)\nRecommends: extra\n")
        .deb("early", "1", "Depends: lib\n")
        .deb("lib", "1.9", "")
        .deb("lib", "2.0~rc1", "")
        .deb("lib", "2.0", "")
        .deb("post", "1", "")
        .deb("real", "5", "Provides: virtual (= 3.1)\n")
        .deb("old", "5", "Provides: virtual (= 2)\n")
        .deb("extra", "1", "");
    archive.installed("Package: mail\nVersion: 1");
    archive.publish(&[]);
    let staged = archive.gather(&["app"]).unwrap();
    let batches: Vec<u16> = staged.iter().map(|s| s.package.batch).collect();
    assert_eq!(shown(&staged), ["lib 2.0", "real 5", "early 1", "app 1"]);
    assert_eq!(batches, [0, 0, 0, 1]);
    assert_eq!(archive.gather(&["mail"]).unwrap().len(), 0, "installed already");
}

#[test]
fn what_is_installed_is_upgraded_and_never_removed() {
    let mut archive = Archive::new();
    archive
        .deb("app", "1", "Depends: base (>= 2)\nBreaks: tool (<< 2)\n")
        .deb("base", "2", "")
        .deb("twin", "2", "Depends: base (= 2)\n")
        .deb("tool", "2", "")
        .deb("rival", "1", "Conflicts: mail\n")
        .deb("choosy", "1", "Depends: rival | base\n")
        .deb("broken", "1", "Depends: nowhere (>= 4)\n");
    archive.installed(
        "Package: base\nVersion: 1\n\nPackage: twin\nVersion: 1\nDepends: base (= 1)\n\n\
         Package: tool\nVersion: 1\n\nPackage: mail\nVersion: 1",
    );
    archive.publish(&[]);
    let mut all = shown(&archive.gather(&["app"]).unwrap());
    all.sort();
    assert_eq!(all, ["app 1", "base 2", "tool 2", "twin 2"]);
    let refused = |name: &str| {
        let error = archive.gather(&[name]).unwrap_err();
        (error.to_string(), error.hints().join(" "))
    };
    let (text, searched) = refused("rival");
    assert!(text.contains("rival (1) conflicts with mail (1), which is installed"), "{text}");
    assert!(searched.contains("/debian stable"), "{searched}");
    assert!(refused("broken").0.contains("needs nowhere (>= 4): no source has nowhere"));
    let error = archive.gather(&["absent"]).unwrap_err();
    assert!(error.to_string().contains("package not found: absent"), "{error}");
    assert_eq!(shown(&archive.gather(&["choosy"]).unwrap()), ["choosy 1"], "base is there");
}

#[test]
fn a_folder_of_packages_stands_in_for_the_sources() {
    let mut archive = Archive::new();
    archive.deb("app", "1", "Depends: lib\n").deb("lib", "1:2", "");
    let error = archive.gather_with(&["app"], false, Some("nowhere")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    // `dpkg-deb` wrote both beside the tree.
    let staged = archive.gather_with(&["app"], true, Some(".")).unwrap();
    assert_eq!(shown(&staged), ["lib 1:2", "app 1"]);
    let bytes = fs::read(archive.path("app_1.deb")).unwrap();
    assert_eq!(staged[1].package.sha256, Sha256::of(&bytes).to_string());
    assert_eq!(archive.server.requests().len(), 0);
    fs::write(archive.path("bad.deb"), "no package").unwrap();
    let error = archive.gather_with(&["app"], true, Some(".")).unwrap_err();
    assert!(error.to_string().contains("bad.deb"), "{error}");
}

/// Sets of packages that nodes and their owners want.
const WANTED: [&[&str]; 6] = [
    &["keepalived", "haproxy", "iputils-arping"],
    &["postgresql"],
    &["nfs-common", "open-iscsi"],
    &["git", "vim", "htop", "curl"],
    &["default-mta"],
    &["python3-yaml", "nginx"],
];

/// `ci/testbed/apt-oracle` prepares the folder: apt's configuration, the lists it downloaded from
/// Debian and verified, the dpkg database of a base image, and the keyrings.
#[test]
#[ignore = "needs Debian's index: ci/testbed/apt-oracle runs it"]
fn as_apt_chooses() {
    let folder = PathBuf::from(std::env::var_os("BAKE_TEST_APT").expect("BAKE_TEST_APT"));
    let server = lists(&folder.join("lists"));
    let cache = tempfile::tempdir().unwrap();
    let mirror = Some(server.url("/"));
    let options = Options { mirror, retries: 0, ..Options::default() };
    let fetcher = Fetcher::new(Cache::open(Some(cache.path())).unwrap(), options, &Silent);
    let root = root(&folder.join("tree"), &cache.path().join("image"));
    for wanted in WANTED {
        let names: Vec<String> = wanted.iter().map(|n| (*n).to_owned()).collect();
        let asked = Wanted {
            root: &root,
            architecture: Arch::Amd64,
            names: &names,
            now: now(),
            folder: None,
        };
        let ours = packages::choose(&asked, &fetcher, &Silent).unwrap();
        let ours: BTreeMap<String, String> =
            ours.into_iter().map(|(_, p)| (p.name.clone(), p.version.to_string())).collect();
        assert_eq!(ours, apt(&folder, wanted), "{wanted:?}");
        writeln!(std::io::stdout(), "{wanted:?}: {} packages, as apt has them", ours.len())
            .unwrap();
    }
}

/// What apt would install: `Inst NAME [OLD] (VERSION …)`.
fn apt(folder: &Path, wanted: &[&str]) -> BTreeMap<String, String> {
    let out = Command::new("apt-get")
        .args(["--simulate", "--no-install-recommends", "install"])
        .args(wanted)
        .env("APT_CONFIG", folder.join("apt.conf"))
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let install = |line: &str| {
        let mut words = line.strip_prefix("Inst ")?.split_whitespace();
        let name = words.next()?.to_owned();
        let version = words.find(|w| w.starts_with('('))?.trim_start_matches('(').to_owned();
        Some((name, version))
    };
    text.lines().filter_map(install).collect()
}

/// Serves apt's own copies of what it downloaded, by name and by digest.
fn lists(folder: &Path) -> Server {
    let (mut by_name, mut by_digest) = (Vec::new(), BTreeMap::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let (name, bytes) = (path.file_name().unwrap().to_owned(), fs::read(&path).unwrap());
            by_digest.insert(Sha256::of(&bytes).to_string(), bytes.clone());
            by_name.push((name.into_string().unwrap(), bytes));
        }
    }
    Server::start(move |request| {
        let last = request.path.rsplit('/').next().unwrap_or_default();
        let name = request.path.trim_matches('/').replace('/', "_");
        let known = by_digest.get(last).or_else(|| {
            by_name.iter().find(|(file, _)| file.ends_with(&name)).map(|(_, bytes)| bytes)
        });
        match known {
            Some(bytes) => file(request, bytes, "\"tag\""),
            None => Reply::new("404 Not Found", ""),
        }
    })
}
