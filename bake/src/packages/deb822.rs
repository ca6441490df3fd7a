//! Paragraphs of fields (deb822(5)): `Packages`, `Release`, dpkg's `status`, `*.sources`.

use std::io::{self, BufRead};

/// Longest paragraph in bytes: the longest in Debian's indexes are some tens of thousands;
/// `Release` is one paragraph of a few megabytes.
const MAX_PARAGRAPH: usize = 64 << 20;

/// Fields in the order they stand in the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paragraph {
    fields: Vec<(String, String)>,
}

impl Paragraph {
    /// Value of the field `name`, whatever its case; continued lines are joined by newlines,
    /// each without its first blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// As [`Paragraph::get`]; empty where there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

/// Reads paragraph after paragraph, holding one in memory.
#[derive(Debug)]
pub struct Paragraphs<R> {
    reader: R,
    line: usize,
    comments: bool,
}

impl<R: BufRead> Paragraphs<R> {
    /// Paragraphs of `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, line: 0, comments: false }
    }

    /// The same where lines that start with `#` are comments, as in `*.sources`.
    pub fn with_comments(reader: R) -> Self {
        Self { comments: true, ..Self::new(reader) }
    }

    /// The next paragraph; `None` at the end.
    ///
    /// # Errors
    /// Those of the reader, and [`io::ErrorKind::InvalidData`] with the line for what is no field.
    pub fn read(&mut self) -> io::Result<Option<Paragraph>> {
        let mut paragraph = Paragraph::default();
        let (mut bytes, mut size) = (Vec::new(), 0);
        loop {
            bytes.clear();
            let limit = (MAX_PARAGRAPH - size) as u64 + 1;
            size += io::Read::take(&mut self.reader, limit).read_until(b'\n', &mut bytes)?;
            self.line += 1;
            if size > MAX_PARAGRAPH {
                return Err(self.fault("the paragraph is too long"));
            }
            let ended = bytes.is_empty();
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim_end();
            if ended || (line.is_empty() && !paragraph.fields.is_empty()) {
                return Ok(Some(paragraph).filter(|p| !p.fields.is_empty()));
            }
            if line.is_empty() || (self.comments && line.starts_with('#')) {
                continue;
            }
            self.take(line, &mut paragraph)?;
        }
    }

    fn take(&self, line: &str, paragraph: &mut Paragraph) -> io::Result<()> {
        if let Some(more) = line.strip_prefix([' ', '\t']) {
            let Some((_, value)) = paragraph.fields.last_mut() else {
                return Err(self.fault("a continued line follows no field"));
            };
            value.push('\n');
            value.push_str(more);
            return Ok(());
        }
        match line.split_once(':') {
            Some((name, value)) if is_name(name) => {
                paragraph.fields.push((name.into(), value.trim().into()));
                Ok(())
            }
            _ => Err(self.fault("no field and no continued line")),
        }
    }

    fn fault(&self, reason: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {reason}", self.line))
    }
}

/// Printable ASCII without blanks, not starting with `-` or `#`.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['-', '#']) && name.bytes().all(|b| b.is_ascii_graphic())
}

/// All paragraphs of a text in memory.
///
/// # Errors
/// As [`Paragraphs::read`].
pub fn all(text: &[u8], comments: bool) -> io::Result<Vec<Paragraph>> {
    let mut reader = if comments { Paragraphs::with_comments(text) } else { Paragraphs::new(text) };
    let mut found = Vec::new();
    while let Some(paragraph) = reader.read()? {
        found.push(paragraph);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_found_whatever_their_case() {
        let text = "\n\nPackage: a\nDepends: b,\n c (>= 1)\n .\n\n\nPackage: d\r\nempty:\n";
        let found = all(text.as_bytes(), false).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].get("package"), Some("a"));
        assert_eq!(found[0].get("Depends"), Some("b,\nc (>= 1)\n."));
        assert_eq!((found[1].text("Package"), found[1].get("Empty")), ("d", Some("")));
        assert_eq!(found[1].get("Depends"), None);
    }

    #[test]
    fn faults_name_their_line() {
        let cases = [(" a\n", "line 1"), ("A: 1\nnothing\n", "line 2"), ("A: 1\n\n:x\n", "line 3")];
        for (text, at) in cases {
            let error = all(text.as_bytes(), false).unwrap_err();
            assert!(error.to_string().starts_with(at), "{text:?}: {error}");
        }
    }

    #[test]
    fn comments_are_for_the_files_that_have_them() {
        assert!(all(b"# c: x\nA: 1\n", false).is_err());
        assert_eq!(all(b"# c\nA: 1\n# d\n b\n", true).unwrap()[0].get("A"), Some("1\nb"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(all(&bytes, true));
        }

        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec("[!-~]{1,9}( [!-~]{1,9}){0,3}", 1..6)) {
            let text: String = values.iter().enumerate().map(|(i, v)| format!("F{i}: {v}\n")).collect();
            let read = all(text.as_bytes(), false).unwrap();
            prop_assert_eq!(read.len(), 1);
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(read[0].text(&format!("f{i}")), value);
            }
        }
    }
}
