//! The header: who can open the file, and that nobody changed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::hmac;

use super::wrap::FileKey;

/// First line.
pub(super) const VERSION: &str = "age-encryption.org/v1\n";
/// Columns of a stanza's body; a last line of less ends it.
const COLUMNS: usize = 64;
/// No header of ours is larger; one of a hostile file is not read further.
const LONGEST: usize = 1 << 20;

/// A file key, wrapped for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stanza {
    /// How it is wrapped, and what that takes.
    pub(super) arguments: Vec<String>,
    /// The wrapped key.
    pub(super) body: Vec<u8>,
}

/// A header as it was read.
#[derive(Debug)]
pub(super) struct Header<'f> {
    pub(super) stanzas: Vec<Stanza>,
    /// What is authenticated.
    text: &'f [u8],
    code: Vec<u8>,
}

impl<'f> Header<'f> {
    /// Reads it, and returns what follows.
    pub(super) fn parse(file: &'f [u8]) -> Result<(Self, &'f [u8]), String> {
        let mut at = 0;
        let mut line = || {
            let rest = &file[at..file.len().min(LONGEST)];
            let len = rest.iter().position(|b| *b == b'\n').ok_or("its header has no end")?;
            at += len + 1;
            std::str::from_utf8(&rest[..len])
                .map(|line| (line, at))
                .map_err(|_| "its header is no text")
        };
        if line()?.0 != VERSION.trim_end() {
            return Err("it is of another version of age".into());
        }
        let mut stanzas = Vec::new();
        loop {
            let (first, end) = line()?;
            if let Some(code) = first.strip_prefix("--- ") {
                // Authenticated is all up to the dashes.
                let text = &file[..end - 1 - code.len() - 1];
                let code = decode(code)?;
                return Ok((Self { stanzas, text, code }, &file[end..]));
            }
            let arguments = first.strip_prefix("-> ").ok_or("its header has an unknown line")?;
            let arguments = arguments.split(' ').map(str::to_owned).collect();
            let mut body = String::new();
            loop {
                let (part, _) = line()?;
                body.push_str(part);
                match part.len() {
                    COLUMNS => {}
                    len if len < COLUMNS => break,
                    _ => return Err("its header has too long a line".into()),
                }
            }
            stanzas.push(Stanza { arguments, body: decode(&body)? });
        }
    }

    /// Whether it was written by who knew the file key.
    pub(super) fn is_authentic(&self, key: &FileKey) -> bool {
        hmac::verify(&authentication(key), self.text, &self.code).is_ok()
    }
}

/// A header with its authentication code.
pub(super) fn write(stanzas: &[Stanza], key: &FileKey) -> Vec<u8> {
    let mut text = VERSION.to_owned();
    for Stanza { arguments, body } in stanzas {
        text += &format!("-> {}\n", arguments.join(" "));
        let body = STANDARD_NO_PAD.encode(body);
        let (lines, last) = body.split_at(body.len() / COLUMNS * COLUMNS);
        for line in lines.as_bytes().chunks(COLUMNS) {
            text += &String::from_utf8_lossy(line);
            text.push('\n');
        }
        text += &format!("{last}\n");
    }
    text += "---";
    let code = hmac::sign(&authentication(key), text.as_bytes());
    text += &format!(" {}\n", STANDARD_NO_PAD.encode(code));
    text.into_bytes()
}

fn authentication(key: &FileKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &*key.derive(&[], b"header"))
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>, String> {
    STANDARD_NO_PAD.decode(text).map_err(|_| "its header has what is no base64".into())
}
