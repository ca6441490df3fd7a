//! Sound files that an input changes somewhere: what is signed or sealed cannot be found by chance.

/// `base`, changed by `patches`: where (2 bytes, little-endian, modulo its length), how many bytes go,
/// how many come (1 each), the bytes that come.
pub fn patched(base: &[u8], mut patches: &[u8]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    while let [a, b, gone, come, rest @ ..] = patches {
        let at = usize::from(u16::from_le_bytes([*a, *b])) % (bytes.len() + 1);
        let end = (at + usize::from(*gone)).min(bytes.len());
        let (come, rest) = rest.split_at(usize::from(*come).min(rest.len()));
        bytes.splice(at..end, come.iter().copied());
        patches = rest;
    }
    bytes
}

/// What is inside the armour of one block.
pub fn unarmoured(text: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(text).expect("armour is text");
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let body: String = match text.contains("\n\n") {
        true => {
            lines.skip_while(|line| !line.is_empty()).take_while(|l| !l.starts_with('=')).collect()
        }
        false => lines.collect(),
    };
    base64::Engine::decode(&base64::prelude::BASE64_STANDARD, body).expect("armour is base64")
}
