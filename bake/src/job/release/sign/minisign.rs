//! Signatures in minisign's format.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign::{PublicKey, SecretKey, SecretKeyBox};
use nodeconf::Secret;

use crate::error::{Error, IoContext, Result};

/// No key file is larger.
const LIMIT: u64 = 64 << 10;

/// How keys begin (minisign(1), "Secret key format"): without a password, and with one.
const PLAIN: &[u8] = b"Ed\0\0";
const LOCKED: &[u8] = b"EdSc";

/// A secret key, ready to sign. Never printed.
pub struct Signer {
    key: SecretKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads the secret key at `path`; `password` is asked for where the key has one.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no key and for a wrong password; what `password` fails with.
    pub fn open(path: &Path, password: impl FnOnce() -> Result<Secret>) -> Result<Self> {
        let mut text = String::new();
        let file = File::open(path).at("opening", path)?;
        file.take(LIMIT).read_to_string(&mut text).at("reading", path)?;
        // The crate's own words may repeat what it read.
        let no_key = || {
            let message = format!("{} is no secret key of minisign", path.display());
            Error::Usage(message).hint("`minisign -G` makes one")
        };
        let bytes = text.lines().nth(1).and_then(|line| STANDARD.decode(line.trim()).ok());
        let bytes = bytes.ok_or_else(no_key)?;
        if bytes.starts_with(PLAIN) {
            // Its checksum is there to tell a wrong password; minisign 0.11 leaves it out here.
            let key = SecretKey::from_bytes(&bytes).map_err(|_| no_key())?;
            return Ok(Self { key });
        }
        if !bytes.starts_with(LOCKED) {
            return Err(no_key());
        }
        let boxed = SecretKeyBox::from_string(&text).map_err(|_| no_key())?;
        let key = boxed.into_secret_key(Some(password()?.expose().to_owned())).map_err(|_| {
            Error::Usage(format!("{}: the password is not this key's", path.display()))
        })?;
        Ok(Self { key })
    }

    /// Signs `data`, a file called `name`, at `time` (seconds since 1970-01-01 UTC).
    ///
    /// # Errors
    /// [`Error::Io`] where the system has no random numbers.
    pub fn sign(&self, name: &str, data: &[u8], time: i64) -> Result<String> {
        let trusted = format!("timestamp:{time}\tfile:{name}\thashed");
        let untrusted = "signature of bake's release";
        let made = PublicKey::from_secret_key(&self.key)
            .and_then(|public| {
                minisign::sign(Some(&public), &self.key, data, Some(&trusted), Some(untrusted))
            })
            .map_err(|e| Error::io("signing", name, io::Error::other(e.to_string())))?;
        Ok(made.into_string())
    }
}
