//! The form in which `cosign generate-key-pair` writes a private key: JSON that names scrypt's cost and
//! salt, and the key in NaCl's secretbox (go-securesystemslib, `encrypted`).

use crypto_secretbox::aead::{Aead, KeyInit};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use nodeconf::Secret;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Costs that cosign takes, as powers of two. It refuses any other, for a key that somebody changed could
/// ask for all memory.
const COSTS: [u8; 3] = [15, 16, 17];

#[derive(Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    #[serde(with = "in_base64")]
    ciphertext: Vec<u8>,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    #[serde(with = "in_base64")]
    salt: Vec<u8>,
}

#[derive(Deserialize, PartialEq)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    #[serde(with = "in_base64")]
    nonce: Vec<u8>,
}

/// A key that is well-formed, and still closed.
pub(super) struct Closed {
    sealed: Sealed,
    cost: u8,
}

impl Closed {
    /// Reads it, without using anything that it asks for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let form = "it is not what cosign writes into such a key";
        let sealed: Sealed = serde_json::from_slice(json).map_err(|_| form.to_owned())?;
        let Sealed { kdf, cipher, .. } = &sealed;
        if kdf.name != "scrypt" || cipher.name != "nacl/secretbox" {
            return Err("it is sealed by other means than scrypt and nacl/secretbox".into());
        }
        let cost = COSTS.into_iter().find(|cost| kdf.params == Params { n: 1 << cost, r: 8, p: 1 });
        let Some(cost) = cost else {
            return Err("it asks for another cost of scrypt than cosign takes".into());
        };
        if cipher.nonce.len() != Nonce::default().len() {
            return Err(form.into());
        }
        Ok(Self { sealed, cost })
    }

    /// The key in it (PKCS#8, DER); `None` where the password is another.
    pub fn open(&self, password: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let Sealed { kdf, cipher, ciphertext } = &self.sealed;
        let mut key = Zeroizing::new([0; 32]);
        let params = scrypt::Params::new(self.cost, 8, 1, key.len()).ok()?;
        scrypt::scrypt(password.expose().as_bytes(), &kdf.salt, &params, &mut *key).ok()?;
        let secretbox = XSalsa20Poly1305::new(Key::from_slice(&*key));
        let nonce = Nonce::from_slice(&cipher.nonce);
        secretbox.decrypt(nonce, ciphertext.as_slice()).ok().map(Zeroizing::new)
    }
}

mod in_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, de::Error as _};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(|_| D::Error::custom("no base64"))
    }
}
