//! ASCII armour (RFC 9580, 6).

/// What is inside the armour; bytes that wear none are as they are. Several blocks are joined.
pub(super) fn decode(input: &[u8]) -> Option<Vec<u8>> {
    if input.first().is_some_and(|b| b & 0x80 != 0) {
        return Some(input.to_vec());
    }
    let text = std::str::from_utf8(input).ok()?;
    let mut lines = text.lines().map(str::trim);
    let mut all = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with("-----BEGIN PGP ") {
            block(&mut lines, &mut all)?;
        }
    }
    Some(all).filter(|all| !all.is_empty())
}

/// Headers, an empty line, base64 and perhaps a checksum, which RFC 9580 says to ignore.
fn block<'t>(lines: &mut impl Iterator<Item = &'t str>, into: &mut Vec<u8>) -> Option<()> {
    lines.find(|line| line.is_empty())?;
    let mut bits = Sextets::default();
    for line in lines {
        if line.starts_with("-----END PGP ") {
            return Some(());
        }
        if !line.starts_with('=') {
            bits.line(line, into)?;
        }
    }
    None
}

/// Base64 (RFC 4648, 4), line by line.
#[derive(Default)]
struct Sextets {
    held: u32,
    bits: u32,
}

impl Sextets {
    fn line(&mut self, line: &str, into: &mut Vec<u8>) -> Option<()> {
        for byte in line.trim_end_matches('=').bytes() {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            self.held = (self.held << 6 | u32::from(value)) & 0xFFFF;
            self.bits += 6;
            if self.bits >= 8 {
                self.bits -= 8;
                into.push((self.held >> self.bits & 0xFF) as u8);
            }
        }
        Some(())
    }
}
