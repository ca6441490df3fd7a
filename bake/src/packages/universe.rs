//! All packages there are to choose from, and those that are installed.

use std::collections::BTreeMap;

use super::package::{MultiArch, Package};
use super::relation::Relation;

/// A version that could be installed.
#[derive(Debug)]
struct Candidate {
    package: Package,
    priority: u16,
}

/// What dependencies are resolved against.
#[derive(Debug)]
pub struct Universe {
    native: String,
    candidates: BTreeMap<String, Candidate>,
    /// Packages by the virtual names they provide, in the order they were found.
    providers: BTreeMap<String, Vec<String>>,
    installed: BTreeMap<String, Package>,
    /// As `providers`, of what is installed.
    installed_providers: BTreeMap<String, Vec<String>>,
    /// Installed for other architectures.
    foreign: Vec<Package>,
}

impl Universe {
    /// With what is installed, on a system of the architecture `native`.
    #[must_use]
    pub fn new(native: &str, installed: Vec<Package>) -> Self {
        let own = |p: &Package| p.architecture == native || p.architecture == "all";
        let (here, foreign): (Vec<_>, Vec<_>) = installed.into_iter().partition(own);
        Self {
            native: native.to_owned(),
            candidates: BTreeMap::new(),
            providers: BTreeMap::new(),
            installed_providers: BTreeMap::new(),
            installed: here.into_iter().map(|p| (p.name.clone(), p)).collect(),
            foreign,
        }
    }

    /// Adds a version of a package from a source of `priority` (apt_preferences(5): the highest
    /// priority, of equal ones the newest version, of equal ones the first wins).
    pub fn offer(&mut self, package: Package, priority: u16) {
        if package.architecture != self.native && package.architecture != "all" {
            return;
        }
        let better =
            |old: &Candidate| (priority, &package.version) > (old.priority, &old.package.version);
        if self.candidates.get(&package.name).is_none_or(better) {
            self.candidates.insert(package.name.clone(), Candidate { package, priority });
        }
    }

    /// To be called when everything was offered.
    ///
    /// # Errors
    /// A `Provides` that cannot be read.
    pub fn index(&mut self) -> Result<(), String> {
        let add = |into: &mut BTreeMap<String, Vec<String>>, package: &Package| {
            for provided in package.provides()? {
                into.entry(provided.name).or_default().push(package.name.clone());
            }
            Ok::<_, String>(())
        };
        for candidate in self.candidates.values() {
            add(&mut self.providers, &candidate.package)?;
        }
        for package in self.installed.values() {
            add(&mut self.installed_providers, package)?;
        }
        Ok(())
    }

    /// What apt calls the candidate: never older than what is installed, and of a source that is
    /// not automatic (priority 1) only where nothing is installed.
    #[must_use]
    pub fn candidate(&self, name: &str) -> Option<&Package> {
        let candidate = self.candidates.get(name)?;
        let Some(installed) = self.installed.get(name) else { return Some(&candidate.package) };
        let newer = candidate.package.version > installed.version && candidate.priority >= 100;
        newer.then_some(&candidate.package)
    }

    /// The candidates that provide `name`, as apt prefers them: by rank, then by name.
    #[must_use]
    pub fn providers(&self, name: &str) -> Vec<&Package> {
        let names = self.providers.get(name).into_iter().flatten();
        let mut found: Vec<&Package> = names.filter_map(|name| self.candidate(name)).collect();
        found.sort_by_key(|package| package.rank);
        found.dedup_by(|a, b| a.name == b.name);
        found
    }

    /// The installed packages that provide `name`.
    pub fn installed_providers(&self, name: &str) -> impl Iterator<Item = &Package> {
        let names = self.installed_providers.get(name).into_iter().flatten();
        names.filter_map(|name| self.installed.get(name))
    }

    /// What is installed under `name`.
    #[must_use]
    pub fn installed(&self, name: &str) -> Option<&Package> {
        self.installed.get(name)
    }

    /// Everything installed of the native architecture, by name.
    pub fn all_installed(&self) -> impl Iterator<Item = &Package> {
        self.installed.values()
    }

    /// Whether a package installed for another architecture is what `relation` asks for.
    #[must_use]
    pub fn foreign_serves(&self, relation: &Relation) -> bool {
        self.foreign.iter().any(|package| {
            let asked = match relation.qualifier.as_deref() {
                None => package.multi_arch == MultiArch::Foreign,
                Some("any") => package.multi_arch == MultiArch::Allowed,
                Some(architecture) => package.architecture == architecture,
            };
            asked && package.name == relation.name && relation.accepts(&package.version)
        })
    }

    /// Whether `package`, of the native architecture, is what `relation` asks for, by its own
    /// name or one that it provides.
    ///
    /// # Errors
    /// A `Provides` that cannot be read.
    pub fn serves(&self, package: &Package, relation: &Relation) -> Result<bool, String> {
        let architecture = match relation.qualifier.as_deref() {
            None | Some("native") => true,
            Some("any") => matches!(package.multi_arch, MultiArch::Allowed | MultiArch::Foreign),
            Some(name) => name == self.native,
        };
        if !architecture {
            return Ok(false);
        }
        if package.name == relation.name && relation.accepts(&package.version) {
            return Ok(true);
        }
        // A version is asked of a virtual package that has one only (Debian Policy 7.5).
        Ok(package.provides()?.iter().any(|provided| {
            provided.name == relation.name
                && match (&relation.version, &provided.version) {
                    (None, _) => true,
                    (Some(_), Some((_, version))) => relation.accepts(version),
                    (Some(_), None) => false,
                }
        }))
    }
}
