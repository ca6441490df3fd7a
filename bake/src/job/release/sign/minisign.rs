//! Signatures in minisign's format.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ::minisign::{PublicKey, SecretKey, SecretKeyBox};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nodeconf::Secret;

use super::LIMIT;
use crate::error::{Error, IoContext, Result};

/// How keys begin (minisign(1), "Secret key format"): without a password, and with one.
const PLAIN: &[u8] = b"Ed\0\0";
const LOCKED: &[u8] = b"EdSc";

/// A secret key, ready to sign. Never printed.
pub struct Key {
    key: SecretKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    pub(super) fn open(path: &Path, password: impl FnOnce() -> Result<Secret>) -> Result<Self> {
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

    pub(super) fn sign(&self, name: &str, data: &[u8], time: i64) -> Result<String> {
        let trusted = format!("timestamp:{time}\tfile:{name}\thashed");
        let untrusted = "signature of bake's release";
        let made = PublicKey::from_secret_key(&self.key)
            .and_then(|public| {
                ::minisign::sign(Some(&public), &self.key, data, Some(&trusted), Some(untrusted))
            })
            .map_err(|e| Error::io("signing", name, io::Error::other(e.to_string())))?;
        Ok(made.into_string())
    }
}
