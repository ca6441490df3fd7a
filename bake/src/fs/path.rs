//! Paths inside images in messages: bytes that are not UTF-8 become replacement characters.

use crate::error::Error;

/// `path` as text.
#[must_use]
pub fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// There is no `path` in the image.
#[must_use]
pub fn missing(path: &[u8]) -> Error {
    Error::NotFound { what: "path in the image", name: lossy(path) }
}
