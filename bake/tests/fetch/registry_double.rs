//! A double of a registry of container images: manifests by tag and by digest, for everybody or for
//! who has a token (OCI distribution specification; Docker's token authentication).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bake::io::digest::Sha256;

use super::server::{Reply, Request, Server};

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Everybody.
    Open,
    /// Who has fetched a token.
    Token,
    /// Who has fetched a token with this user's password.
    Password(&'static str, &'static str),
}

/// The registry.
#[derive(Debug, Clone)]
pub struct Registry {
    pub server: Server,
    manifests: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

const TOKEN: &str = "t0ken-of-the-double";

impl Registry {
    pub fn start(door: Door) -> Self {
        let manifests: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let known = manifests.clone();
        let server = Server::start(move |request| {
            if request.path.starts_with("/token?") {
                return token(request, door);
            }
            if door != Door::Open
                && request.headers.get("authorization") != Some(&format!("Bearer {TOKEN}"))
            {
                let host = &request.headers["host"];
                let asks = format!("Bearer realm=\"http://{host}/token\",service=\"the double\"");
                return Reply::new("401 Unauthorized", "{}").header("WWW-Authenticate", asks);
            }
            let accepts =
                request.headers.get("accept").is_some_and(|a| a.contains("index.v1+json"));
            match known.lock().unwrap().get(&request.path).filter(|_| accepts) {
                Some(manifest) => Reply::new("200 OK", manifest.clone()),
                None => {
                    Reply::new("404 Not Found", "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}")
                }
            }
        });
        Self { server, manifests }
    }

    /// Host and port, as names of images have them.
    pub fn name(&self) -> String {
        self.server.url("").authority().to_owned()
    }

    /// Gives `tag` of `repository` a manifest; its digest.
    pub fn push(&self, repository: &str, tag: &str, manifest: impl Into<Vec<u8>>) -> String {
        let manifest = manifest.into();
        let sha256 = Sha256::of(&manifest).to_string();
        let mut all = self.manifests.lock().unwrap();
        let path = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
        all.insert(path(&format!("sha256:{sha256}")), manifest.clone());
        all.insert(path(tag), manifest);
        sha256
    }
}

/// An index for these processors; `salt` makes it another one.
pub fn index(architectures: &[&str], salt: &str) -> String {
    let one =
        |arch: &&str| format!("{{\"platform\":{{\"os\":\"linux\",\"architecture\":\"{arch}\"}}}}");
    let all: Vec<String> = architectures.iter().map(one).collect();
    format!(
        "{{\"schemaVersion\":2,\"annotations\":{{\"salt\":\"{salt}\"}},\"manifests\":[{}]}}",
        all.join(",")
    )
}

fn token(request: &Request, door: Door) -> Reply {
    use base64::Engine;
    let given = request.headers.get("authorization");
    let right = match door {
        Door::Password(user, password) => {
            let both =
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            given == Some(&format!("Basic {both}"))
        }
        _ => given.is_none(),
    };
    let asked =
        request.path.contains("service=the+double") && request.path.contains("scope=repository%3A");
    match right && asked {
        true => Reply::new("200 OK", format!("{{\"access_token\":\"{TOKEN}\"}}")),
        false => Reply::new("401 Unauthorized", "{}"),
    }
}
