//! What must hold between the lines of a lock: a hand or a merge may have changed any of them.

use std::collections::BTreeSet;

use super::Lock;
use crate::units::LAST_SECOND;

/// Parts there can be.
const PARTS: [&str; 4] = ["firstboot", BUNDLE, "k3s", "metallb"];
/// The one whose file name matters to K3s.
const BUNDLE: &str = "k3s-airgap-images";

impl Lock {
    /// What is wrong with it that its types cannot say.
    pub(super) fn fault(&self) -> Option<String> {
        let time = self.time_fault().or_else(|| self.base_fault());
        time.or_else(|| self.part_fault()).or_else(|| self.package_fault())
    }

    fn time_fault(&self) -> Option<String> {
        let time = self.time;
        let possible = (0..=LAST_SECOND).contains(&time);
        (!possible).then(|| format!("its `time` {time} is not in the years 1970 to 2107"))
    }

    fn base_fault(&self) -> Option<String> {
        let base = &self.base;
        if base.source.is_some() {
            return None;
        }
        let name = &base.image;
        let plain = !name.is_empty() && !name.contains(|c: char| c == '/' || c.is_control());
        match &base.verified {
            _ if !plain => Some(format!("{name:?} cannot be the name of your base image")),
            Some(by) => Some(format!("{name} was a file of yours, and not verified by {by:?}")),
            None => None,
        }
    }

    fn part_fault(&self) -> Option<String> {
        for part in &self.parts {
            let name = &part.name;
            if !PARTS.contains(&name.as_str()) {
                return Some(format!("it has a part `{name}`, which nothing uses"));
            }
            if let Some(file) = part.file.as_ref().filter(|_| name != BUNDLE) {
                return Some(format!("it has the file name {file:?} for {name}, which needs none"));
            }
        }
        let parts = repeated(self.parts.iter().map(|part| &part.name));
        parts.or_else(|| repeated(self.files.iter().map(|file| &file.path)))
    }

    fn package_fault(&self) -> Option<String> {
        let used = |name: &String| {
            self.selections.iter().any(|s| s.batches.iter().flatten().any(|used| used == name))
        };
        if let Some(idle) = self.packages.iter().find(|package| !used(&package.name)) {
            return Some(format!("it has the package {} and installs it nowhere", idle.name));
        }
        let twice = self.selections.iter().find_map(|s| repeated(s.batches.iter().flatten()));
        twice
            .or_else(|| repeated(self.packages.iter().map(|package| &package.name)))
            .or_else(|| repeated(self.selections.iter().map(|selection| &selection.wanted)))
    }
}

fn repeated<T: Ord + std::fmt::Debug>(all: impl Iterator<Item = T>) -> Option<String> {
    let mut seen = BTreeSet::new();
    for one in all {
        if seen.contains(&one) {
            return Some(format!("it has {one:?} twice"));
        }
        seen.insert(one);
    }
    None
}
