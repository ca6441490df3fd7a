//! What the name of a container image means.

use std::fmt;
use std::str::FromStr;

/// A container image as a pod names it: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, with what
/// is left out put in (grammar and defaults: distribution's `reference/regexp.go` and
/// `normalize.go`, which containerd uses).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// The registry of names that name none.
const HUB: &str = "docker.io";
/// Longest repository, in bytes.
const LONGEST: usize = 255;

impl Reference {
    /// The registry as names spell it: `docker.io`, `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Host and port that answer for the registry.
    #[must_use]
    pub fn host(&self) -> &str {
        if self.registry == HUB { "registry-1.docker.io" } else { &self.registry }
    }

    /// The repository in the registry: `library/nginx`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` where the name has none.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or("latest")
    }

    /// The digest with its algorithm, where the name has one. It decides then, whatever the tag.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

/// In full: what two names of the same image have in common.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match (&self.tag, &self.digest) {
            (Some(tag), Some(digest)) => write!(f, ":{tag}@{digest}"),
            (None, Some(digest)) => write!(f, "@{digest}"),
            _ => write!(f, ":{}", self.tag()),
        }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is no name of a container image: {why}"));
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return wrong("what follows `@` is no digest");
        }
        let (registry, rest) = match named.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first, rest),
            _ => (HUB, named),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return wrong("what follows `:` is no tag");
        }
        if path.len() > LONGEST || !path.split('/').all(is_component) {
            return wrong(
                "repositories have lower-case letters, digits, and `.`, `_`, `-` between them",
            );
        }
        let registry = if registry == "index.docker.io" { HUB } else { registry };
        let repository = match registry == HUB && !path.contains('/') {
            true => format!("library/{path}"),
            false => path.to_owned(),
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

/// Whether what comes before the first `/` names a registry and no part of a repository.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let known = text.contains(['.', ':'])
        || text == "localhost"
        || text.bytes().any(|b| b.is_ascii_uppercase());
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = |part: &str| {
        let inner = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        !part.is_empty() && inner && !part.starts_with('-') && !part.ends_with('-')
    };
    let host_right = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(named),
    };
    known && host_right && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().next_back()) else {
        return false;
    };
    let between = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let separator = |s: &str| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-');
    plain(first) && plain(last) && between.into_iter().all(separator)
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let first = text.bytes().next().is_some_and(word);
    first && text.len() <= 128 && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let named = algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
        && algorithm.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+.".contains(&b));
    named && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}
