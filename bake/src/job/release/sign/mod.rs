//! Signatures of the list of digests, each in a file of its own beside it.

mod cosign;
mod encrypted;
mod minisign;

use std::path::Path;

use nodeconf::Secret;

use crate::error::Result;

/// No key file is larger.
const LIMIT: u64 = 64 << 10;

/// Somebody who signs. Never printed.
#[derive(Debug)]
pub enum Signer {
    /// As minisign(1) does.
    Minisign(minisign::Key),
    /// As `cosign sign-blob --key` does.
    Cosign(cosign::Key),
}

impl Signer {
    /// With minisign's secret key at `path`; `password` is asked for where the key has one.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] for what is no key and for a wrong password; what `password`
    /// fails with.
    pub fn minisign(path: &Path, password: impl FnOnce() -> Result<Secret>) -> Result<Self> {
        minisign::Key::open(path, password).map(Self::Minisign)
    }

    /// With the private key at `path`, of P-256: as cosign writes it, where `password` is asked for, or in
    /// PKCS#8, PEM.
    ///
    /// # Errors
    /// As [`Signer::minisign`].
    pub fn cosign(path: &Path, password: impl FnOnce() -> Result<Secret>) -> Result<Self> {
        cosign::Key::open(path, password).map(Self::Cosign)
    }

    /// How the names of signatures end, of all kinds.
    pub const SUFFIXES: [&str; 2] = [".minisig", ".sig"];

    /// How the name of its signature ends.
    #[must_use]
    pub fn suffix(&self) -> &'static str {
        match self {
            Self::Minisign(_) => Self::SUFFIXES[0],
            Self::Cosign(_) => Self::SUFFIXES[1],
        }
    }

    /// Signs `data`, a file called `name`, at `time` (seconds since 1970-01-01 UTC).
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] where the system has no random numbers.
    pub fn sign(&self, name: &str, data: &[u8], time: i64) -> Result<String> {
        match self {
            Self::Minisign(key) => key.sign(name, data, time),
            Self::Cosign(key) => key.sign(name, data),
        }
    }
}
