//! `Release`: which indexes a suite has, and what they must be (Debian wiki, RepositoryFormat).

use std::collections::BTreeMap;

use super::deb822;
use crate::io::digest::Sha256;

/// A digest and a length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// What the file must be.
    pub sha256: Sha256,
    /// How long it must be.
    pub size: u64,
}

/// What a suite says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Files by their path below the suite.
    pub files: BTreeMap<String, Listed>,
    /// Whether files can be asked for by digest, which no update pulls away under a client.
    pub by_hash: bool,
    /// The text counts until then, in seconds since 1970-01-01 UTC.
    pub valid_until: Option<i64>,
    /// apt's priority of its packages where no preference says otherwise (apt_preferences(5)).
    pub priority: u16,
    /// Whether packages for all architectures stand in an index of their own only.
    pub separate_all: bool,
}

/// How an index may be compressed, by preference.
const SUFFIXES: [&str; 4] = [".xz", ".zst", ".gz", ""];

impl Release {
    /// Reads a `Release` whose signature was verified.
    ///
    /// # Errors
    /// What is missing or cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut paragraphs = deb822::all(text.as_bytes(), false).map_err(|e| e.to_string())?;
        if paragraphs.len() != 1 {
            return Err(format!("it has {} paragraphs, not one", paragraphs.len()));
        }
        let fields = paragraphs.remove(0);
        let date = |name: &str| match fields.get(name) {
            None => Ok(None),
            Some(text) => parse_date(text).map(Some).ok_or(format!("`{text}` is no {name}")),
        };
        let yes = |name| fields.text(name).eq_ignore_ascii_case("yes");
        let listed = fields.get("SHA256").ok_or("it lists no SHA-256 of its files")?;
        let all = fields.text("Architectures").split_whitespace().any(|a| a == "all");
        let elsewhere = fields.text("No-Support-for-Architecture-all").contains("Packages");
        Ok(Self {
            files: listed
                .lines()
                .filter(|l| !l.trim().is_empty())
                .map(file)
                .collect::<Result<_, _>>()?,
            by_hash: yes("Acquire-By-Hash"),
            valid_until: date("Valid-Until")?,
            priority: match (yes("NotAutomatic"), yes("ButAutomaticUpgrades")) {
                (true, true) => 100,
                (true, false) => 1,
                (false, _) => 500,
            },
            separate_all: all && !elsewhere,
        })
    }

    /// The index `path` in the best compression there is: its path, and what it must be.
    #[must_use]
    pub fn index(&self, path: &str) -> Option<(String, Listed)> {
        SUFFIXES.iter().find_map(|suffix| {
            let path = format!("{path}{suffix}");
            self.files.get(&path).map(|listed| (path, *listed))
        })
    }
}

/// Digest, length and path.
fn file(line: &str) -> Result<(String, Listed), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let wrong = || format!("`{line}` names no file");
    let [digest, size, path] = words[..] else { return Err(wrong()) };
    let sha256 = digest.parse().map_err(|_| wrong())?;
    let size = size.parse().map_err(|_| wrong())?;
    Ok((path.to_owned(), Listed { sha256, size }))
}

/// RFC 5322 as apt writes it: `Sat, 11 Jul 2026 10:16:37 UTC`.
fn parse_date(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |t| format!("{t}+0000"));
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.as_bytes());
    parsed.ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "92b94582eb7b34a8cf532e6006842b9ed215a6783cf56a3dd6271fd35243b2c0";

    #[test]
    fn files_and_dates_are_read() {
        let text = format!(
            "Suite: x\nValid-Until: Sat, 18 Jul 2026 10:16:37 UTC\n\
             Acquire-By-Hash: yes\nNotAutomatic: yes\nButAutomaticUpgrades: yes\nArchitectures: all arm64\n\
             SHA256:\n {DIGEST} 10 main/binary-arm64/Packages\n {DIGEST}  7 main/binary-arm64/Packages.gz\n"
        );
        let release = Release::parse(&text).unwrap();
        assert_eq!(release.valid_until, Some(1_783_764_997 + 7 * 86400));
        assert_eq!((release.priority, release.by_hash, release.separate_all), (100, true, true));
        let (path, listed) = release.index("main/binary-arm64/Packages").unwrap();
        assert_eq!((path.as_str(), listed.size), ("main/binary-arm64/Packages.gz", 7));
        assert_eq!(release.index("main/binary-amd64/Packages"), None);
    }

    #[test]
    fn what_is_none_is_refused() {
        let cases = [
            "",
            "Suite: x\n",
            "SHA256:\n abc 1 f\n",
            "SHA256:\n\nSHA256:\n",
            "Valid-Until: x\nSHA256:\n",
            &format!("SHA256:\n {DIGEST} -1 f\n"),
            &format!("SHA256:\n {DIGEST} 1\n"),
        ];
        for text in cases {
            assert!(Release::parse(text).is_err(), "{text}");
        }
    }
}
