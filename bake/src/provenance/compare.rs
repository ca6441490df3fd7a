//! What differs between two attestations of what should be the same.

use std::collections::BTreeMap;

use super::attestation::{Attestation, Resource};

/// Begins the lines about what came out.
pub const OUTPUT: &str = "output ";

impl Attestation {
    /// One line for everything that differs when the same was made again: what went in first, then
    /// what came out. Who looks for the reason of a difference finds it at the top.
    #[must_use]
    pub fn differences(&self, again: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (what, was, is) in
            self.words().into_iter().zip(again.words()).map(|(a, b)| (a.0, a.1, b.1))
        {
            if was != is {
                lines.push(format!("{what}: it was {was}, and is {is}"));
            }
        }
        let (mut was, mut is) = (Vec::new(), Vec::new());
        for (list, asked) in [(&mut was, self.asked()), (&mut is, again.asked())] {
            // A profile may have another name by now.
            list.push(Resource { name: "profile".into(), ..asked.profile.clone() });
            list.extend(asked.lock.clone());
        }
        lines.extend(compare("", &was, &is));
        let made_of = |of: &Self| of.predicate.build_definition.resolved_dependencies.clone();
        lines.extend(compare("", &made_of(self), &made_of(again)));
        let record = |of: &Self| of.predicate.run_details.byproducts.clone();
        lines.extend(compare(OUTPUT, &record(self), &record(again)));
        lines.extend(compare(OUTPUT, &self.subject, &again.subject));
        lines
    }

    /// What is told in words.
    fn words(&self) -> [(&'static str, String); 8] {
        let (asked, followed) = (self.asked(), self.followed());
        let bake = self.predicate.run_details.builder.version.get("bake");
        let none = || "none".to_owned();
        let incarnation = followed.incarnation.map(|number| number.to_string());
        [
            ("bake", bake.cloned().unwrap_or_default()),
            ("cluster", asked.cluster.clone()),
            ("node", asked.node.clone().unwrap_or_else(none)),
            ("role", super::role(asked.role).to_owned()),
            ("date", followed.source_date_epoch.to_string()),
            ("architecture", followed.architecture.clone()),
            ("system", followed.os.clone()),
            ("incarnation", incarnation.unwrap_or_else(none)),
        ]
    }
}

/// What both lists name with another digest, or only one of them.
fn compare(kind: &str, was: &[Resource], is: &[Resource]) -> Vec<String> {
    // Of several with one name the first counts.
    fn by_name(all: &[Resource]) -> BTreeMap<&str, &Resource> {
        all.iter().rev().map(|one| (one.name.as_str(), one)).collect()
    }
    let (before, now) = (by_name(was), by_name(is));
    let mut lines = Vec::new();
    for one in was {
        let Some(other) = now.get(one.name.as_str()) else {
            lines.push(format!("{kind}{}: it is not there any more", one.name));
            continue;
        };
        // What was not known then cannot differ.
        if let (Some(a), Some(b)) = (one.sha256(), other.sha256())
            && a != b
        {
            lines.push(format!("{kind}{}: its sha256 was {a}, and is {b}", one.name));
        }
    }
    let new = is.iter().filter(|other| !before.contains_key(other.name.as_str()));
    lines.extend(new.map(|other| format!("{kind}{}: it was not there", other.name)));
    lines
}
