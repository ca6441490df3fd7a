//! A lock as YAML: what people read, and what is read back.

use std::path::Path;

use serde::Deserialize;

use super::{Lock, VERSION};
use crate::error::{Context, Error, Fault, IoContext, Position, Result};
use crate::io::whole;

/// What every version of the file says.
#[derive(Debug, Deserialize)]
struct Versioned {
    version: u32,
}

impl Lock {
    /// Reads a lock; `what` names it in messages.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the place of the fault, and for a version this build does not know.
    pub fn parse(what: &str, text: &str) -> Result<Self> {
        let fault = |at, message| Error::Invalid {
            what: what.into(),
            faults: vec![Fault {
                key: String::new(),
                at,
                message,
                help: Some("`bake lock --update` writes it anew".into()),
            }],
        };
        let unknown =
            |version| fault(None, format!("version {version} is not known, only {VERSION}"));
        let lock: Self = serde_saphyr::from_str(text).map_err(|error| {
            // Of another version anything else may differ too.
            if let Ok(Versioned { version }) = serde_saphyr::from_str(text)
                && version != VERSION
            {
                return unknown(version);
            }
            let at = error.location().and_then(|at| {
                let line = usize::try_from(at.line()).ok().filter(|line| *line > 0)?;
                Some(Position { line, column: usize::try_from(at.column()).ok()? })
            });
            fault(at, error.without_snippet().to_string())
        })?;
        if lock.version != VERSION {
            return Err(unknown(lock.version));
        }
        if let Some(image) = lock.container_images.iter().find(|image| !image.is_clear()) {
            let name = &image.name;
            let message = format!(
                "container image {name} needs exactly one of `sha256`, `archive`, `as_named: true`"
            );
            return Err(fault(None, message));
        }
        Ok(lock)
    }

    /// Reads the lock at `path`; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Lock::parse`].
    pub fn read(path: &Path) -> Result<Option<(Self, String)>> {
        match whole::read_text(path) {
            Ok(text) => Ok(Some((Self::parse(&path.display().to_string(), &text)?, text))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("reading", path, e)),
        }
    }

    /// The text of the file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it cannot be written as YAML.
    pub fn render(&self) -> Result<String> {
        let body = serde_saphyr::to_string(self).map_err(|e| Error::Corrupt {
            what: "the lock to be written".into(),
            reason: e.to_string(),
        })?;
        Ok(format!(
            "# What the images of profile {} are made of, pinned by digest. `bake lock` wrote it; a\n\
             # bake with this file beside the profile uses exactly this, or fails. `bake lock --update`\n\
             # writes it anew and says what changed, `bake lock --check` compares (docs/trust.md).\n{body}",
            self.profile
        ))
    }

    /// Writes it to `path`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Invalid`] and [`Error::Corrupt`] where it could not be read again.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = self.render()?;
        let what = path.display().to_string();
        let again = Self::parse(&what, &text).context("reading again what is to be written")?;
        if again != *self {
            let reason = "it would be read as something else".into();
            return Err(Error::Corrupt { what, reason });
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).at("creating a file in", folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).at("writing", path)?;
        file.as_file().sync_all().at("writing", path)?;
        readable(file.as_file()).at("writing", path)?;
        file.persist(path).map_err(|e| Error::io("writing", path, e.error))?;
        Ok(())
    }
}

/// It holds no secret, and temporary files are for their owner alone.
#[cfg(unix)]
fn readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
