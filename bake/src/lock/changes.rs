//! What differs between two locks, for people.

use std::collections::BTreeMap;

use super::Lock;

impl Lock {
    /// One line for everything that differs in `new`, most telling first: versions where they
    /// differ, else digests.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Vec<String> {
        let (old, new) = (self.listed(), new.listed());
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        let mut lines = Vec::new();
        for name in names {
            match (old.get(name), new.get(name)) {
                (Some(was), Some(is)) if was != is => lines.push(format!("{name} {}", was.to(is))),
                (None, Some(is)) => lines.push(format!("{name}: new, {}", is.shown)),
                (Some(was), None) => lines.push(format!("{name}: gone, was {}", was.shown)),
                _ => {}
            }
        }
        lines
    }

    fn listed(&self) -> BTreeMap<String, Listed> {
        let plain = |shown: String| Listed { shown, ..Listed::default() };
        let base = &self.base;
        let mut all = BTreeMap::from([
            ("bake".to_owned(), plain(self.bake.clone())),
            ("profile".to_owned(), plain(self.profile.clone())),
            ("time".to_owned(), plain(day(self.time))),
            (
                "base".to_owned(),
                Listed {
                    shown: name(base.source.as_ref(), &base.image),
                    sha256: base.sha256.to_string(),
                    from: from(base.source.as_ref()),
                },
            ),
            (
                "base verified by".to_owned(),
                plain(base.verified.clone().unwrap_or_else(|| "nothing".into())),
            ),
        ]);
        for part in &self.parts {
            let source = part.source.as_ref();
            let shown = part.version.clone().unwrap_or_else(|| name(source, "your file"));
            let listed = Listed { shown, sha256: part.sha256.to_string(), from: from(source) };
            all.insert(part.name.clone(), listed);
        }
        for file in &self.files {
            let shown = format!("{} bytes", file.size);
            let listed = Listed { shown, sha256: file.sha256.to_string(), ..Listed::default() };
            all.insert(format!("file {}", file.path), listed);
        }
        for package in &self.packages {
            let listed = Listed {
                shown: package.version.clone(),
                sha256: package.sha256.to_string(),
                from: from(package.source.as_ref()),
            };
            all.insert(format!("package {}", package.name), listed);
        }
        for selection in &self.selections {
            let batches: Vec<String> = selection.batches.iter().map(|b| b.join(" ")).collect();
            let shown = if batches.is_empty() { "nothing".into() } else { batches.join(" | ") };
            all.insert(format!("to install for {}", selection.wanted.join(" ")), plain(shown));
        }
        for image in &self.container_images {
            let shown = match (image.sha256, &image.archive) {
                (Some(sha256), _) => format!("sha256 {}", short(&sha256.to_string())),
                (None, Some(archive)) => format!("in {archive}"),
                (None, None) => "as it is named".into(),
            };
            all.insert(format!("container image {}", image.name), plain(shown));
        }
        all
    }
}

/// One thing, as it is shown and told apart.
#[derive(Default, PartialEq, Eq)]
struct Listed {
    shown: String,
    sha256: String,
    /// Where it comes from.
    from: String,
}

impl Listed {
    fn to(&self, new: &Self) -> String {
        if self.shown != new.shown {
            return format!("{} -> {}", self.shown, new.shown);
        }
        if self.sha256 == new.sha256 {
            return format!("{}: from {} -> {}", self.shown, self.from, new.from);
        }
        let (was, is) = (short(&self.sha256), short(&new.sha256));
        format!("{}: other bytes, sha256 {was} -> {is}", self.shown)
    }
}

/// Enough of a digest to tell it from others.
fn short(digest: &str) -> String {
    digest.chars().take(16).chain(['…']).collect()
}

/// The last part of a URL; `otherwise` for what lies on a disk.
fn name(source: Option<&String>, otherwise: &str) -> String {
    let path = source.and_then(|url| url.split(['?', '#']).next());
    let last = path.and_then(|path| path.rsplit('/').next());
    last.unwrap_or(otherwise).to_owned()
}

/// Where something comes from.
fn from(source: Option<&String>) -> String {
    source.cloned().unwrap_or_else(|| "a file of yours".into())
}

fn day(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds);
    time.map_or_else(|_| format!("@{seconds}"), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
