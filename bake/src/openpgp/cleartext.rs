//! The cleartext signature framework (RFC 9580, 7): `InRelease`.

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";

/// A text and the signatures over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleartext {
    /// What is signed: without escapes and trailing blanks, its last line without an end.
    pub text: String,
    /// The armoured signatures.
    pub signature: String,
}

impl Cleartext {
    /// Takes a message apart. Nothing may stand before or after it: whoever reads on would take
    /// unsigned text for signed.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(message: &str) -> Result<Self, String> {
        let mut lines = message.lines().map(|line| line.trim_end_matches([' ', '\t', '\r']));
        if lines.next() != Some(BEGIN) {
            return Err("it is no signed text".into());
        }
        // `Hash:` headers, which RFC 9580 says to ignore; others are not allowed.
        for line in lines.by_ref() {
            if line.is_empty() {
                break;
            }
            if !line.starts_with("Hash:") {
                return Err(format!("`{line}` stands where only `Hash:` may"));
            }
        }
        let mut text = Vec::new();
        loop {
            match lines.next() {
                None => return Err("its signature is missing".into()),
                Some(SIGNATURE) => break,
                Some(line) => text.push(match line.strip_prefix("- ") {
                    Some(escaped) => escaped,
                    None if line.starts_with('-') => {
                        return Err("a line that starts with a dash is not escaped".into());
                    }
                    None => line,
                }),
            }
        }
        let mut signature = vec![SIGNATURE];
        signature.extend(lines.by_ref().take_while(|line| *line != END));
        signature.push(END);
        if lines.any(|line| !line.is_empty()) {
            return Err("something follows its signature".into());
        }
        Ok(Self { text: text.join("\n"), signature: signature.join("\n") })
    }
}
