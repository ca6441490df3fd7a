//! One base image of the catalogue.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use crate::arch::Arch;
use crate::error::{Error, Result};
use crate::fetch::{BaseRequest, Signature, SignedBy, shown};
use crate::io::digest::Sha256;

/// How an image is packed where it is published. Only for people: unpacking looks at the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Not at all.
    Raw,
    /// `.xz`
    Xz,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
    /// `.zip`
    Zip,
}

/// How far the digests of an entry can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Not enough to download by.
    #[default]
    Unconfirmed,
    /// Given by the vendor or by two independent sources.
    Confirmed,
}

/// One base image. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its own name.
    pub id: String,
    /// The name of its series, which stands for its newest confirmed entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// `raspios`, `ubuntu`, or another system's name.
    pub os: String,
    /// Code name of the release (`bookworm`).
    pub release: String,
    /// Date or version; newer ones sort after older ones.
    pub version: String,
    /// What it runs on.
    pub arch: Arch,
    /// Boards it supports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<String>,
    /// Where it is published.
    #[serde(serialize_with = "write_url", deserialize_with = "read_url")]
    pub url: Url,
    /// How it is packed.
    pub format: Packing,
    /// Length of the file as published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Digest of the file as published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// Length of the image inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<u64>,
    /// Digest of the image inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_sha256: Option<Sha256>,
    /// How far the digests can be believed.
    #[serde(default)]
    pub trust: Trust,
    /// How its publisher signs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// What a user should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

impl Entry {
    /// What to fetch. `sha256` is the user's own digest of the file as published, which goes
    /// before the catalogue's.
    ///
    /// # Errors
    /// [`Error::Refused`] where neither gives a digest to believe in, and no signed list will.
    pub fn request(&self, sha256: Option<Sha256>) -> Result<BaseRequest> {
        let confirmed = self.trust == Trust::Confirmed;
        let request = BaseRequest {
            name: self.id.clone(),
            url: self.url.clone(),
            sha256: sha256.or(self.sha256.filter(|_| confirmed)),
            size: self.size.filter(|_| confirmed),
            image_sha256: self.image_sha256.filter(|_| confirmed && sha256.is_none()),
            image_size: self.image_size.filter(|_| confirmed && sha256.is_none()),
            signature: self.signature.clone(),
        };
        let listed = self.signature.as_ref().is_some_and(|s| s.by == SignedBy::Sums);
        if request.sha256.is_some() || request.image_sha256.is_some() || listed {
            return Ok(request);
        }
        let reason = match self.sha256 {
            Some(seen) => format!("its sha256 is known from one source only: {seen}"),
            None => "the catalogue has no digest of it".into(),
        };
        let action = format!("download {}", self.id);
        Err(Error::Refused { action, reason }.hint(format!(
            "compare with the vendor's list beside {} and give the digest with --sha256",
            shown(&self.url)
        )))
    }

    /// Whether a profile that says `name` may mean it.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.series.as_deref() == Some(name)
    }

    /// Sorts versions: numbers count, so 24.04.10 comes after 24.04.9.
    pub(super) fn age_key(&self) -> Vec<u64> {
        let numbers = self.version.split(|c: char| !c.is_ascii_digit());
        numbers.filter_map(|n| n.parse().ok()).collect()
    }
}

fn read_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(url),
        // It may hold a password, so it is not shown.
        Ok(_) => Err(de::Error::custom("that is no HTTP(S) URL")),
        Err(e) => Err(de::Error::custom(format!("that is no URL: {e}"))),
    }
}

fn write_url<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.as_str())
}
