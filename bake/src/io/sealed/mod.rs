//! Bytes that only who has a key can read: files of the age format, by crate `age`.
//!
//! What is ours is whom a file is for and where keys come from; how much a passphrase may cost; and
//! which fault is the user's, which the file's.

mod keys;

use std::fmt;
use std::io::{Read, Write};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, Identity, scrypt, x25519};
use nodeconf::Secret;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

pub use keys::Keys;

/// First bytes of a binary and of a text file.
const BEGINNINGS: [&[u8]; 2] = [b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----"];
/// scrypt's cost, as a power of two: 128 MiB and a part of a second for each guess.
const WORK: u8 = 17;
/// What we are ready to spend on a file that another tool made: 1 GiB.
const MOST_WORK: u8 = 20;

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
        recipients.iter().try_for_each(|text| recipient(text).map(drop))?;
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
    let failed = |fault| failed(what, fault);
    let file = Decryptor::new_buffered(ArmoredReader::new(bytes)).map_err(failed)?;
    let (mut clear, passphrase) = if file.is_scrypt() {
        let text = keys.passphrase(what)?;
        let mut identity = scrypt::Identity::new(secret(&text));
        identity.set_max_work_factor(MOST_WORK);
        let clear = file.decrypt(std::iter::once(&identity as &dyn Identity));
        (clear.map_err(failed)?, Some(text))
    } else {
        let identities = keys.identities(what)?;
        let clear = file.decrypt(identities.iter().map(|one| one as &dyn Identity));
        (clear.map_err(failed)?, None)
    };
    // Growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(bytes.len()));
    clear.read_to_end(&mut content).map_err(|_| Error::Corrupt {
        what: what.into(),
        reason: "its content was changed or cut off".into(),
    })?;
    Ok(Opened { content, passphrase })
}

/// Whose fault it is: who has no key, or the file.
fn failed(what: &str, fault: DecryptError) -> Error {
    let reason = match fault {
        DecryptError::NoMatchingKeys => {
            return Error::Usage(format!(
                "{what} is encrypted for others: none of the identities opens it"
            ));
        }
        DecryptError::DecryptionFailed => {
            return Error::Usage(format!("{what} does not open: wrong passphrase, or damaged"));
        }
        DecryptError::ExcessiveWork { required, .. } => {
            let feature =
                format!("a passphrase hardened 2^{required} times, more than 2^{MOST_WORK}");
            return Error::Unsupported { what: what.into(), feature };
        }
        DecryptError::UnknownFormat => "it is of another version of age",
        DecryptError::InvalidMac => "its header was changed",
        DecryptError::Io(_) => "it is damaged or cut off",
        _ => "its header is damaged",
    };
    Error::Corrupt { what: what.into(), reason: reason.into() }
}

/// Seals `content`, as text.
///
/// # Errors
/// [`Error::Usage`] for a recipient that is none.
///
/// # Panics
/// Where the system has no randomness.
pub fn seal(content: &[u8], lock: &Lock) -> Result<Vec<u8>> {
    let file = match lock {
        Lock::Recipients(all) => {
            let all = all.iter().map(|text| recipient(text)).collect::<Result<Vec<_>>>()?;
            Encryptor::with_recipients(all.iter().map(|one| one as &dyn age::Recipient))
        }
        Lock::Passphrase(text) => {
            let mut recipient = scrypt::Recipient::new(secret(text));
            recipient.set_work_factor(WORK);
            Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
        }
    };
    let file = file.map_err(|e| Error::Usage(e.to_string()))?;
    let text = (|| {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut sealed = file.wrap_output(armor)?;
        sealed.write_all(content)?;
        sealed.finish()?.finish()
    })();
    Ok(text.expect("memory takes what is written"))
}

/// A public key as text.
fn recipient(text: &str) -> Result<x25519::Recipient> {
    text.parse().map_err(|_| {
        // A private key that was taken for the public one must not be shown.
        let shown = if text.starts_with("age1") { text } else { "what was given" };
        Error::Usage(format!("{shown} is no recipient: `age1` and 58 characters are one"))
            .hint("`age-keygen -o key.txt` makes a key and prints its recipient")
    })
}

fn secret(text: &Secret) -> SecretString {
    text.expose().to_owned().into()
}

#[cfg(test)]
mod tests;
