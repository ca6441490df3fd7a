//! The catalogue of base images: what ships with bake, and what the user adds.

mod entry;
pub mod imager;
mod keys;
mod parse;
mod pins;
mod shipped;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

pub use entry::{Entry, Packing, Trust};
pub use keys::keyring;
pub use parse::{parse, render};
pub use pins::{Pinned, k3s_pin, metallb};

use crate::error::{Error, Fault, IoContext, Result};

/// All known base images.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

impl Catalogue {
    /// What ships with bake.
    ///
    /// # Errors
    /// [`Error::Invalid`] only where a shipped file is wrong, which a test rules out.
    pub fn shipped() -> Result<Self> {
        let mut catalogue = Self::default();
        for (name, text) in shipped::IMAGES {
            catalogue.add(&format!("images/{name}"), parse(&format!("images/{name}"), text)?)?;
        }
        Ok(catalogue)
    }

    /// What ships with bake, and every `*.yaml` in `folder`, which need not exist.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the place of each fault, [`Error::Io`].
    pub fn load(folder: Option<&Path>) -> Result<Self> {
        Self::load_without(folder, Path::new(""))
    }

    /// As [`Catalogue::load`], as if there were no file at `left_out`.
    ///
    /// # Errors
    /// As [`Catalogue::load`].
    pub fn load_without(folder: Option<&Path>, left_out: &Path) -> Result<Self> {
        let mut catalogue = Self::shipped()?;
        let files = folder.map_or(Ok(Vec::new()), yaml_files)?;
        for path in files.into_iter().filter(|path| path != left_out) {
            let what = path.display().to_string();
            let text = crate::io::whole::read_text(&path).at("reading", &path)?;
            catalogue.add(&what, parse(&what, &text)?)?;
        }
        Ok(catalogue)
    }

    /// Where the user's own catalogue files lie: `$XDG_CONFIG_HOME/bake/images`.
    #[must_use]
    pub fn user_folder() -> Option<PathBuf> {
        let strategy = etcetera::choose_base_strategy().ok()?;
        Some(strategy.config_dir().join("bake").join("images"))
    }

    /// Every name that stands for an image: ids and series.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.entries.iter().flat_map(|e| e.series.as_deref().into_iter().chain([&*e.id])).collect()
    }

    /// Every entry, in the order of the files.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry with this id, or the newest of this series, one with a confirmed digest before
    /// those without.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the nearest names.
    pub fn find(&self, name: &str) -> Result<&Entry> {
        let of_series = || self.entries.iter().filter(|e| e.series.as_deref() == Some(name));
        self.entries
            .iter()
            .find(|e| e.id == name)
            .or_else(|| of_series().max_by_key(|e| (e.trust == Trust::Confirmed, e.age_key())))
            .ok_or_else(|| {
                let error = Error::NotFound { what: "image", name: name.into() };
                error.hint(match self.nearest(name) {
                    Some(near) => format!("did you mean `{near}`? See `bake images list --all`"),
                    None => "see `bake images list`; a file needs a path, such as ./my.img".into(),
                })
            })
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        let names = self.names().into_iter();
        let scored = names.map(|known| (strsim::jaro_winkler(name, known), known));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 > 0.75).then_some(best.1)
    }

    /// Adds a file's entries; an id is used once, and is no series.
    fn add(&mut self, what: &str, entries: Vec<Entry>) -> Result<()> {
        let names = self.names();
        let twice = entries.iter().filter(|entry| names.contains(entry.id.as_str()));
        let faults: Vec<Fault> = twice
            .map(|entry| Fault {
                key: entry.id.clone(),
                at: None,
                message: "another image has this id".into(),
                help: Some("give it an id of its own".into()),
            })
            .collect();
        self.entries.extend(entries);
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid { what: what.into(), faults }) }
    }
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("listing", folder, e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.at("listing", folder)?.path();
        if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
