//! The cleartext signature framework (RFC 9580, 7): `InRelease`.

use std::io::Cursor;

use pgp::composed::CleartextSignedMessage;

use super::{Fault, Keyring, any_of};

/// Most bytes and lines of a message: archives' lists have a few thousand lines, and the time to
/// read one grows with the square of them.
const MOST: (usize, usize) = (2 << 20, 20_000);

/// A text and the signatures over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleartext(CleartextSignedMessage);

impl Cleartext {
    /// Takes a message apart. Nothing may stand before or after it: whoever reads on would take
    /// unsigned text for signed.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(message: &str) -> Result<Self, String> {
        const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
        if !message.starts_with(BEGIN) {
            return Err("it is no signed text".into());
        }
        if message.len() > MOST.0 || message.lines().count() > MOST.1 {
            return Err("it is far longer than any list of an archive".into());
        }
        let (parsed, _) = CleartextSignedMessage::from_string(message.trim_end())
            .map_err(|e| format!("it is no sound signed text: {e}"))?;
        let escaped = |line: &str| !line.starts_with('-') || line.starts_with("- ");
        if !parsed.text().lines().all(escaped) {
            return Err("a line that starts with a dash is not escaped".into());
        }
        Ok(Self(parsed))
    }

    /// What is signed: without escapes and trailing blanks, its last line without an end.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.signed_text().replace("\r\n", "\n")
    }

    /// As [`super::verify`], of the text.
    ///
    /// # Errors
    /// As [`super::verify`].
    pub fn verify(&self, keys: &Keyring, now: u64) -> Result<Vec<String>, Fault> {
        let signatures = self.0.signatures().iter().cloned().map(Some);
        any_of(signatures, &mut Cursor::new(self.0.signed_text()), keys, now)
    }
}
