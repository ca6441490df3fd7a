//! Where profiles are looked for.

use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::faults::{did_you_mean, one_of};
use crate::error::{Error, IoContext, Result};

/// Profiles built into the program, by name.
pub const SHIPPED: [(&str, &str); 3] = [
    ("master2-postgres", include_str!("../../../profiles/master2-postgres.yaml")),
    ("master3", include_str!("../../../profiles/master3.yaml")),
    ("single", include_str!("../../../profiles/single.yaml")),
];

/// A profile found but not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name: the stem of its file.
    pub name: String,
    /// Its file; `None` for one of ours.
    pub file: Option<PathBuf>,
    /// Its text.
    pub text: String,
}

impl Source {
    /// The file, or what stands for it in messages.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.file {
            Some(file) => format!("profile {}", file.display()),
            None => format!("built-in profile {}", self.name),
        }
    }

    /// Where its lock lies: `NAME.lock.yaml` beside it, else in the current folder.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        match &self.file {
            Some(file) => file.with_extension("lock.yaml"),
            None => PathBuf::from(format!("{}.lock.yaml", self.name)),
        }
    }

    /// The folder that relative paths in the profile start from: the file's, else the current.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let parent = self.file.as_deref().and_then(Path::parent);
        parent.filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
    }
}

/// Folders searched for profiles by name, in order.
#[derive(Debug, Clone)]
pub struct Search {
    folders: Vec<PathBuf>,
}

impl Search {
    /// `./profiles`, then `bake/profiles` in the user's configuration folder.
    #[must_use]
    pub fn usual() -> Self {
        let mut folders = vec![PathBuf::from("profiles")];
        if let Ok(base) = etcetera::choose_base_strategy() {
            folders.push(base.config_dir().join("bake").join("profiles"));
        }
        Self { folders }
    }

    /// These folders, for tests and other programs.
    #[must_use]
    pub fn within(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Finds a profile: a path where `reference` has a `/` or ends in `.yaml` or `.yml`, else a
    /// name.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the names there are, [`Error::Io`] where a file cannot be read.
    pub fn find(&self, reference: &str) -> Result<Source> {
        if is_path(reference) {
            let file = PathBuf::from(reference);
            if !file.exists() {
                return Err(Error::NotFound { what: "profile", name: reference.into() });
            }
            return read(file);
        }
        for folder in &self.folders {
            let file = folder.join(format!("{reference}.yaml"));
            if file.exists() {
                return read(file);
            }
        }
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == reference) {
            return Ok(Source { name: (*name).into(), file: None, text: (*text).into() });
        }
        let names = self.names();
        let names = || names.iter().map(|(name, _)| name.as_str());
        let hint = did_you_mean(reference, names())
            .unwrap_or_else(|| format!("there is {}; a path has a `/` in it", one_of(names())));
        Err(Error::NotFound { what: "profile", name: reference.into() }.hint(hint))
    }

    /// Every profile there is by name, ascending, with its file; `None` for one of ours.
    #[must_use]
    pub fn names(&self) -> Vec<(String, Option<PathBuf>)> {
        let mut found: Vec<(String, Option<PathBuf>)> = Vec::new();
        let files = self.folders.iter().filter_map(|f| fs::read_dir(f).ok()).flatten().flatten();
        for file in files.map(|entry| entry.path()) {
            let yaml = file.extension().is_some_and(|e| e == "yaml") && !is_lock(&file);
            if let Some(stem) = file.file_stem().and_then(|s| s.to_str()).filter(|_| yaml)
                && !found.iter().any(|(name, _)| name == stem)
            {
                found.push((stem.to_owned(), Some(file)));
            }
        }
        for (name, _) in SHIPPED {
            if !found.iter().any(|(known, _)| known == name) {
                found.push((name.to_owned(), None));
            }
        }
        found.sort();
        found
    }
}

/// A lock lies beside the profile it is of.
fn is_lock(file: &Path) -> bool {
    file.to_string_lossy().ends_with(".lock.yaml")
}

fn is_path(reference: &str) -> bool {
    reference.contains(['/', '\\']) || reference.ends_with(".yaml") || reference.ends_with(".yml")
}

fn read(file: PathBuf) -> Result<Source> {
    let bytes = crate::io::whole::read(&file).at("reading", &file)?;
    let text = String::from_utf8(bytes).map_err(|e| Error::Invalid {
        what: format!("profile {}", file.display()),
        faults: vec![crate::error::Fault {
            key: String::new(),
            at: None,
            message: format!("not UTF-8 text from byte {}", e.utf8_error().valid_up_to()),
            help: None,
        }],
    })?;
    let name = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Source { name, file: Some(file), text })
}
