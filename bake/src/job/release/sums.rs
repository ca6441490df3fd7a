//! `SHA256SUMS`, as `sha256sum -c` reads it.

use std::fmt::Write as _;

/// Name of the list in a release folder.
pub const NAME: &str = "SHA256SUMS";

/// The list of files by name, each with its digest in hexadecimal.
#[must_use]
pub fn render<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> String {
    let mut files: Vec<(&str, &str)> = files.into_iter().collect();
    files.sort_unstable();
    let mut text = String::new();
    for (name, sha256) in files {
        // Writing to a string cannot fail. The star says that the digest is of all bytes.
        let _ = writeln!(text, "{sha256} *{name}");
    }
    text
}

/// Name and digest of every line of a list; what is no such line is passed over.
pub fn parse(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(" *")).map(|(sha256, name)| (name, sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = render([("b.img.xz", "22"), ("a.json", "11")]);
        assert_eq!(text, "11 *a.json\n22 *b.img.xz\n");
        assert_eq!(parse(&text).collect::<Vec<_>>(), [("a.json", "11"), ("b.img.xz", "22")]);
        assert_eq!(parse("nothing\n").count(), 0);
    }
}
