//! `bake remove`: takes a node out of a cluster for good.

use std::time::Duration;

use super::Session;
use super::cluster::Which;
use crate::error::{Error, Result};
use crate::job::cluster::remove::{Removal, Removed};
use crate::profile::{Profile, SecretsFile};

const EXAMPLES: &str = "\
Examples:
  bake remove node4 --profile master3 --dry-run    what it would do
  bake remove node4 --profile master3              do it

To replace a dead board by a new one nothing is removed: bake its card anew with `bake --replace`.";

/// Arguments of `bake remove`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The node
    node: String,
    #[command(flatten)]
    which: Which,
    /// Remove it even where the cluster then cannot decide anything any more
    #[arg(long)]
    force: bool,
    /// Do not ask; without a terminal nobody is asked anyway
    #[arg(long, short)]
    yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Seconds to wait until the node is gone
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// For each question to the API.
const ANSWER: Duration = Duration::from_secs(10);

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let (profile, mut secrets) = args.which.open_existing(session)?;
    let Some(removal) = Removal::look(&profile, secrets.secrets(), &args.node, ANSWER)? else {
        return absent(args, &profile, &mut secrets, session);
    };
    if !session.ui.json() {
        let steps: String = removal.steps.iter().map(|step| format!("- {step}\n")).collect();
        session.ui.data(format!("removing {} means:\n{steps}", args.node))?;
    }
    if let Some(reason) = removal.objection.clone().filter(|_| !args.force) {
        let action = format!("remove {}", args.node);
        return Err(Error::Refused { action, reason }
            .hint("bring the other servers back first; `--force` removes it all the same"));
    }
    if args.dry_run {
        let (node, steps) = (&args.node, &removal.steps);
        let report = serde_json::json!({"node": node, "steps": steps, "dry_run": true});
        return if session.ui.json() { session.ui.json_line(&report) } else { Ok(()) };
    }
    if !args.yes && !session.ui.confirm(&format!("remove {}?", args.node))? {
        return Err(Error::Interrupted);
    }
    let removed = removal.carry_out(Duration::from_secs(args.timeout), &session.cancel)?;
    secrets.retire(&args.node)?;
    tell(&removed, session)
}

/// The API knows no such node: gone before, or never there.
fn absent(
    args: &Args,
    profile: &Profile,
    secrets: &mut SecretsFile,
    session: &Session,
) -> Result<()> {
    let name = &args.node;
    let known = secrets.secrets().nodes.contains_key(name);
    if !known {
        let hint = format!("the profile has {}", profile.nodes().join(", "));
        return Err(Error::NotFound { what: "node", name: name.clone() }.hint(hint));
    }
    if !args.dry_run {
        secrets.retire(name)?;
    }
    let removed =
        Removed { node: name.clone(), gone: true, left_etcd: false, waiting_for: Vec::new() };
    if session.ui.json() {
        return session.ui.json_line(&removed);
    }
    session.ui.line(format!("{name}: the cluster has no such node; nothing to remove"))
}

fn tell(removed: &Removed, session: &Session) -> Result<()> {
    if session.ui.json() {
        return session.ui.json_line(removed);
    }
    let etcd = if removed.left_etcd { ", and out of etcd" } else { "" };
    session.ui.line(match removed.gone {
        true => format!("{}: removed{etcd}", removed.node),
        false => format!(
            "{}: removed{etcd}; its Node goes once {} is cleaned up",
            removed.node,
            removed.waiting_for.join(", ")
        ),
    })
}
