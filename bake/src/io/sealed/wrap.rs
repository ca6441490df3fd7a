//! Wrapping a file's key: for a public key (X25519), or by a passphrase (scrypt).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use nodeconf::Secret;
use rand::TryRngCore;
use rand::rngs::OsRng;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::header::{Header, Stanza, decode};
use crate::error::{Error, IoContext, Result};

/// Public and private key as text.
const PUBLIC: &str = "age";
const PRIVATE: &str = "age-secret-key-";
/// Stanzas' names, and what their keys are derived for.
const X25519: &str = "X25519";
const X25519_INFO: &str = "age-encryption.org/v1/X25519";
const SCRYPT: &str = "scrypt";
const SCRYPT_SALT: &str = "age-encryption.org/v1/scrypt";
/// scrypt's cost, as a power of two: 128 MiB and a part of a second for each guess.
const WORK: u8 = 17;
/// What we are ready to spend on a file that another tool made: 1 GiB.
const MOST_WORK: u8 = 20;
const KEY: usize = 16;

/// The random key of one file.
pub(super) struct FileKey(Zeroizing<[u8; KEY]>);

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey")
    }
}

impl FileKey {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(random()?))
    }

    pub(super) fn derive(&self, salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
        derive(&*self.0, salt, info)
    }

    fn wrap(&self, key: &[u8; 32]) -> Vec<u8> {
        let mut body = self.0.to_vec();
        let code = sealed(&cipher(key), zero_nonce(), &mut body);
        body.extend_from_slice(&code);
        body
    }

    fn unwrap(key: &[u8; 32], body: &[u8]) -> Option<Self> {
        let mut body = Zeroizing::new(body.to_vec());
        let clear = cipher(key).open_in_place(zero_nonce(), Aad::empty(), &mut body).ok()?;
        Some(Self(Zeroizing::new(<[u8; KEY]>::try_from(&*clear).ok()?)))
    }
}

/// Each wrapping key is used once.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

pub(super) fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("its keys have 32 bytes"))
}

/// Encrypts in place, and returns the authentication code.
pub(super) fn sealed(cipher: &LessSafeKey, nonce: Nonce, bytes: &mut [u8]) -> Vec<u8> {
    let code = cipher.seal_in_place_separate_tag(nonce, Aad::empty(), bytes);
    code.expect("files are far shorter than its limit").as_ref().to_vec()
}

fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    struct Bytes32;
    impl hkdf::KeyType for Bytes32 {
        fn len(&self) -> usize {
            32
        }
    }
    let mut key = Zeroizing::new([0; 32]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let filled =
        extracted.expand(&[info], Bytes32).and_then(|key_material| key_material.fill(&mut *key));
    filled.expect("32 bytes are within its limit");
    key
}

/// Bytes of the operating system's randomness.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    OsRng
        .try_fill_bytes(&mut *bytes)
        .map_err(|e| std::io::Error::other(e.to_string()))
        .at("reading", "the operating system's randomness")?;
    Ok(bytes)
}

/// The 32 bytes behind a name (bech32, all in one case).
fn key_of(text: &str, name: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text = CheckedHrpstring::new::<Bech32>(text).ok()?;
    if text.hrp() != Hrp::parse_unchecked(name) {
        return None;
    }
    let bytes = Zeroizing::new(text.byte_iter().collect::<Vec<u8>>());
    Some(Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).ok()?))
}

/// A public key.
#[derive(Debug)]
pub(super) struct Recipient(PublicKey);

impl Recipient {
    pub(super) fn parse(text: &str) -> Result<Self> {
        key_of(text, PUBLIC).map(|key| Self(PublicKey::from(*key))).ok_or_else(|| {
            // A private key that was taken for the public one must not be shown.
            let shown = if text.starts_with("age1") { text } else { "what was given" };
            Error::Usage(format!("{shown} is no recipient: `age1` and 58 characters are one"))
                .hint("`age-keygen -o key.txt` makes a key and prints its recipient")
        })
    }

    pub(super) fn wrap(&self, key: &FileKey) -> Result<Stanza> {
        let own = StaticSecret::from(*random::<32>()?);
        let share = PublicKey::from(&own);
        let shared = own.diffie_hellman(&self.0);
        let wrapping = wrapping(shared.as_bytes(), &share, &self.0);
        let arguments = vec![X25519.into(), STANDARD_NO_PAD.encode(share.as_bytes())];
        Ok(Stanza { arguments, body: key.wrap(&wrapping) })
    }
}

fn wrapping(shared: &[u8; 32], share: &PublicKey, public: &PublicKey) -> Zeroizing<[u8; 32]> {
    let salt = [share.as_bytes().as_slice(), public.as_bytes()].concat();
    derive(shared, &salt, X25519_INFO.as_bytes())
}

/// A private key.
pub(super) struct Identity(StaticSecret);

impl Identity {
    pub(super) fn parse(text: &str) -> Option<Self> {
        key_of(text, PRIVATE).map(|key| Self(StaticSecret::from(*key)))
    }

    /// Its public key as text.
    pub(super) fn recipient(&self) -> String {
        let public = PublicKey::from(&self.0);
        let text = bech32::encode::<Bech32>(Hrp::parse_unchecked(PUBLIC), public.as_bytes());
        text.expect("short enough for bech32")
    }

    pub(super) fn unwrap(&self, stanza: &Stanza) -> Option<FileKey> {
        let [kind, share] = stanza.arguments.as_slice() else { return None };
        let share = decode(share).ok().filter(|_| kind == X25519)?;
        let share = PublicKey::from(<[u8; 32]>::try_from(share).ok()?);
        let shared = self.0.diffie_hellman(&share);
        // A share of small order gives everybody the same.
        if !shared.was_contributory() {
            return None;
        }
        let wrapping = wrapping(shared.as_bytes(), &share, &PublicKey::from(&self.0));
        FileKey::unwrap(&wrapping, &stanza.body)
    }
}

/// A stanza of a passphrase: always the only one of its file.
pub(super) struct Hardened<'h> {
    salt: Vec<u8>,
    work: u8,
    body: &'h [u8],
}

/// The passphrase's stanza, where the file is sealed by one.
pub(super) fn of_passphrase<'h>(header: &'h Header<'_>) -> Result<Option<Hardened<'h>>, String> {
    let is = |stanza: &Stanza| stanza.arguments.first().is_some_and(|kind| kind == SCRYPT);
    if !header.stanzas.iter().any(is) {
        return Ok(None);
    }
    let [Stanza { arguments, body }] = header.stanzas.as_slice() else {
        return Err("it mixes a passphrase with others".into());
    };
    let wrong = || "its passphrase's line is damaged".to_owned();
    let [_, salt, work] = arguments.as_slice() else { return Err(wrong()) };
    let (salt, work) = (decode(salt)?, work.parse().map_err(|_| wrong())?);
    if salt.len() != KEY {
        return Err(wrong());
    }
    Ok(Some(Hardened { salt, work, body }))
}

impl Hardened<'_> {
    pub(super) fn unwrap(&self, what: &str, passphrase: &Secret) -> Result<FileKey> {
        if self.work == 0 || self.work > MOST_WORK {
            let feature =
                format!("a passphrase hardened 2^{} times, more than 2^{MOST_WORK}", self.work);
            return Err(Error::Unsupported { what: what.into(), feature });
        }
        FileKey::unwrap(&harden(passphrase, &self.salt, self.work), self.body).ok_or_else(|| {
            Error::Usage(format!("{what} does not open: wrong passphrase, or damaged"))
        })
    }
}

pub(super) fn by_passphrase(passphrase: &Secret, key: &FileKey) -> Result<Stanza> {
    let salt = random::<KEY>()?;
    let body = key.wrap(&harden(passphrase, &*salt, WORK));
    let arguments = vec![SCRYPT.into(), STANDARD_NO_PAD.encode(*salt), WORK.to_string()];
    Ok(Stanza { arguments, body })
}

fn harden(passphrase: &Secret, salt: &[u8], work: u8) -> Zeroizing<[u8; 32]> {
    let salt = [SCRYPT_SALT.as_bytes(), salt].concat();
    let mut key = Zeroizing::new([0; 32]);
    let cost = scrypt::Params::new(work, 8, 1, 32).expect("costs are checked before");
    scrypt::scrypt(passphrase.expose().as_bytes(), &salt, &cost, &mut *key).expect("32 bytes");
    key
}
