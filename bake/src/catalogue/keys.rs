//! Keys that sign base images: those that ship with bake, and the user's.

use std::path::PathBuf;

use super::shipped;
use crate::error::{Error, IoContext, Result};
use crate::openpgp::Keyring;

/// The keys of `images/keys/` and of the user's `files`.
///
/// # Errors
/// [`Error::Usage`] for a file without a key that may sign, and [`Error::Io`].
pub fn keyring(files: &[PathBuf]) -> Result<Keyring> {
    let mut keyring = Keyring::default();
    for (name, text) in shipped::KEYS {
        keyring.add(&format!("images/keys/{name}"), text.as_bytes());
    }
    for path in files {
        let bytes = crate::io::whole::read(path).at("reading", path)?;
        if keyring.add(&path.display().to_string(), &bytes) == 0 {
            let wrong = format!("--keyring {}: no OpenPGP key in it may sign", path.display());
            return Err(Error::Usage(wrong).hint("`gpg --export KEY > FILE` writes one"));
        }
    }
    Ok(keyring)
}
