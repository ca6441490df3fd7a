//! Public keys with their subkeys, and which of them may sign (RFC 9580, 5.5, 10.1).

use std::fmt;
use std::io::{self, Read};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::armor;
use super::crypto::{Digests, Public};
use super::hashed;
use super::packet::{self, Packet, seconds};
use super::signature::{
    BINARY, CERTIFICATION, DIRECT, KEY_REVOCATION, PRIMARY_BINDING, SUBKEY_BINDING,
    SUBKEY_REVOCATION, Signature, TEXT,
};

/// How far ahead of our clock a signer's may be, in seconds.
const SKEW: u64 = 24 * 3600;
/// Key flag: may sign data.
const SIGNS: u8 = 0x02;

/// A primary key or a subkey that may sign data.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    fingerprint: [u8; 20],
    /// Of the primary key it belongs to: the one people know.
    certificate: [u8; 20],
    /// The whole packet body: what signatures over the key hash.
    body: Vec<u8>,
    created: u64,
    public: Public,
    /// Seconds since 1970-01-01 UTC.
    expires: Option<u64>,
    revoked: bool,
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
    /// not understand is left out. Returns how many keys it had.
    pub fn add(&mut self, origin: &str, bytes: &[u8]) -> usize {
        self.origins.push(origin.to_owned());
        let bytes = armor::decode(bytes).unwrap_or_default();
        let packets = packet::split(&bytes).unwrap_or_default();
        let mut rest = packets.as_slice();
        let before = self.keys.len();
        while let Some(at) = rest.iter().position(|p| p.tag == packet::PUBLIC_KEY) {
            let next = rest[at + 1..].iter().position(|p| p.tag == packet::PUBLIC_KEY);
            let (one, after) = rest[at..].split_at(next.map_or(rest.len() - at, |n| n + 1));
            self.keys.extend(transferable(one));
            rest = after;
        }
        self.keys.len() - before
    }

    /// The same keyring with only the keys, or keys of the same file, that `fingerprints` name.
    #[must_use]
    pub fn only(&self, fingerprints: &[String]) -> Self {
        let named = |bytes: [u8; 20]| fingerprints.contains(&hex::encode_upper(bytes));
        let wanted = |key: &Key| named(key.fingerprint) || named(key.certificate);
        let keys = self.keys.iter().filter(|key| wanted(key)).cloned().collect();
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
        self.keys.iter().find(|key| match (&signature.issuer_fingerprint, &signature.issuer_id) {
            (Some(fingerprint), _) => key.fingerprint == fingerprint.as_slice(),
            (None, Some(id)) => key.fingerprint[12..] == *id,
            (None, None) => false,
        })
    }
}

/// A primary key and what follows it: those of the keys that may sign.
fn transferable(packets: &[Packet<'_>]) -> Vec<Key> {
    let Some(primary) = packets.first().and_then(|p| Key::parse(p.body)) else {
        return Vec::new();
    };
    let mut read =
        Reading { primary, subkeys: Vec::new(), revoked: Vec::new(), flags: None, newest: 0 };
    let mut about = packets[0];
    for packet in &packets[1..] {
        if packet.tag != packet::SIGNATURE {
            about = *packet;
        } else if let Some(signature) = Signature::parse(packet.body) {
            read.signature(about, &signature);
        }
    }
    read.signing()
}

/// A primary key while its packets are read.
struct Reading {
    primary: Key,
    subkeys: Vec<Key>,
    /// Fingerprints of revoked subkeys: a revocation may come before the binding.
    revoked: Vec<[u8; 20]>,
    /// Key flags of the newest signature of the primary key over itself, and its time.
    flags: Option<u8>,
    newest: u64,
}

impl Reading {
    /// Takes note of a signature about the key, user id or subkey before it.
    fn signature(&mut self, about: Packet<'_>, signature: &Signature) {
        let own = self.primary.hashed();
        match (about.tag, signature.kind) {
            (packet::PUBLIC_KEY, KEY_REVOCATION) => {
                self.primary.revoked |= self.primary.signed(signature, &[&own]);
            }
            (packet::PUBLIC_KEY, DIRECT) => self.own(signature, &[&own]),
            (packet::USER_ID | packet::USER_ATTRIBUTE, kind) if CERTIFICATION.contains(&kind) => {
                self.own(signature, &[&own, &user_id(about)]);
            }
            (packet::PUBLIC_SUBKEY, SUBKEY_BINDING) => {
                if let Some(key) = subkey(&self.primary, about.body, signature) {
                    self.subkeys.retain(|other| other.fingerprint != key.fingerprint);
                    self.subkeys.push(key);
                }
            }
            (packet::PUBLIC_SUBKEY, SUBKEY_REVOCATION) => {
                let Some(key) = Key::parse(about.body) else { return };
                if self.primary.signed(signature, &[&own, &key.hashed()]) {
                    self.revoked.push(key.fingerprint);
                }
            }
            _ => {}
        }
    }

    /// Of several signatures of a key over itself, the newest counts (RFC 9580, 5.2.3.10).
    fn own(&mut self, signature: &Signature, over: &[&[u8]]) {
        let created = signature.created.unwrap_or(0);
        if created >= self.newest && self.primary.signed(signature, over) {
            self.newest = created;
            self.primary.expires = signature.key_lifetime.map(|s| self.primary.created + s);
            self.flags = signature.key_flags;
        }
    }

    fn signing(mut self) -> Vec<Key> {
        for key in &mut self.subkeys {
            key.revoked |= self.primary.revoked || self.revoked.contains(&key.fingerprint);
            key.expires = [key.expires, self.primary.expires].into_iter().flatten().min();
        }
        if self.flags.is_none_or(|flags| flags & SIGNS != 0) {
            self.subkeys.push(self.primary);
        }
        self.subkeys
    }
}

/// A user id or attribute as certifications hash it (RFC 9580, 5.2.4).
fn user_id(packet: Packet<'_>) -> Vec<u8> {
    let mark = if packet.tag == packet::USER_ATTRIBUTE { 0xD1 } else { 0xB4 };
    let len = u32::try_from(packet.body.len()).unwrap_or(u32::MAX);
    [[mark].as_slice(), &len.to_be_bytes(), packet.body].concat()
}

/// A subkey that `binding` makes one of `primary`'s, and that agrees to it and may sign.
fn subkey(primary: &Key, body: &[u8], binding: &Signature) -> Option<Key> {
    let mut key = Key::parse(body)?;
    let over = [primary.hashed(), key.hashed()];
    let back = Signature::parse(binding.embedded.as_deref()?)?;
    let sound = binding.key_flags.is_some_and(|flags| flags & SIGNS != 0)
        && primary.signed(binding, &[&over[0], &over[1]])
        && back.kind == PRIMARY_BINDING
        && key.signed(&back, &[&over[0], &over[1]]);
    key.certificate = primary.fingerprint;
    key.expires = binding.key_lifetime.map(|s| key.created + s);
    sound.then_some(key)
}

impl Key {
    /// Reads the body of a key packet; `None` for other versions than 4.
    fn parse(body: &[u8]) -> Option<Self> {
        let (&4, rest) = body.split_first()? else { return None };
        let (created, rest) = rest.split_at_checked(4)?;
        let (&algorithm, material) = rest.split_first()?;
        let mut key = Self {
            fingerprint: [0; 20],
            certificate: [0; 20],
            body: body.to_vec(),
            created: seconds(created)?,
            public: Public::parse(algorithm, material)?,
            expires: None,
            revoked: false,
        };
        let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &key.hashed());
        key.fingerprint = fingerprint.as_ref().try_into().ok()?;
        key.certificate = key.fingerprint;
        Some(key)
    }

    /// Upper-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode_upper(self.fingerprint)
    }

    /// The fingerprint of the primary key it belongs to: the one people know.
    #[must_use]
    pub fn certificate(&self) -> String {
        hex::encode_upper(self.certificate)
    }

    /// When it ends, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// The key as fingerprints and signatures hash it (RFC 9580, 5.5.4).
    fn hashed(&self) -> Vec<u8> {
        let len = u16::try_from(self.body.len()).unwrap_or(u16::MAX);
        [&[0x99], &len.to_be_bytes()[..], &self.body].concat()
    }

    /// Whether the key made `signature` over `parts`.
    fn signed(&self, signature: &Signature, parts: &[&[u8]]) -> bool {
        if signature.critical {
            return false;
        }
        let message = parts.concat();
        let digest = hashed::digest(signature, &mut message.as_slice(), Digests::Legacy);
        digest.is_ok_and(|d| d.is_ok_and(|d| self.public.verify(signature, &d).is_ok()))
    }

    /// Whether `signature` over all of `data` holds; else the reason.
    pub(super) fn verify(
        &self,
        signature: &Signature,
        data: &mut impl Read,
        now: u64,
    ) -> io::Result<Result<(), String>> {
        if !matches!(signature.kind, BINARY | TEXT) {
            return Ok(Err("it is no signature over data".into()));
        }
        let digest = hashed::digest(signature, data, Digests::Modern)?;
        let held = digest.and_then(|digest| self.public.verify(signature, &digest));
        Ok(held.and_then(|()| self.timely(signature, now)))
    }

    /// Whether key and signature were good when it was made, and are now.
    fn timely(&self, signature: &Signature, now: u64) -> Result<(), String> {
        let created = signature.created.ok_or("it does not say when it was made")?;
        if signature.critical {
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
        if let Some(expired) = signature.lifetime.map(|s| created + s).filter(|&at| now >= at) {
            return Err(format!("it expired on {}", day(expired)));
        }
        Ok(())
    }
}

fn day(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.map_or_else(|| format!("@{seconds}"), |t| t.strftime("%Y-%m-%d").to_string())
}
