//! `bake remove`: takes a node out of a cluster for good.

use std::net::Ipv4Addr;
use std::time::Duration;

use nodeconf::Topology;

use super::Session;
use super::cluster::Which;
use crate::error::{Error, Result};
use crate::job::cluster::farewell::{Farewell, Untold, farewell};
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
        session.ui.text(format!("removing {} means:\n{steps}", args.node))?;
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
    let farewell = said(args, &profile, &secrets, removal.address(), session)?;
    secrets.retire(&args.node)?;
    tell(&Report { removed, farewell }, session)
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Report {
    #[serde(flatten)]
    removed: Removed,
    #[serde(flatten)]
    farewell: Option<Farewell>,
}

/// Tells the servers, where it was one of several.
fn said(
    args: &Args,
    profile: &Profile,
    secrets: &SecretsFile,
    address: Option<Ipv4Addr>,
    session: &Session,
) -> Result<Option<Farewell>> {
    let secrets = secrets.secrets();
    let server = secrets.nodes.get(&args.node).is_some_and(|record| record.votes);
    if !server || profile.cluster_config(secrets).topology == Topology::Single {
        return Ok(None);
    }
    farewell(profile, secrets, &args.node, address, &session.cancel).map(Some)
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
    let mut farewell = None;
    if !args.dry_run {
        farewell = said(args, profile, secrets, None, session)?;
        secrets.retire(name)?;
    }
    let removed =
        Removed { node: name.clone(), gone: true, left_etcd: false, waiting_for: Vec::new() };
    if session.ui.json() {
        return session.ui.json_line(&Report { removed, farewell });
    }
    session.ui.line(format!("{name}: the cluster has no such node"))?;
    untold(farewell.as_ref(), session)
}

/// Who does not know yet.
fn untold(farewell: Option<&Farewell>, session: &Session) -> Result<()> {
    for Untold { server, why } in farewell.iter().flat_map(|farewell| &farewell.untold) {
        session.ui.line(format!(
            "{server} does not know of it: {why}. Repeat this to tell it; until then it only sends \
             to an address where nobody is"
        ))?;
    }
    Ok(())
}

fn tell(report: &Report, session: &Session) -> Result<()> {
    if session.ui.json() {
        return session.ui.json_line(report);
    }
    let Report { removed, farewell } = report;
    let etcd = if removed.left_etcd { ", and out of etcd" } else { "" };
    session.ui.line(match removed.gone {
        true => format!("{}: removed{etcd}", removed.node),
        false => format!(
            "{}: removed{etcd}; its Node goes once {} is cleaned up",
            removed.node,
            removed.waiting_for.join(", ")
        ),
    })?;
    untold(farewell.as_ref(), session)
}
