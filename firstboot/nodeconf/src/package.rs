use serde::{Deserialize, Serialize};

/// A Debian package that lies ready for installation below [`crate::paths::PACKAGES`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Binary package (`keepalived`).
    pub name: String,
    /// Its version, epoch and revision included (`1:2.2.7-1+b2`).
    pub version: String,
    /// Debian architecture (`arm64`, `all`).
    pub architecture: String,
    /// File name below [`crate::paths::PACKAGES`].
    pub file: String,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Packages of one batch may go to dpkg together; a later batch has packages that pre-depend
    /// on an earlier one. From 0.
    #[serde(default)]
    pub batch: u16,
}
