//! Attribute names: a namespace by number, and the rest (kernel documentation, ext4 "Attribute
//! Name Indices").

use crate::error::{Error, Result, unsupported};

const PREFIXES: [(u8, &str); 7] = [
    (1, "user."),
    (2, "system.posix_acl_access"),
    (3, "system.posix_acl_default"),
    (4, "trusted."),
    (6, "security."),
    (7, "system."),
    (8, "system.richacl"),
];

/// Full name of an attribute on disk.
pub(crate) fn full_name(index: u8, name: &[u8]) -> Result<String> {
    let prefix = match PREFIXES.iter().find(|(known, _)| *known == index) {
        Some((_, prefix)) => prefix,
        None if index == 0 => "",
        None => return Err(unsupported(format!("extended attribute namespace {index}"))),
    };
    Ok(format!("{prefix}{}", String::from_utf8_lossy(name)))
}

/// Namespace and rest of a full name, for what may be set.
pub(crate) fn split_name(full: &str) -> Result<(u8, Vec<u8>)> {
    let invalid = |reason| Err(Error::InvalidName { path: full.to_owned(), reason });
    for (index, prefix) in PREFIXES {
        let Some(rest) = full.strip_prefix(prefix) else { continue };
        let whole = !prefix.ends_with('.');
        if index == 7 || index == 8 || whole != rest.is_empty() {
            break;
        }
        if rest.len() > 255 || rest.contains('\0') {
            return invalid("an attribute name has at most 255 bytes and no NUL");
        }
        return Ok((index, rest.as_bytes().to_vec()));
    }
    invalid("attributes are named user.*, trusted.*, security.* or system.posix_acl_*")
}
