//! How K3s encrypts what servers share before it goes into the datastore (K3s
//! `pkg/cluster/encrypt.go`): AES-256-GCM under a key that PBKDF2 makes of the token's password.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};

use crate::Fatal;
use crate::settings::random_hex;

const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).expect("above zero");

/// `SALT:BASE64`, where the first bytes are the nonce.
pub fn seal(password: &str, text: &str) -> Result<String, Fatal> {
    let salt = random_hex::<8>()?;
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|e| e.to_string())?;
    let mut bytes = text.as_bytes().to_vec();
    key(password, &salt)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bytes)
        .map_err(|e| e.to_string())?;
    Ok(format!("{salt}:{}", BASE64.encode([&nonce[..], &bytes].concat())))
}

/// What was sealed with this password.
pub fn open(password: &str, sealed: &str) -> Result<String, Fatal> {
    let (salt, text) = sealed.split_once(':').ok_or("invalid cipher text, not : delimited")?;
    let bytes = BASE64.decode(text).map_err(|e| e.to_string())?;
    let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or("invalid cipher text")?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|e| e.to_string())?;
    let mut text = text.to_vec();
    let refused = |_| "cipher: message authentication failed".to_owned();
    let clear =
        key(password, salt)?.open_in_place(nonce, Aad::empty(), &mut text).map_err(refused)?;
    String::from_utf8(clear.to_vec()).map_err(|e| e.to_string())
}

fn key(password: &str, salt: &str) -> Result<LessSafeKey, Fatal> {
    let mut key = [0; 32];
    let (salt, password) = (salt.as_bytes(), password.as_bytes());
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, ROUNDS, salt, password, &mut key);
    UnboundKey::new(&AES_256_GCM, &key).map(LessSafeKey::new).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_opens() {
        let sealed = seal("s3cret", "files").unwrap();
        assert!(!sealed.contains("files"));
        assert_eq!(open("s3cret", &sealed).as_deref(), Ok("files"));
        assert!(open("other", &sealed).unwrap_err().contains("authentication failed"));
    }

    /// The oracle: Python's own PBKDF2 and the `cryptography` package made this one.
    #[test]
    fn what_another_made_opens() {
        let sealed = "0011223344556677:AAECAwQFBgcICQoLcpJCRacGy82AP2XKupCZTsqyz4RueOQ7KRVcOPpb";
        assert_eq!(open("s3cret", sealed).as_deref(), Ok("{\"ServerCA\":1}"));
    }
}
