//! Files of people's, read whole: a text is small, and what is not must not fill the memory.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// More than any profile, lock, attestation, keyring, script or secrets.
const LIMIT: u64 = 64 << 20;

/// The bytes of a small file.
///
/// # Errors
/// The system's, and [`ErrorKind::FileTooLarge`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path)?;
    // As long as it must be from the start: what is secret is not moved about in the memory.
    let len = file.metadata()?.len().min(LIMIT) + 1;
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::new(ErrorKind::FileTooLarge, "it has more than 64 MiB"));
    }
    Ok(bytes)
}

/// The text of a small file.
///
/// # Errors
/// As [`read`], and [`ErrorKind::InvalidData`] for what is no UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Error::new(ErrorKind::InvalidData, "it is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("endless");
        File::create(&path).unwrap().set_len(LIMIT + 1).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::FileTooLarge);
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read(&path).unwrap(), [0xff]);
        assert_eq!(read_text(&path).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
