//! Text in a file with a digest over it: a card that turns bits must not turn one word into another.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    /// SHA-256 of the text of `state`, in hexadecimal digits.
    sha256: String,
    /// JSON, letter for letter.
    #[serde(borrow)]
    state: &'a RawValue,
}

/// The bytes of a file that holds this JSON text.
pub(super) fn seal(json: &str) -> Result<Vec<u8>, serde_json::Error> {
    let state = RawValue::from_string(json.trim_end().to_owned())?;
    let mut bytes = serde_json::to_vec(&Sealed { sha256: digest(state.get()), state: &state })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The JSON text that such a file holds.
pub(super) fn unseal(bytes: &[u8]) -> Result<&str, String> {
    let sealed: Sealed = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let text = sealed.state.get();
    if digest(text) == sealed.sha256 { Ok(text) } else { Err("its digest is another".into()) }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
