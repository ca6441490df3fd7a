//! The digest of what is signed, read as a stream.

use std::io::{self, Read};

use ring::digest::{Context, Digest};

use super::crypto::{Digests, algorithm};
use super::signature::{Signature, TEXT};

/// Digest of `data`, as `signature` hashes it, and of its trailer; the reason where it cannot be
/// computed inside.
pub(super) fn digest(
    signature: &Signature,
    data: &mut impl Read,
    digests: Digests,
) -> io::Result<Result<Digest, String>> {
    let mut context = match algorithm(signature.hash, digests) {
        Ok(algorithm) => Context::new(algorithm),
        Err(reason) => return Ok(Err(reason)),
    };
    let mut buffer = vec![0; 1 << 18];
    let mut canonical = Canonical::default();
    loop {
        let count = match data.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        match signature.kind {
            TEXT => canonical.feed(&buffer[..count], |part| context.update(part)),
            _ => context.update(&buffer[..count]),
        }
    }
    context.update(&signature.trailer());
    Ok(Ok(context.finish()))
}

/// Line ends as text signatures hash them: CR LF, whatever they were.
#[derive(Default)]
struct Canonical {
    last: u8,
}

impl Canonical {
    fn feed(&mut self, data: &[u8], mut take: impl FnMut(&[u8])) {
        for line in data.split_inclusive(|byte| *byte == b'\n') {
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            take(content);
            if content.len() < line.len() {
                let last = content.last().copied().unwrap_or(self.last);
                take(if last == b'\r' { b"\n" } else { b"\r\n" });
            }
            self.last = line.last().copied().unwrap_or(self.last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_alike_however_they_are_cut() {
        let text = b"a\nb\r\n\nc\r\n";
        for cut in 0..=text.len() {
            let (mut canonical, mut out) = (Canonical::default(), Vec::new());
            for part in [&text[..cut], &text[cut..]] {
                canonical.feed(part, |bytes| out.extend_from_slice(bytes));
            }
            assert_eq!(out, b"a\r\nb\r\n\r\nc\r\n", "{cut}");
        }
    }
}
