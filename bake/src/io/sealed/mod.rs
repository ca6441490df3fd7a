//! Bytes that only who has a key can read: files of the age format (c2sp.org/age, version 1).
//!
//! A random *file key* is wrapped for each recipient in a stanza of the `header`; everything else
//! follows from it: the header's authentication code, and the key of the `payload`.

mod header;
mod keys;
mod payload;
mod wrap;

use std::fmt;

use nodeconf::Secret;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use header::Header;
use wrap::{FileKey, Recipient};

pub use keys::Keys;

/// First bytes of a binary and of a text file.
const BEGINNINGS: [&[u8]; 2] = [header::VERSION.as_bytes(), b"-----BEGIN AGE ENCRYPTED FILE-----"];
/// Label of the text form.
const LABEL: &str = "AGE ENCRYPTED FILE";

/// What closes a file, and opens it again.
#[derive(Clone, PartialEq, Eq)]
pub enum Lock {
    /// The private key of any of these public ones (`age1…`).
    Recipients(Vec<String>),
    /// Something a person knows.
    Passphrase(Secret),
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recipients(all) => f.debug_tuple("Recipients").field(all).finish(),
            Self::Passphrase(_) => f.write_str("Passphrase"),
        }
    }
}

impl Lock {
    /// A lock of public keys.
    ///
    /// # Errors
    /// [`Error::Usage`] for one that is none, or where there is none at all.
    pub fn of(recipients: &[String]) -> Result<Self> {
        if recipients.is_empty() {
            return Err(Error::Usage("encrypting for nobody: name a recipient".into()));
        }
        recipients.iter().try_for_each(|text| Recipient::parse(text).map(drop))?;
        Ok(Self::Recipients(recipients.to_vec()))
    }
}

/// Whether the bytes are a file of this format.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning))
}

/// What a sealed file holds, and what it takes to seal it again as it was: the passphrase, or
/// nothing where it was sealed for recipients, whom the file does not name.
#[derive(Debug)]
pub struct Opened {
    /// The content.
    pub content: Zeroizing<Vec<u8>>,
    /// The passphrase it was sealed by.
    pub passphrase: Option<Secret>,
}

/// Opens a sealed file, `what` in messages.
///
/// # Errors
/// [`Error::Usage`] where no key was given or none fits, [`Error::Corrupt`] where the file is
/// damaged, [`Error::Unsupported`] where opening it would take too much.
pub fn open(what: &str, bytes: &[u8], keys: &Keys) -> Result<Opened> {
    let corrupt = |reason: String| Error::Corrupt { what: what.into(), reason };
    let unarmored;
    let bytes = if bytes.starts_with(BEGINNINGS[1]) {
        let found = pem::parse(bytes).map_err(|e| corrupt(e.to_string()))?;
        if found.tag() != LABEL {
            return Err(corrupt("it does not end as it begins".into()));
        }
        unarmored = found.into_contents();
        &unarmored
    } else {
        bytes
    };
    let (header, rest) = Header::parse(bytes).map_err(corrupt)?;
    let (key, passphrase) = match wrap::of_passphrase(&header).map_err(corrupt)? {
        Some(hardened) => {
            let text = keys.passphrase(what)?;
            (hardened.unwrap(what, &text)?, Some(text))
        }
        None => (unwrap(what, &header, keys)?, None),
    };
    if !header.is_authentic(&key) {
        return Err(corrupt("its header was changed".into()));
    }
    let content = payload::open(&key, rest).map_err(corrupt)?;
    Ok(Opened { content, passphrase })
}

/// The file key, from whichever identity has it.
fn unwrap(what: &str, header: &Header<'_>, keys: &Keys) -> Result<FileKey> {
    let identities = keys.identities(what)?;
    let found = identities
        .iter()
        .find_map(|identity| header.stanzas.iter().find_map(|stanza| identity.unwrap(stanza)));
    found.ok_or_else(|| {
        Error::Usage(format!("{what} is encrypted for others: none of the identities opens it"))
    })
}

/// Seals `content`, as text.
///
/// # Errors
/// [`Error::Usage`] for a recipient that is none, [`Error::Io`] where the system has no randomness.
pub fn seal(content: &[u8], lock: &Lock) -> Result<Vec<u8>> {
    let key = FileKey::new()?;
    let stanzas = match lock {
        Lock::Recipients(all) => {
            all.iter().map(|text| Recipient::parse(text)?.wrap(&key)).collect::<Result<_>>()?
        }
        Lock::Passphrase(text) => vec![wrap::by_passphrase(text, &key)?],
    };
    let mut file = header::write(&stanzas, &key);
    payload::seal(&key, content, &mut file)?;
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    Ok(pem::encode_config(&pem::Pem::new(LABEL, file), config).into_bytes())
}

#[cfg(test)]
mod tests;
