//! What registries say of container images, and what they may not get us to do.

use bake::container::Reference;
use bake::error::{Error, Exit};
use bake::fetch::Held;

use super::Bench;
use super::registry_double::{Door, Registry, index};
use super::server::{Reply, Server};

fn ask(bench: &Bench, name: &str) -> Result<Held, Error> {
    let image: Reference = name.parse().unwrap();
    bench.fetcher().container_image(&image)
}

#[test]
fn a_name_stands_for_the_digest_of_its_manifest() {
    let bench = Bench::new();
    for door in [Door::Open, Door::Token] {
        let registry = Registry::start(door);
        let sha256 = registry.push("some/app", "1.2", index(&["amd64", "arm64"], "a"));
        let latest = registry.push("app", "latest", r#"{"schemaVersion":2,"config":{}}"#);
        let name = registry.name();
        let held = ask(&bench, &format!("{name}/some/app:1.2")).unwrap();
        let known: Vec<_> = held.platforms.iter().map(|p| p.architecture.as_str()).collect();
        assert_eq!((held.sha256.to_string(), known), (sha256.clone(), vec!["amd64", "arm64"]));
        let held = ask(&bench, &format!("{name}/app")).unwrap();
        assert_eq!((held.sha256.to_string(), held.platforms.len()), (latest, 0));
        // The digest decides, whatever the tag.
        let held = ask(&bench, &format!("{name}/some/app:gone@sha256:{sha256}")).unwrap();
        assert_eq!(held.sha256.to_string(), sha256);
    }
}

#[test]
fn what_is_not_there_or_not_for_us_is_told() {
    let bench = Bench::new();
    let registry = Registry::start(Door::Token);
    let error = ask(&bench, &format!("{}/absent:1", registry.name())).unwrap_err();
    assert!(matches!(error, Error::NotFound { what: "container image", .. }), "{error}");
    let closed = Registry::start(Door::Password("nobody", "knows"));
    let error = ask(&bench, &format!("{}/app:1", closed.name())).unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("docker login 127.0.0.1")), "{error:?}");
    let mut offline = Bench::new();
    offline.options.offline = true;
    let error = ask(&offline, "quay.io/a/b:1").unwrap_err();
    assert!(error.to_string().contains("quay.io/a/b:1") && error.exit() == Exit::Usage, "{error}");
}

#[test]
fn answers_that_are_no_manifest_are_refused() {
    let bench = Bench::new();
    let registry = Registry::start(Door::Open);
    for (tag, body) in [
        ("page", "<html>".to_owned()),
        ("one", r#"{"schemaVersion":1,"signatures":[]}"#.to_owned()),
        ("long", format!("{{\"schemaVersion\":2,\"x\":\"{}\"}}", "y".repeat(5 << 20))),
    ] {
        registry.push("app", tag, body);
        let error = ask(&bench, &format!("{}/app:{tag}", registry.name())).unwrap_err();
        assert!(!error.to_string().is_empty(), "{tag}");
        assert_ne!(error.exit(), Exit::Done, "{tag}");
    }
    // Another manifest than the digest in its name.
    let liar = Server::start(|_| Reply::new("200 OK", r#"{"schemaVersion":2}"#));
    let name = format!("{}/app@sha256:{}", liar.url("").authority(), "0".repeat(64));
    assert_eq!(ask(&bench, &name).unwrap_err().exit(), Exit::Verification);
    for asks in [
        "Bearer realm=\"no url\"",
        "Bearer",
        "Negotiate",
        "Bearer realm=\"file:///etc/passwd\"",
        "\u{1}",
    ] {
        let strange = Server::start(move |_| {
            Reply::new("401 Unauthorized", "").header("WWW-Authenticate", asks)
        });
        let name = format!("{}/app:1", strange.url("").authority());
        ask(&bench, &name).unwrap_err();
    }
}

/// A token is for the registry that asked for it.
#[test]
fn a_redirect_does_not_get_the_token() {
    let bench = Bench::new();
    let other = Server::start(|_| Reply::new("200 OK", r#"{"schemaVersion":2}"#));
    let elsewhere = other.url("/blob").to_string();
    let registry = Server::start(move |request| match request.path.as_str() {
        path if path.starts_with("/token") => Reply::new("200 OK", r#"{"token":"secret"}"#),
        _ if request.headers.contains_key("authorization") => {
            Reply::new("307 Temporary Redirect", "").header("Location", elsewhere.clone())
        }
        _ => {
            let realm = format!("Bearer realm=\"http://{}/token\"", request.headers["host"]);
            Reply::new("401 Unauthorized", "").header("WWW-Authenticate", realm)
        }
    });
    ask(&bench, &format!("{}/app:1", registry.url("").authority())).unwrap();
    let seen = other.requests();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].headers.contains_key("authorization"), "{:?}", seen[0].headers);
}
