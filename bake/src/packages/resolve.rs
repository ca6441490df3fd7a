//! Which packages must be installed: apt's choices, found the way apt finds them.
//!
//! Each dependency takes its first alternative that can be had, its providers after the package
//! itself; where that leads nowhere the next one is tried. Nothing installed is ever removed; it
//! is upgraded where a dependency or a conflict asks for that. Recommendations are not followed.

use std::collections::BTreeMap;

use super::package::Package;
use super::relation::{self, Group, Relation};
use super::universe::Universe;

/// Attempts to choose a package before a knot is called one.
const MAX_ATTEMPTS: u32 = 20_000;

/// Why there is no solution, innermost reason last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsolved {
    /// No source has a package of this name.
    Missing(String),
    /// Several packages provide it, and it is no package itself.
    Ambiguous {
        /// The virtual package.
        name: String,
        /// What provides it.
        providers: Vec<String>,
    },
    /// It is there, and cannot be installed.
    Unsatisfiable {
        /// The package asked for.
        name: String,
        /// From the package down to what is in the way.
        reason: String,
    },
}

/// The packages to install so that all of `wanted` are there, by name.
///
/// # Errors
/// [`Unsolved`], for the first of `wanted` that cannot be had.
pub fn resolve<'u>(
    universe: &'u Universe,
    wanted: &[String],
) -> Result<Vec<&'u Package>, Unsolved> {
    let mut solver = Solver { universe, chosen: BTreeMap::new(), attempts: 0 };
    for name in wanted {
        let unsatisfiable = |reason| Unsolved::Unsatisfiable { name: name.clone(), reason };
        let asked = Relation { name: name.clone(), qualifier: None, version: None };
        if solver.satisfied(&asked).map_err(unsatisfiable)? {
            continue;
        }
        let package = match (universe.candidate(name), &universe.providers(name)[..]) {
            (Some(package), _) => package,
            (None, []) => return Err(Unsolved::Missing(name.clone())),
            (None, [one]) => one,
            (None, several) => {
                let providers = several.iter().map(|p| p.name.clone()).collect();
                return Err(Unsolved::Ambiguous { name: name.clone(), providers });
            }
        };
        solver.choose(package).map_err(unsatisfiable)?;
    }
    Ok(solver.chosen.into_values().collect())
}

type Chosen<'u> = BTreeMap<&'u str, &'u Package>;

struct Solver<'u> {
    universe: &'u Universe,
    chosen: Chosen<'u>,
    attempts: u32,
}

impl<'u> Solver<'u> {
    /// What will be there under `name`.
    fn effective(&self, name: &str) -> Option<&'u Package> {
        self.chosen.get(name).copied().or_else(|| self.universe.installed(name))
    }

    /// Packages that will be there and are what `relation` asks for.
    fn serving(&self, relation: &Relation) -> Result<Vec<&'u Package>, String> {
        let mut found: Vec<&'u Package> = Vec::new();
        let by_name = self.effective(&relation.name).into_iter();
        let replaced = |p: &&Package| !self.chosen.contains_key(p.name.as_str());
        let installed = self.universe.installed_providers(&relation.name).filter(replaced);
        for package in by_name.chain(installed).chain(self.chosen.values().copied()) {
            let known = found.iter().any(|p| p.name == package.name);
            if !known && self.universe.serves(package, relation)? {
                found.push(package);
            }
        }
        Ok(found)
    }

    fn satisfied(&self, relation: &Relation) -> Result<bool, String> {
        Ok(self.universe.foreign_serves(relation) || !self.serving(relation)?.is_empty())
    }

    fn any_satisfied(&self, group: &[Relation]) -> Result<bool, String> {
        for relation in group {
            if self.satisfied(relation)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes `package` and what it needs, or leaves everything as it was.
    fn choose(&mut self, package: &'u Package) -> Result<(), String> {
        self.attempts += 1;
        if self.attempts > MAX_ATTEMPTS {
            return Err("its dependencies are too entangled".into());
        }
        let before = self.chosen.clone();
        let outcome = self.try_choose(package);
        if outcome.is_err() {
            self.chosen = before;
        }
        outcome
    }

    fn try_choose(&mut self, package: &'u Package) -> Result<(), String> {
        if let Some(other) = self.chosen.insert(&package.name, package) {
            return Err(format!("{} is needed too", other.shown()));
        }
        self.settle_conflicts(package)?;
        for group in package.pre_depends()?.into_iter().chain(package.depends()?) {
            self.need(package, &group)?;
        }
        if self.universe.installed(&package.name).is_some() {
            self.keep_dependents(package)?;
        }
        Ok(())
    }

    /// Has one of `group` there, the first that can be.
    fn need(&mut self, package: &Package, group: &Group) -> Result<(), String> {
        if self.any_satisfied(group)? {
            return Ok(());
        }
        let mut reasons = Vec::new();
        for option in self.options(group)? {
            match self.choose(option) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(format!("{}: {reason}", option.shown())),
            }
        }
        if reasons.is_empty() {
            reasons.push(self.lack(group));
        }
        let (name, group) = (package.shown(), relation::shown(group));
        Err(format!("{name} needs {group}: {}", reasons.join("; ")))
    }

    /// Candidates for a dependency, in the order in which apt tries them.
    fn options(&self, group: &Group) -> Result<Vec<&'u Package>, String> {
        let mut found: Vec<&'u Package> = Vec::new();
        for relation in group {
            let real = self.universe.candidate(&relation.name);
            let providers = self.universe.providers(&relation.name);
            for package in real.into_iter().chain(providers) {
                let known = found.iter().any(|p| p.name == package.name);
                if !known && self.universe.serves(package, relation)? {
                    found.push(package);
                }
            }
        }
        Ok(found)
    }

    /// What there is instead of something nobody offers.
    fn lack(&self, group: &Group) -> String {
        let told = group.iter().map(|relation| {
            let known = [self.universe.candidate(&relation.name), self.effective(&relation.name)];
            match known.into_iter().flatten().next() {
                Some(package) => format!("there is only {}", package.shown()),
                None => format!("no source has {}", relation.name),
            }
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// Nothing that will be there may conflict with `package`; what is installed is upgraded
    /// where that helps.
    fn settle_conflicts(&mut self, package: &'u Package) -> Result<(), String> {
        for relation in package.conflicts()? {
            for other in self.serving(&relation)? {
                // A package may conflict with what it provides itself (Debian Policy 7.6.2).
                if other.name != package.name {
                    self.evade(package, other, |solver, other| {
                        solver.universe.serves(other, &relation)
                    })?;
                }
            }
        }
        let universe = self.universe;
        let installed = universe.all_installed().filter(|p| p.name != package.name);
        let others: Vec<&'u Package> = self.chosen.values().copied().chain(installed).collect();
        for other in others {
            let still = |p: &&Package| std::ptr::eq(*p, other);
            if other.name == package.name
                || !self.effective(&other.name).as_ref().is_some_and(still)
            {
                continue;
            }
            if hostile(universe, other, package)? {
                self.evade(package, other, |solver, other| {
                    hostile(solver.universe, other, package)
                })?;
            }
        }
        Ok(())
    }

    /// Upgrades `other`, which is in conflict with `package`, if its candidate is not.
    fn evade(
        &mut self,
        package: &Package,
        other: &'u Package,
        conflict: impl Fn(&Self, &Package) -> Result<bool, String>,
    ) -> Result<(), String> {
        if !self.chosen.contains_key(other.name.as_str())
            && let Some(newer) = self.universe.candidate(&other.name)
            && !conflict(self, newer)?
        {
            return self.choose(newer);
        }
        let installed = self.universe.installed(&other.name).is_some();
        let place =
            if installed { "is installed, and nothing is removed" } else { "is needed too" };
        Err(format!("{} conflicts with {}, which {place}", package.shown(), other.shown()))
    }

    /// What is installed and depended on the version that `package` replaces must go on working.
    fn keep_dependents(&mut self, package: &'u Package) -> Result<(), String> {
        let universe = self.universe;
        for other in universe.all_installed() {
            if self.chosen.contains_key(other.name.as_str()) {
                continue;
            }
            for group in other.pre_depends()?.into_iter().chain(other.depends()?) {
                if self.any_satisfied(&group)? || !held(universe, &group)? {
                    continue;
                }
                let broken = || {
                    let (other, group) = (other.shown(), relation::shown(&group));
                    format!("{} breaks the installed {other}, which needs {group}", package.shown())
                };
                let newer = universe.candidate(&other.name).ok_or_else(broken)?;
                self.choose(newer).map_err(|reason| format!("{}: {reason}", broken()))?;
                break;
            }
        }
        Ok(())
    }
}

/// Whether `one` conflicts with `other`.
fn hostile(universe: &Universe, one: &Package, other: &Package) -> Result<bool, String> {
    for relation in one.conflicts()? {
        if universe.serves(other, &relation)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the image as it is has one of `group`: what was broken before is not ours to mend.
fn held(universe: &Universe, group: &[Relation]) -> Result<bool, String> {
    let untouched = Solver { universe, chosen: BTreeMap::new(), attempts: 0 };
    untouched.any_satisfied(group)
}
