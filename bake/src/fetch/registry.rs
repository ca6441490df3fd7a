//! What a registry has under the name of a container image (OCI distribution specification 1.1):
//! its manifest is fetched and hashed, no image is pulled.

use docker_credential::{CredentialRetrievalError, DockerCredential};
use http_auth::ChallengeRef;
use reqwest::header::{self, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::client::{Way, is_loopback};
use super::download::Answer;
use super::fetcher::Fetcher;
use crate::container::Reference;
use crate::error::{Error, Result};
use crate::io::digest::Sha256;

/// Largest manifest; registries take no larger one (OCI distribution specification, "Pushing
/// Manifests").
const LIMIT: u64 = 4 << 20;

/// Lists of an image's platforms first: their digest serves boards of every kind.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

/// What a registry has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Digest of the manifest: what `NAME@sha256:…` names.
    pub sha256: Sha256,
    /// What it is for; empty where the manifest does not say.
    pub platforms: Vec<Platform>,
}

/// Operating system and processor of an image, as Go names them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `arm64`, `arm`, `amd64`.
    pub architecture: String,
}

/// What an index and a manifest of one image have between them.
#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "schemaVersion")]
    version: u32,
    #[serde(default)]
    manifests: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Fetcher<'_> {
    /// What the image's registry has under its name now. Passwords are those of `docker login` and
    /// `podman login`, and are given to nobody but that registry, where it asks for one.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the registry has no such image, or offline; [`Error::Network`];
    /// [`Error::Corrupt`] for an answer that is no manifest; [`Error::Verification`] for another one
    /// than the name's digest says.
    pub fn container_image(&self, image: &Reference) -> Result<Held> {
        let name = image.to_string();
        let url = manifest_url(image)?;
        self.refuse_offline(&name, &url)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
        let body = match self.ask(&name, &url, Way::Private, &headers, LIMIT)? {
            Answer::Denied { challenges, error } => {
                let Some(authorization) = self.authorize(image, &challenges)? else {
                    return Err(denied(error, image));
                };
                headers.insert(header::AUTHORIZATION, authorization);
                match self.ask(&name, &url, Way::Private, &headers, LIMIT)? {
                    // Docker's own says so of what does not exist, too.
                    Answer::Denied { error, .. } => return Err(denied(error, image)),
                    Answer::Absent(_) => return Err(absent(name)),
                    Answer::Found(body) => body,
                }
            }
            Answer::Absent(_) => return Err(absent(name)),
            Answer::Found(body) => body,
        };
        let held = held(&name, &body)?;
        match image.digest() {
            Some(digest) if digest != format!("sha256:{}", held.sha256) => {
                let reason = format!("its registry gave sha256:{}", held.sha256);
                Err(Error::Verification { what: name, reason })
            }
            _ => Ok(held),
        }
    }

    /// What is to be said to a registry that asks who wants to know; `None` where it asks for what
    /// we do not have.
    fn authorize(&self, image: &Reference, challenges: &[String]) -> Result<Option<HeaderValue>> {
        let parsed = |text| http_auth::parse_challenges(text).unwrap_or_default();
        let all: Vec<ChallengeRef<'_>> = challenges.iter().flat_map(|text| parsed(text)).collect();
        let find =
            |scheme: &str| all.iter().find(|found| found.scheme.eq_ignore_ascii_case(scheme));
        match (find("bearer"), find("basic")) {
            (Some(bearer), _) => self.token(image, bearer).map(Some),
            (None, Some(_)) => Ok(self.password(image)),
            (None, None) => Ok(None),
        }
    }

    /// Fetches a token to read the image with (Docker's token authentication specification).
    fn token(&self, image: &Reference, challenge: &ChallengeRef<'_>) -> Result<HeaderValue> {
        let corrupt = |reason: &str| Error::Corrupt {
            what: format!("what {} asks for", image.registry()),
            reason: reason.into(),
        };
        let param = |wanted: &str| {
            let found = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.to_unescaped())
        };
        let realm = param("realm").and_then(|realm| Url::parse(&realm).ok());
        let mut url = realm.ok_or_else(|| corrupt("its realm is no URL"))?;
        let scope =
            param("scope").unwrap_or_else(|| format!("repository:{}:pull", image.repository()));
        let service = param("service");
        let query = service.iter().map(|s| ("service", s)).chain([("scope", &scope)]);
        url.query_pairs_mut().extend_pairs(query);
        let mut headers = HeaderMap::new();
        headers.extend(self.password(image).map(|value| (header::AUTHORIZATION, value)));
        let name = format!("access to {}", image.registry());
        let body = match self.ask(&name, &url, Way::Private, &headers, LIMIT)? {
            Answer::Found(body) => body,
            Answer::Absent(error) | Answer::Denied { error, .. } => {
                return Err(denied(error, image));
            }
        };
        let token: Token = serde_json::from_slice(&body).map_err(|_| corrupt("it is no token"))?;
        let token = token.token.or(token.access_token).unwrap_or_default();
        secret(format!("Bearer {token}")).ok_or_else(|| corrupt("its token is no token"))
    }

    /// The user's password for the registry; none for a mirror, which is somebody else.
    fn password(&self, image: &Reference) -> Option<HeaderValue> {
        if self.options.mirror.is_some() {
            return None;
        }
        let server = match image.registry() {
            // Its name in the files of `docker login`.
            "docker.io" => "https://index.docker.io/v1/",
            other => other,
        };
        let none = |e: &CredentialRetrievalError| match e {
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError
            | CredentialRetrievalError::NoCredentialConfigured => true,
            // Words of the helpers' protocol (docker-credential-helpers, `credentials/error.go`).
            CredentialRetrievalError::HelperFailure { stdout, .. } => {
                stdout.contains("credentials not found")
            }
            _ => false,
        };
        let found = match docker_credential::get_credential(server) {
            Err(e) if none(&e) => docker_credential::get_podman_credential(image.registry()),
            other => other,
        };
        let reason = match found {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return secret(http_auth::basic::encode_credentials(&user, &password));
            }
            Ok(DockerCredential::IdentityToken(_)) => "it is a token of an identity",
            Err(e) if none(&e) => return None,
            // What a helper says may hold the password.
            Err(CredentialRetrievalError::HelperFailure { .. }) => "its helper failed",
            Err(_) => "it cannot be read",
        };
        let registry = image.registry();
        self.warn(format!("the login to {registry} is not used: {reason}; asking without"));
        None
    }
}

fn manifest_url(image: &Reference) -> Result<Url> {
    let reference = image.digest().unwrap_or(image.tag());
    let url = |scheme: &str| {
        let (host, repository) = (image.host(), image.repository());
        let text = format!("{scheme}://{host}/v2/{repository}/manifests/{reference}");
        Url::parse(&text).map_err(|e| Error::Usage(format!("`{image}`: {e}")))
    };
    // As containerd does: a registry of this machine needs no certificate.
    let secure = url("https")?;
    if is_loopback(&secure) { url("http") } else { Ok(secure) }
}

fn held(name: &str, body: &[u8]) -> Result<Held> {
    let corrupt = |reason: String| Error::Corrupt { what: format!("manifest of {name}"), reason };
    let manifest: Manifest = serde_json::from_slice(body).map_err(|e| corrupt(e.to_string()))?;
    if manifest.version != 2 {
        // Version 1 has a signature that its digest leaves out, and containerd takes none.
        return Err(corrupt(format!("its schema has version {}, not 2", manifest.version)));
    }
    let platforms = manifest.manifests.into_iter().filter_map(|described| described.platform);
    Ok(Held { sha256: Sha256::of(body), platforms: platforms.collect() })
}

fn absent(name: String) -> Error {
    Error::NotFound { what: "container image", name }
}

fn denied(error: Error, image: &Reference) -> Error {
    let registry = image.registry();
    error
        .hint(format!("is there such an image? Where it is not for all: `docker login {registry}`"))
}

fn secret(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
