use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::Error;
use crate::config::{canonical, check_version};

/// Text that `Debug` does not show, and that is overwritten when it goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for writing it where it belongs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What only this node may know. Absent is what its role does not need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSecrets {
    /// [`crate::VERSION`] of the file.
    pub version: u32,
    /// Lets servers join; on servers only.
    pub server_token: Option<Secret>,
    /// Lets agents join; on servers and agents.
    pub agent_token: Option<Secret>,
    /// Access to the shared database; on servers and the database node.
    pub database: Option<DatabaseSecret>,
}

/// Access to the shared database that a node of the cluster runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSecret {
    /// Database.
    pub name: String,
    /// Role that owns it.
    pub user: String,
    /// Password of the role.
    pub password: Secret,
}

impl NodeSecrets {
    /// Reads a node's secrets.
    ///
    /// # Errors
    /// As [`crate::NodeConfig::parse`]; no message quotes a value.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        check_version(json)?;
        // serde quotes what it met ("invalid type: string \"…\""), which may be a secret.
        serde_json::from_slice(json).map_err(|e| Error::Syntax {
            line: e.line(),
            column: e.column(),
            message: "not what the secrets of a node look like".into(),
        })
    }

    /// Canonical text, secrets included.
    #[must_use]
    pub fn to_json(&self) -> String {
        canonical(self)
    }
}
