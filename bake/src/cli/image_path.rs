//! `IMG:PATH`: an image on the host and a path inside it.

use std::path::PathBuf;
use std::str::FromStr;

/// Parsed from `IMG:PATH`; a bare `IMG` means its root folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePath {
    /// The image file on the host.
    pub image: PathBuf,
    /// Absolute path as the image's running system sees it.
    pub path: String,
}

impl FromStr for ImagePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The last `:/` separates, so that host paths may hold colons (`C:\images\a.img:/etc`).
        let (image, path) = match text.rfind(":/") {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text.strip_suffix(':').unwrap_or(text), "/"),
        };
        if image.is_empty() {
            return Err("write IMG:PATH, such as node1.img:/etc/hostname".into());
        }
        Ok(Self { image: image.into(), path: path.to_owned() })
    }
}

impl ImagePath {
    /// Whether `text` names a path inside an image rather than one on the host.
    #[must_use]
    pub fn is_inside(text: &str) -> bool {
        text.rfind(":/").is_some_and(|at| at > 1 || !text.starts_with(|c: char| c.is_alphabetic()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_and_path_are_told_apart() {
        for (text, image, path) in [
            ("node1.img", "node1.img", "/"),
            ("node1.img:", "node1.img", "/"),
            ("node1.img:/etc/x:/y", "node1.img:/etc/x", "/y"),
            (r"C:\a.img:/etc", r"C:\a.img", "/etc"),
        ] {
            let parsed: ImagePath = text.parse().unwrap();
            assert_eq!((parsed.image.to_str().unwrap(), parsed.path.as_str()), (image, path));
        }
        assert!(":/etc".parse::<ImagePath>().is_err());
        assert!(ImagePath::is_inside("a.img:/etc") && !ImagePath::is_inside("C:/a"));
        assert!(!ImagePath::is_inside("/tmp/file"));
    }
}
