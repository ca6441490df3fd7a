//! Secrets that are going to take the place of others. Until every board has them both are kept,
//! so that a rotation is begun and finished, or given up, and never lost half way.

use nodeconf::Secret;
use serde::{Deserialize, Serialize};

use super::{ClusterSecrets, random};
use crate::error::{Error, Result};

/// What can be replaced while a cluster runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotated {
    /// What servers and agents join with.
    Tokens,
    /// The password of the cluster's own database.
    Database,
}

impl Rotated {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Database => "database",
        }
    }
}

/// What comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what", deny_unknown_fields)]
pub enum Next {
    /// New tokens.
    Tokens {
        /// For [`ClusterSecrets::server_token`].
        server_token: Secret,
        /// For [`ClusterSecrets::agent_token`].
        agent_token: Secret,
    },
    /// A new password.
    Database {
        /// For [`ClusterSecrets::database_password`].
        password: Secret,
    },
}

impl Next {
    /// What is replaced.
    #[must_use]
    pub fn what(&self) -> Rotated {
        match self {
            Self::Tokens { .. } => Rotated::Tokens,
            Self::Database { .. } => Rotated::Database,
        }
    }
}

impl ClusterSecrets {
    /// Makes what is to come; what is under way already goes on. Returns whether anything was made.
    pub(super) fn begin(&mut self, what: Rotated) -> Result<bool> {
        if let Some(next) = &self.next {
            return if next.what() == what { Ok(false) } else { Err(under_way(next.what())) };
        }
        self.next = Some(match what {
            Rotated::Tokens => Next::Tokens {
                server_token: Secret::new(random::hex::<24>()?),
                agent_token: Secret::new(random::hex::<24>()?),
            },
            Rotated::Database => Next::Database { password: Secret::new(random::hex::<24>()?) },
        });
        Ok(true)
    }

    /// The secrets as they are once the rotation under way is finished.
    #[must_use]
    pub fn rotated(&self) -> Option<Self> {
        let mut after = self.clone();
        match after.next.take()? {
            Next::Tokens { server_token, agent_token } => {
                (after.server_token, after.agent_token) = (server_token, agent_token);
            }
            Next::Database { password } => after.database_password = password,
        }
        Some(after)
    }
}

fn under_way(what: Rotated) -> Error {
    let action = "begin another rotation".into();
    let reason = format!("that of the {} is under way", what.name());
    Error::Refused { action, reason }.hint("`--finish` or `--abandon` it first")
}
