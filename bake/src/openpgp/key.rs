//! Public keys that may sign, and what they signed.

use std::fmt;
use std::io::{self, Read};

use pgp::errors::Error;
use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{Fingerprint, KeyDetails, KeyId};

use super::rules::{self, Digests};
use super::{read, selfsigned};

/// How far ahead of our clock a signer's may be, in seconds.
const SKEW: u64 = 24 * 3600;

/// A primary key or a subkey that may sign data.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    pub(super) fingerprint: Fingerprint,
    /// Of the primary key it belongs to: the one people know.
    pub(super) certificate: Fingerprint,
    pub(super) material: Material,
    /// Seconds since 1970-01-01 UTC, as `expires`.
    pub(super) created: u64,
    pub(super) expires: Option<u64>,
    pub(super) revoked: bool,
    /// When the newest that its certificate says of it was said.
    pub(super) said: u64,
}

/// What is computed with.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Material {
    Primary(Box<PublicKey>),
    Subkey(Box<PublicSubkey>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

/// Keys that are trusted, and where they were found.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: Vec<Key>,
    origins: Vec<String>,
}

impl Keyring {
    /// Adds the keys of a file (binary or armoured) that messages call `origin`; what of it we do
    /// not understand is left out. Of a key that is there already, the copy with the newest that
    /// its owner said of it counts; a revocation in any copy does. Returns how many keys it had.
    pub fn add(&mut self, origin: &str, bytes: &[u8]) -> usize {
        self.origins.push(origin.to_owned());
        let bytes = read::unarmoured(bytes).unwrap_or_default();
        let mut had = 0;
        for key in read::certificates(&bytes).flat_map(|one| selfsigned::signing(&one)) {
            had += 1;
            match self.keys.iter_mut().find(|known| known.is(&key)) {
                Some(known) => known.learn(key),
                None => self.keys.push(key),
            }
        }
        had
    }

    /// The same keyring with only the keys, or keys of the same file, that `fingerprints` name.
    #[must_use]
    pub fn only(&self, fingerprints: &[String]) -> Self {
        let named = |one: &Fingerprint| fingerprints.contains(&hex::encode_upper(one));
        let wanted = |key: &&Key| named(&key.fingerprint) || named(&key.certificate);
        let keys = self.keys.iter().filter(wanted).cloned().collect();
        Self { keys, origins: self.origins.clone() }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Where keys were looked for.
    pub(super) fn origins(&self) -> String {
        if self.origins.is_empty() { "no keyring at all".into() } else { self.origins.join(", ") }
    }

    pub(super) fn signer(&self, signature: &Signature) -> Option<&Key> {
        let (by, ids) = (signature.issuer_fingerprint(), signature.issuer_key_id());
        self.keys.iter().find(|key| {
            by.contains(&&key.fingerprint) || (by.is_empty() && ids.contains(&&key.id()))
        })
    }
}

impl Key {
    /// Upper-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode_upper(&self.fingerprint)
    }

    /// The fingerprint of the primary key it belongs to: the one people know.
    #[must_use]
    pub fn certificate(&self) -> String {
        hex::encode_upper(&self.certificate)
    }

    /// When it ends, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// Whether both are copies of one key of one certificate.
    fn is(&self, other: &Self) -> bool {
        (&self.fingerprint, &self.certificate) == (&other.fingerprint, &other.certificate)
    }

    fn learn(&mut self, copy: Self) {
        let revoked = self.revoked || copy.revoked;
        if copy.said > self.said {
            *self = copy;
        }
        self.revoked = revoked;
    }

    fn id(&self) -> KeyId {
        match &self.material {
            Material::Primary(key) => key.legacy_key_id(),
            Material::Subkey(key) => key.legacy_key_id(),
        }
    }

    /// Whether `signature` over all of `data` holds; else the reason.
    pub(super) fn verify(
        &self,
        signature: &Signature,
        data: &mut impl Read,
        now: u64,
    ) -> io::Result<Result<(), String>> {
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Ok(Err("it is no signature over data".into()));
        }
        let strong = match &self.material {
            Material::Primary(key) => rules::key(&**key),
            Material::Subkey(key) => rules::key(&**key),
        };
        let strong = strong.and_then(|()| rules::digest(signature, Digests::Modern));
        if strong.is_err() {
            return Ok(strong);
        }
        let held = match &self.material {
            Material::Primary(key) => signature.verify(&**key, data),
            Material::Subkey(key) => signature.verify(&**key, data),
        };
        match held {
            Ok(()) => Ok(self.timely(signature, now)),
            Err(Error::IO { source, .. }) => Err(source),
            Err(_) => Ok(Err("it does not fit: what was signed has been changed".into())),
        }
    }

    /// Whether key and signature were good when it was made, and are now.
    fn timely(&self, signature: &Signature, now: u64) -> Result<(), String> {
        let created = signature.created().ok_or("it does not say when it was made")?;
        let created = u64::from(created.as_secs());
        let lifetime = signature.signature_expiration_time().map_or(0, |d| u64::from(d.as_secs()));
        if rules::conditions(signature) {
            return Err("it has conditions that are not supported".into());
        }
        if self.revoked {
            return Err("the key was revoked".into());
        }
        if created > now + SKEW {
            return Err(format!(
                "it was made in the future ({}); is this computer's clock right?",
                day(created)
            ));
        }
        if created < self.created {
            return Err("it is older than its key".into());
        }
        if let Some(expired) = self.expires.filter(|&at| created >= at || now >= at) {
            return Err(format!("the key expired on {}", day(expired)));
        }
        if lifetime > 0 && now >= created + lifetime {
            return Err(format!("it expired on {}", day(created + lifetime)));
        }
        Ok(())
    }
}

fn day(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.map_or_else(|| format!("@{seconds}"), |t| t.strftime("%Y-%m-%d").to_string())
}
