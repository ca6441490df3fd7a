//! Files that are for their owner alone.

use std::io::{ErrorKind, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Error, IoContext, Result};
use crate::sys::file::sync_folder;

/// What becomes of a file that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// It stays, and nothing is written.
    Keep,
}

/// Writes a file whole or not at all, mode 0600 from its first byte: temporary file, sync,
/// rename, sync of the folder.
///
/// # Errors
/// [`Error::Refused`] where it exists and stays, [`Error::Io`].
pub fn write(path: &Path, bytes: &[u8], existing: Existing) -> Result<()> {
    let folder = folder(path);
    let mut file = NamedTempFile::new_in(folder).at("creating a file beside", path)?;
    file.write_all(bytes).at("writing", path)?;
    file.as_file().sync_all().at("syncing", path)?;
    let placed = match existing {
        Existing::Replace => file.persist(path),
        Existing::Keep => file.persist_noclobber(path),
    };
    match placed.map_err(|e| e.error) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let action = format!("overwrite {}", path.display());
            return Err(
                Error::Refused { action, reason: "it exists".into() }.hint("`--force` replaces it")
            );
        }
        placed => placed.at("replacing", path)?,
    };
    sync_folder(folder).at("syncing", folder)
}

/// The folder a file is in.
#[must_use]
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::error::Exit;

    #[test]
    fn it_is_the_owners_alone_and_kept_unless_it_may_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write(&path, b"one", Existing::Keep).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = write(&path, b"two", Existing::Keep).unwrap_err();
        assert_eq!(refused.exit(), Exit::Refused);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write(&path, b"two", Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no litter");
    }
}
