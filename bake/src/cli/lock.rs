//! `bake lock`: pins what the images of a profile are made of.

use serde::Serialize;

use super::materials::Materials;
use super::{Session, cluster};
use crate::error::{Error, Result};
use crate::job;
use crate::lock::{Lock, Use};
use crate::profile::{ClusterSecrets, NodePlan, Profile, Search, Source};

/// Arguments of `bake lock`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Profile: a name, or a path to a YAML file
    #[arg(long, value_name = "NAME|FILE")]
    profile: String,
    /// Choose everything anew, and say what changed
    #[arg(long, conflicts_with = "check")]
    update: bool,
    /// Change nothing: fail where the lock does not fit the profile, or what it pins cannot be had
    #[arg(long)]
    check: bool,
    /// Leave container images that no registry tells the digest of as their manifests name them
    #[arg(long, conflicts_with = "check")]
    unpinned_images: bool,
    #[command(flatten)]
    materials: Materials,
}

#[derive(Debug, Serialize)]
struct Outcome<'a> {
    lock: String,
    written: bool,
    changes: &'a [String],
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let source = Search::usual().find(&args.profile)?;
    let path = source.lock_path();
    let old = match Lock::read(&path) {
        Ok(found) => found.map(|(lock, _)| lock),
        // Written anew in any case.
        Err(Error::Invalid { .. }) if args.update => None,
        Err(error) => return Err(error),
    };
    if old.is_some() && !args.update && !args.check {
        let action = format!("overwrite {}", path.display());
        return Err(Error::Refused { action, reason: "the profile is locked already".into() }
            .hint("`bake lock --update` writes it anew, `bake lock --check` looks at it"));
    }
    let new = make(args, &source, session)?;
    let changes = old.as_ref().map(|old| old.changes(&new)).unwrap_or_default();
    let differs = old.as_ref() != Some(&new);
    if args.check {
        if differs {
            let reason = match changes.is_empty() {
                true => "it is written in another way than bake writes it".to_owned(),
                false => changes.join("; "),
            };
            return Err(Error::Verification { what: path.display().to_string(), reason }
                .hint("`bake lock --update` writes it anew"));
        }
    } else {
        new.write(&path)?;
    }
    let written = !args.check;
    if session.ui.json() {
        let lock = path.display().to_string();
        return session.ui.json_line(&Outcome { lock, written, changes: &changes });
    }
    for line in &changes {
        session.ui.line(line)?;
    }
    session.ui.line(format!("{}: {}", path.display(), summary(&new, differs, old.is_some())))
}

fn make(args: &Args, profile: &Source, session: &Session) -> Result<Lock> {
    let materials = &args.materials;
    let read = Profile::read(profile, &materials.set)?;
    read.warnings().iter().for_each(|fault| cluster::warn(session, fault));
    // Nothing that is locked hangs on secrets: CI checks a lock without them.
    let secrets = ClusterSecrets::placeholder(read.cluster(), &read.members());
    let plans: Result<Vec<NodePlan>> =
        read.nodes().iter().map(|node| materials.plan(&read, node, &secrets)).collect();
    let mut sources = materials.sources(profile);
    sources.lock = if args.check { Use::Required(profile.lock_path()) } else { Use::Ignored };
    let fetcher = session.fetcher()?;
    job::lock::make(
        &profile.folder(),
        &plans?,
        &sources,
        args.unpinned_images,
        &fetcher,
        &session.ui,
        &session.cancel,
    )
}

fn summary(lock: &Lock, differs: bool, known: bool) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let holds = format!(
        "{}, {}, {}, {}, {}",
        lock.base.image,
        count(lock.parts.len(), "part"),
        count(lock.files.len(), "file"),
        count(lock.packages.len(), "package"),
        count(lock.container_images.len(), "container image"),
    );
    match (known, differs) {
        (true, false) => format!("unchanged ({holds})"),
        _ => holds,
    }
}
