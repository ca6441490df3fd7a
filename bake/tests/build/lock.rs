//! A profile with a lock is baked of exactly what the lock says, or not at all.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::registry_double::{Door, Registry, index};
use super::server::{Reply, Server, file};
use super::support::bench::{Bench, SINGLE, change, text};
use super::support::run;

const MANIFEST: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: probe}
spec:
  containers:
    - name: probe
      image: \"REGISTRY/probe:1.2\"
";

/// Where K3s looks for manifests.
const MANIFESTS: &str = "/var/lib/rancher/k3s/server/manifests";

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

fn sha256_of(text: &str) -> String {
    bake::io::digest::Sha256::of(text.as_bytes()).to_string()
}

/// A bench whose profile has a manifest, and the registry of its container image.
fn bench() -> (Bench, Registry) {
    let (bench, registry) = (Bench::new(SINGLE), Registry::start(Door::Token));
    for tag in ["1.2", "1.3"] {
        registry.push("probe", tag, index(&["arm64", "amd64"], tag));
    }
    fs::create_dir(bench.path("manifests")).unwrap();
    let manifest = MANIFEST.replace("REGISTRY", &registry.name());
    fs::write(bench.path("manifests/probe.yaml"), manifest).unwrap();
    let profile = SINGLE.replace("nodes:", "manifests: [manifests/*.yaml]\nnodes:");
    fs::write(bench.path("edge.yaml"), profile).unwrap();
    (bench, registry)
}

#[test]
fn what_is_locked_is_baked_and_anything_else_is_refused() {
    let (bench, _registry) = bench();
    let here = bench.dir.path();
    let said = failed(bake(here, &["--out", "node1.img", "--locked"]), 2);
    assert!(said.contains("edge.lock.yaml") && said.contains("bake lock"), "{said}");
    done(bake(here, &["lock"]));
    let lock = fs::read_to_string(bench.path("edge.lock.yaml")).unwrap();
    for name in ["base.img", "k3s", "firstboot", "manifests/probe.yaml"] {
        assert!(lock.contains(&sha256(&bench.path(name))), "{name}: {lock}");
    }
    let probe = sha256_of(&index(&["arm64", "amd64"], "1.2"));
    assert!(lock.contains(&format!("probe:1.2\n  sha256: {probe}")), "{lock}");
    failed(bake(here, &["lock"]), 4);
    done(bake(here, &["lock", "--check"]));
    done(bake(here, &["--out", "node1.img", "--locked"]));
    bench.judge("node1.img");
    // CI checks without the secrets, which may be sealed.
    let secrets = bench.path("edge.secrets.json");
    let open = fs::read(&secrets).unwrap();
    fs::write(&secrets, "age-encryption.org/v1\n").unwrap();
    done(bake(here, &["lock", "--check"]));
    fs::write(&secrets, open).unwrap();
    let record = format!("{}:/etc/bake/record.json", text(&bench.path("node1.img")));
    let record = run(env!("CARGO_BIN_EXE_bake"), &["cat", &record]);
    let manifest = format!("{}:{MANIFESTS}/probe.yaml", text(&bench.path("node1.img")));
    let manifest = run(env!("CARGO_BIN_EXE_bake"), &["cat", &manifest]);
    assert!(manifest.contains(&format!("/probe:1.2@sha256:{probe}\"")), "{manifest}");
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
    // A file may be given in place of what the lock has from elsewhere.
    let part = "  version: v1.36.5+k3s1\n";
    let lock = fs::read_to_string(bench.path("edge.lock.yaml")).unwrap();
    change(
        &bench.path("edge.lock.yaml"),
        part,
        &format!("{part}  source: https://example.org/k3s\n"),
    );
    done(bake(here, &["lock", "--check"]));
    fs::write(bench.path("edge.lock.yaml"), lock).unwrap();
    fs::write(bench.path("manifests/new.yaml"), MANIFEST).unwrap();
    let said = failed(bake(here, &out), 3);
    assert!(said.contains("manifests/new.yaml is not in the lock"), "{said}");
    done(bake(here, &[&out[..], &["--no-lock"]].concat()));
}

#[test]
fn an_update_says_what_changed() {
    let (bench, registry) = bench();
    let here = bench.dir.path();
    done(bake(here, &["lock"]));
    assert!(done(bake(here, &["lock", "--update"])).contains("unchanged"));
    change(&bench.path("manifests/probe.yaml"), "probe:1.2", "probe:1.3");
    let said = failed(bake(here, &["lock", "--check"]), 3);
    assert!(said.contains("manifests/probe.yaml"), "{said}");
    let said = done(bake(here, &["lock", "--update"]));
    assert!(said.contains("file manifests/probe.yaml"), "{said}");
    let probe = format!("container image {}/probe", registry.name());
    assert!(said.contains(&format!("{probe}:1.3: new, sha256 ")), "{said}");
    assert!(said.contains(&format!("{probe}:1.2: gone")), "{said}");
    done(bake(here, &["lock", "--check"]));
    let moved = registry.push("probe", "1.3", index(&["arm64"], "moved"));
    done(bake(here, &["lock", "--check"]));
    let said = done(bake(here, &["lock", "--update"]));
    assert!(
        said.contains(&format!("{probe}:1.3 sha256 ")) && said.contains(&moved[..16]),
        "{said}"
    );
    fs::write(bench.path("edge.lock.yaml"), "what: is this\n").unwrap();
    failed(bake(here, &["lock", "--check"]), 2);
    done(bake(here, &["lock", "--update"]));
    done(bake(here, &["lock", "--check"]));
}

#[test]
fn an_image_is_made_again_from_its_attestation() {
    let (bench, _registry) = bench();
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

/// What `bake lock` says on both streams, by an image of the profile's manifest.
fn locked(bench: &Bench, arguments: &[&str], docker: Option<&Path>) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_bake"))
        .args(["lock", "--profile", "./edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"])
        .args(["--cache-dir", "cache"])
        .args(arguments)
        .current_dir(bench.dir.path())
        .env("DOCKER_CONFIG", docker.unwrap_or(Path::new("/nowhere")))
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (out.status.code(), said.concat())
}

#[test]
fn a_private_registry_gets_the_login_and_nobody_else_does() {
    let password = "pa55-of-nobody-else";
    let (bench, _) = bench();
    let registry = Registry::start(Door::Password("ops", password));
    let sha256 = registry.push("probe", "1", index(&["arm64"], ""));
    let image = format!("{}/probe:1", registry.name());
    let manifest = format!("spec: {{containers: [{{image: \"{image}\"}}]}}\n");
    fs::write(bench.path("manifests/probe.yaml"), manifest).unwrap();
    let (status, said) = locked(&bench, &[], None);
    assert!(status == Some(1) && said.contains("docker login"), "{said}");
    assert!(!bench.path("edge.lock.yaml").exists());

    fs::create_dir(bench.path("docker")).unwrap();
    let login = |user: &str| {
        let both = format!("{{\"username\": \"{user}\", \"password\": \"{password}\"}}");
        let config = format!("{{\"auths\": {{\"{}\": {both}}}}}", registry.name());
        fs::write(bench.path("docker/config.json"), config).unwrap();
    };
    login("other");
    let (status, said) = locked(&bench, &["-v"], Some(&bench.path("docker")));
    assert!(status == Some(1) && !said.contains(password), "{said}");
    login("ops");
    let (status, said) = locked(&bench, &["-v"], Some(&bench.path("docker")));
    assert!(status == Some(0) && !said.contains(password), "{said}");
    let lock = fs::read_to_string(bench.path("edge.lock.yaml")).unwrap();
    assert!(lock.contains(&sha256) && !lock.contains(password), "{lock}");

    // A mirror is somebody else, even if it asks for a login.
    let mirror = Registry::start(Door::Password("ops", password));
    let url = mirror.server.url("/");
    let options = ["--update", "--mirror", url.as_str()];
    let (status, said) = locked(&bench, &options, Some(&bench.path("docker")));
    let asked = mirror.server.requests();
    assert!(status == Some(1) && asked.len() > 1, "{said}");
    assert!(asked.iter().all(|r| !r.headers.contains_key("authorization")), "{asked:?}");
}

#[test]
fn what_no_registry_tells_is_left_only_if_asked() {
    let (bench, registry) = bench();
    let name = registry.name();
    let manifest = format!(
        "kind: Pod\nspec: {{containers: [{{image: \"{name}/gone:1\"}}, {{image: \"{name}/amd:1\"}}]}}\n\
         ---\nkind: Plan\nspec: {{upgrade: {{image: rancher/k3s-upgrade}}}}\n\
         ---\nkind: HelmChart\nspec: {{chart: traefik}}\n"
    );
    registry.push("amd", "1", index(&["amd64", "s390x"], ""));
    fs::write(bench.path("manifests/probe.yaml"), manifest).unwrap();
    let (status, said) = locked(&bench, &[], None);
    assert!(status == Some(2) && said.contains("gone:1") && said.contains("--unpinned"), "{said}");
    assert!(!bench.path("edge.lock.yaml").exists());
    let (status, said) = locked(&bench, &["--unpinned-images"], None);
    assert_eq!(status, Some(0), "{said}");
    for told in [
        "/gone:1: not pinned",
        "/amd:1 is for linux/amd64, linux/s390x: these boards are linux/arm64",
        "not pinned: `image: rancher/k3s-upgrade` in probe.yaml:5, which is no container's",
        "not pinned: the container images of the Helm chart in probe.yaml:7",
        "K3s's own images are not pinned",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let lock = fs::read_to_string(bench.path("edge.lock.yaml")).unwrap();
    assert!(
        lock.contains("/gone:1\n  as_named: true\n") && lock.contains("/amd:1\n  sha256: "),
        "{lock}"
    );
    let here = bench.dir.path();
    done(bake(here, &["lock", "--check"]));
    done(bake(here, &["--out", "node1.img", "--locked"]));
    // What is pinned can be had, or the check says so.
    let absent = lock.replace(&sha256_of(&index(&["amd64", "s390x"], "")), &"0".repeat(64));
    fs::write(bench.path("edge.lock.yaml"), absent).unwrap();
    let said = failed(bake(here, &["lock", "--check"]), 2);
    assert!(said.contains("/amd:1@sha256:0000"), "{said}");
    done(bake(here, &["lock", "--check", "--offline"]));
}

/// Nodes find an image of an archive by its name as it is: with a digest behind it they would pull it.
#[test]
fn images_of_a_baked_archive_keep_their_names() {
    let (bench, registry) = bench();
    let name = registry.name();
    let manifest = format!(
        "kind: Pod\nspec: {{containers: [{{image: \"{name}/held:1\"}}, {{image: held}}]}}\n"
    );
    fs::write(bench.path("manifests/probe.yaml"), manifest).unwrap();
    let held =
        format!("[{{\"RepoTags\": [\"{name}/held:1\", \"docker.io/library/held:latest\"]}}]");
    fs::write(bench.path("manifest.json"), held).unwrap();
    run(
        "tar",
        &["-C", &text(bench.dir.path()), "-cf", &text(&bench.path("a.tar")), "manifest.json"],
    );
    run("gzip", &["-k", &text(&bench.path("a.tar"))]);
    for archive in ["a.tar", "a.tar.gz"] {
        let (status, said) = locked(&bench, &["--airgap-images", archive, "--update"], None);
        assert_eq!(status, Some(0), "{said}");
        let lock = fs::read_to_string(bench.path("edge.lock.yaml")).unwrap();
        let suffix = archive.trim_start_matches("a.");
        let line = format!("/held:1\n  archive: k3s-airgap-images-arm64.{suffix}\n");
        assert!(lock.contains(&line), "{lock}");
        let options = ["--out", "node1.img", "--force", "--airgap-images", archive];
        done(bake(bench.dir.path(), &options));
        let inside = format!("{}:{MANIFESTS}/probe.yaml", text(&bench.path("node1.img")));
        assert!(!run(env!("CARGO_BIN_EXE_bake"), &["cat", &inside]).contains('@'));
    }
    assert!(registry.server.requests().is_empty(), "nobody was asked");
}

/// What follows the path of a URL may be a key to it: the profile's (or `--set`'s) own, and in
/// nothing that is made of it or said.
#[test]
fn a_key_in_the_url_of_the_base_image_is_nobody_elses() {
    let bench = Bench::new(SINGLE);
    let here = bench.dir.path();
    let base = fs::File::open(bench.path("base.img")).unwrap();
    fs::write(bench.path("base.img.zst"), zstd::encode_all(base, 1).unwrap()).unwrap();
    let packed = fs::read(bench.path("base.img.zst")).unwrap();
    let keys = ["k3y-of-mine", "k3y-of-yours"];
    let server = Server::start(move |request| match request.path.split_once("?key=") {
        Some(("/base.img.zst", key)) if keys.contains(&key) => file(request, &packed, "\"tag\""),
        _ => Reply::new("403 Forbidden", ""),
    });
    // It came into the cache from elsewhere.
    done(bake(here, &["--dry-run", "--base", "base.img.zst"]));
    let url = server.url("/base.img.zst");
    let asked = |key: &str| {
        let sha256 = sha256(&bench.path("base.img.zst"));
        let profile = SINGLE
            .replace("./base.img", &format!("{{url: \"{url}?key={key}\", sha256: {sha256}}}"));
        fs::write(bench.path("edge.yaml"), profile).unwrap();
    };
    let mut all = String::new();
    let mut said = |out: Output, status: i32| {
        let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(out.status.code(), Some(status), "{}", said[1]);
        all += &said.concat();
    };
    asked(keys[0]);
    said(bake(here, &["lock", "-v"]), 0);
    let lock = fs::read_to_string(bench.path("edge.lock.yaml")).unwrap();
    assert!(lock.contains(&format!("image: {url}\n")), "{lock}");
    assert!(lock.contains(&format!("source: {url}\n")), "{lock}");

    fs::remove_dir_all(bench.path("cache")).unwrap();
    asked("k3y-of-nobody");
    said(bake(here, &["-v", "--out", "node1.img"]), 1);
    asked(keys[1]);
    said(bake(here, &["--json", "--out", "node1.img", "--locked"]), 0);
    said(bake(here, &["lock", "--check", "-v"]), 0);
    said(bake(here, &["lock", "--check", "--base", "base.img.zst"]), 0);
    said(bake(here, &["lock", "--update", "-v"]), 0);
    said(bench.run(&["profile", "show", "./edge.yaml"]), 0);
    assert_eq!(fs::read_to_string(bench.path("edge.lock.yaml")).unwrap(), lock);
    change(&bench.path("edge.yaml"), "/base.img.zst?", "/other.img.zst?");
    said(bake(here, &["-v", "--out", "other.img"]), 3);
    fs::remove_file(bench.path("edge.yaml")).unwrap();

    assert!(!all.contains("k3y-of"), "{all}");
    let found = Command::new("grep").args(["-rlF", "k3y-of", "."]).current_dir(here).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
    assert!(server.requests().iter().all(|request| request.path.starts_with("/base.img.zst?key=")));
}
