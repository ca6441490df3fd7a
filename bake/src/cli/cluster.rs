//! What the verbs about a cluster have in common.

use std::path::{Path, PathBuf};

use super::Session;
use crate::error::{Error, Fault, Result};
use crate::event::{Event, Sink};
use crate::profile::{Origin, Profile, Search, SecretsFile};

/// Which cluster.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Profile of the cluster: a name, or a path to a YAML file
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: String,
    /// Set a value of the profile, as when baking (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// The cluster's secrets [default: beside the profile; the first node or kubeconfig makes them]
    #[arg(long, value_name = "FILE")]
    pub secrets: Option<PathBuf>,
}

impl Which {
    /// Reads the profile and opens the cluster's secrets, which are made on first use.
    ///
    /// # Errors
    /// As [`Profile::read`] and [`SecretsFile::open`].
    pub fn open(&self, session: &Session) -> Result<(Profile, SecretsFile)> {
        let (profile, path) = self.read(session)?;
        let secrets = open_secrets(&profile, &path, session)?;
        Ok((profile, secrets))
    }

    /// As [`Which::open`], for a cluster that has been baked.
    ///
    /// # Errors
    /// As [`Which::open`], and [`Error::NotFound`] where there are no secrets yet.
    pub fn open_existing(&self, session: &Session) -> Result<(Profile, SecretsFile)> {
        let (profile, path) = self.read(session)?;
        if !path.exists() {
            return Err(absent(&path));
        }
        let secrets = open_secrets(&profile, &path, session)?;
        Ok((profile, secrets))
    }

    /// As [`Which::open_existing`], and changes nothing.
    ///
    /// # Errors
    /// As [`Which::open_existing`].
    pub fn look(&self, session: &Session) -> Result<(Profile, SecretsFile)> {
        let (profile, path) = self.read(session)?;
        let found = SecretsFile::look(&path, profile.cluster(), &session.keys())?;
        Ok((profile, found.ok_or_else(|| absent(&path))?))
    }

    /// The profile, and where its secrets are or will be.
    ///
    /// # Errors
    /// As [`Profile::read`].
    pub fn read(&self, session: &Session) -> Result<(Profile, PathBuf)> {
        let source = Search::usual().find(&self.profile)?;
        let profile = Profile::read(&source, &self.sets)?;
        profile.warnings().iter().for_each(|fault| warn(session, fault));
        let path = profile.secrets_path(self.secrets.as_deref());
        Ok((profile, path))
    }
}

fn absent(path: &Path) -> Error {
    let name = path.display().to_string();
    Error::NotFound { what: "the cluster's secrets", name }
        .hint("nothing has been baked with them yet, or `--secrets` says where they are")
}

/// Opens a cluster's secrets, and says so where something was made.
///
/// # Errors
/// As [`SecretsFile::open`].
pub fn open_secrets(profile: &Profile, path: &Path, session: &Session) -> Result<SecretsFile> {
    let secrets = SecretsFile::open(path, profile.cluster(), &profile.members(), &session.keys())?;
    let (cluster, path) = (profile.cluster(), path.display());
    let message = match secrets.origin() {
        Origin::Read => return Ok(secrets),
        Origin::Created => format!(
            "the secrets of cluster {cluster} are new, in {path}: keep that file, every node needs it"
        ),
        Origin::Completed => format!(
            "the secrets in {path} had no certificates and have them now: \
             cards baked before this must all be baked again"
        ),
    };
    session.ui.emit(Event::Warning { message });
    Ok(secrets)
}

/// Passes on a warning about a profile.
pub fn warn(session: &Session, fault: &Fault) {
    let message = match &fault.help {
        Some(help) => format!("{}: {} ({help})", fault.key, fault.message),
        None => format!("{}: {}", fault.key, fault.message),
    };
    session.ui.emit(Event::Warning { message });
}
