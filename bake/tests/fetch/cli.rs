//! The verbs as a user runs them: exit codes, data on standard output, processes that are killed.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use bake::io::digest::Sha256;
use tempfile::TempDir;
use url::Url;

use super::server::{Reply, Server, file};
use super::{data, until};

/// bake with a cache, a configuration and an environment of its own.
fn bake(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bake"));
    command.env_clear().env("HOME", home).env("XDG_CONFIG_HOME", home.join("config"));
    command.env("BAKE_CACHE_DIR", home.join("cache")).args(arguments);
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn pull(home: &Path, url: &str, content: &[u8]) -> Command {
    bake(home, &["--json", "images", "pull", url, "--sha256", &Sha256::of(content).to_string()])
}

#[test]
fn a_server_is_trusted_by_its_certificate() {
    let (home, content) = (TempDir::new().unwrap(), data(100_000));
    let served = content.clone();
    let server = Server::start_tls(move |r| file(r, &served, "\"1\""));
    let url = server.tls_url("/a.img");
    let (code, _, said) = run(&mut pull(home.path(), &url, &content));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("certificate") && said.contains("SSL_CERT_FILE"), "{said}");
    assert!(!said.contains("tried"), "a certificate is not asked for twice: {said}");

    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fetch/tls/ca.pem");
    let (code, out, said) = run(pull(home.path(), &url, &content).env("SSL_CERT_FILE", ca));
    assert_eq!(code, Some(0), "{said}");
    let result = out.lines().last().unwrap();
    assert!(result.contains(&format!("\"bytes\":{}", content.len())), "{out}");
    for line in out.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn a_redirect_leads_to_nothing_less_safe() {
    let (home, content) = (TempDir::new().unwrap(), data(1000));
    let served = content.clone();
    let plain = Server::start(move |r| file(r, &served, "\"1\""));
    let elsewhere = |to: String| move |_: &_| Reply::new("302 Found", "").header("Location", &*to);
    let secure = Server::start_tls(elsewhere(plain.url("/a.img").into()));
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fetch/tls/ca.pem");
    let mut command = pull(home.path(), &secure.tls_url("/a.img"), &content);
    let (code, _, said) = run(command.env("SSL_CERT_FILE", ca));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("redirected from HTTPS to HTTP"), "{said}");
    assert_eq!((secure.requests().len(), plain.requests().len()), (1, 0));

    std::fs::write(home.path().join("a.img"), &content).unwrap();
    let file = Url::from_file_path(home.path().join("a.img")).unwrap();
    let server = Server::start(elsewhere(file.into()));
    let (code, _, said) = run(&mut pull(home.path(), server.url("/a.img").as_str(), &content));
    assert_eq!((code, server.requests().len()), (Some(1), 1), "{said}");
}

#[test]
fn a_killed_download_is_continued_and_leaves_no_damage() {
    let (home, content) = (TempDir::new().unwrap(), data(3_000_000));
    let served = content.clone();
    let server = Server::start(move |r| match r.number {
        0 => file(r, &served, "\"1\"").stall(2_000_000),
        _ => file(r, &served, "\"1\""),
    });
    let url = server.url("/a.img").to_string();
    let part = home.path().join("cache/downloads").join(format!("{}.part", Sha256::of(&content)));
    let mut child = pull(home.path(), &url, &content)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("what was sent has come", || part.metadata().map_or(0, |m| m.len()) == 2_000_000);
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, _, said) = run(&mut pull(home.path(), &url, &content));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(server.requests()[1].from(), Some(2_000_000));
    let (_, listed, _) = run(&mut bake(home.path(), &["cache", "list", "--json"]));
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

#[test]
fn a_proxy_from_the_environment_is_asked() {
    let home = TempDir::new().unwrap();
    let proxy = Server::start(|_| Reply::new("403 Forbidden", ""));
    let mut command = pull(home.path(), "https://downloads.invalid/a.img.xz", b"x");
    command.env("HTTPS_PROXY", proxy.url("").as_str()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("the proxy is asked", || !proxy.requests().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(proxy.requests()[0].path, "downloads.invalid:443");
}

/// A file system of one mebibyte, in a mount namespace of the test's own.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_nothing_is_damaged() {
    let (home, content) = (TempDir::new().unwrap(), data(3_000_000));
    let served = content.clone();
    let server = Server::start(move |r| file(r, &served, "\"1\""));
    let script = "mount -t tmpfs -o size=1m none \"$BAKE_CACHE_DIR\" && \"$@\"; \
                  code=$?; ls \"$BAKE_CACHE_DIR/bases\" \"$BAKE_CACHE_DIR/files\" 2>/dev/null; exit $code";
    std::fs::create_dir(home.path().join("cache")).unwrap();
    let inner = pull(home.path(), server.url("/a.img").as_str(), &content);
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script, "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env("BAKE_CACHE_DIR", home.path().join("cache")).env("HOME", home.path());
    let (code, out, said) = run(&mut command);
    assert_eq!(code, Some(1), "{out}{said}");
    assert!(said.contains("No space left") && said.contains("bake cache prune"), "{said}");
    assert!(!out.contains(".img\n"), "{out}");
}

#[test]
fn images_are_listed_imported_and_refused() {
    let home = TempDir::new().unwrap();
    let (code, out, _) = run(&mut bake(home.path(), &["images", "list", "bookworm"]));
    assert!(code == Some(0) && out.contains("raspios-lite-arm64-bookworm"), "{out}");
    let (code, _, said) =
        run(&mut bake(home.path(), &["images", "pull", "raspios-lite-armhf-bookworm-2026-09-15"]));
    assert!(code == Some(4) && said.contains("--sha256"), "{said}");
    let (code, _, said) =
        run(&mut bake(home.path(), &["images", "show", "raspios-lite-arm64-trixy"]));
    assert!(code == Some(2) && said.contains("raspios-lite-arm64-trixie"), "{said}");

    let list = home.path().join("list.json");
    let item = r#"{"os_list": [{"name": "My OS", "subitems": [{"name": "My OS Lite",
        "url": "https://example.org/my-os-arm64.img.xz", "release_date": "2026-01-02",
        "extract_sha256": "e235fd24fc5f039c08daba7d3abc04aecc7313f979d16d2a3fdad29dd44c33a9"}]}]}"#;
    std::fs::write(&list, item).unwrap();
    let (code, out, said) =
        run(&mut bake(home.path(), &["images", "import", list.to_str().unwrap()]));
    assert!(code == Some(0) && out.contains("imager.yaml: 1 images"), "{out}{said}");
    let (code, out, _) = run(&mut bake(home.path(), &["images", "show", "my-os-arm64", "--json"]));
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, shown["arch"].as_str()), (Some(0), Some("arm64")), "{out}");

    std::fs::write(home.path().join("config/bake/images/mine.yaml"), "version: 1\nimages: 7\n")
        .unwrap();
    let (code, _, said) = run(&mut bake(home.path(), &["images", "list"]));
    assert!(code == Some(2) && said.contains("mine.yaml") && said.contains("line 2"), "{said}");
}

/// What an import writes is read by every verb that looks at images.
#[test]
fn an_import_leaves_a_catalogue_that_can_be_read() {
    let home = TempDir::new().unwrap();
    let list = home.path().join("list.json");
    let item = |n: usize| {
        format!(
            r#"{{"name": "OS {n}", "url": "https://example.org/os-{n}-arm64.img.xz",
                "release_date": "2026-01-02", "devices": ["pi4-64bit", "pi5-64bit"],
                "extract_size": 2977955840, "image_download_size": 524875608,
                "extract_sha256": "{n:064}", "image_download_sha256": "{n:064}"}}"#
        )
    };
    let items: Vec<String> = (0..30_000).map(item).collect();
    std::fs::write(&list, format!(r#"{{"os_list": [{}]}}"#, items.join(","))).unwrap();
    let import = |more: &[&str]| {
        let arguments = [&["images", "import", list.to_str().unwrap()], more].concat();
        run(&mut bake(home.path(), &arguments))
    };
    let lists = |id: &str| {
        let (code, out, said) = run(&mut bake(home.path(), &["images", "list", id]));
        assert_eq!(code, Some(0), "{said}");
        out.contains(id)
    };
    let (code, _, said) = import(&[]);
    assert!(code == Some(1) && said.contains("30000 images") && said.contains("budget"), "{said}");
    assert!(said.contains("--only"), "{said}");
    assert!(!lists("os-17-arm64"));
    let (code, out, said) = import(&["--only", "os-17"]);
    assert!(code == Some(0) && out.contains("imager.yaml: 1111 images"), "{out}{said}");
    assert!(lists("os-17-arm64"));
    // An id is one file's alone.
    let (code, out, said) = import(&["--only", "os-1717", "--name", "again"]);
    assert!(code == Some(0) && out.contains("again.yaml: 0 images"), "{out}{said}");
    let (code, out, said) = import(&["--only", "os-1717"]);
    assert!(code == Some(0) && out.contains("imager.yaml: 11 images"), "{out}{said}");
    assert!(lists("os-1717-arm64"));
}
