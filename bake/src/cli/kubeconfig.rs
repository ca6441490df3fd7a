//! `bake kubeconfig`: access to a cluster, from its secrets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Session;
use super::cluster::Which;
use crate::error::{Error, Result};
use crate::event::{Event, Sink};
use crate::io::private::{self, Existing};
use crate::job::cluster::kubeconfig::{Request, kubeconfig};

const DAY: u64 = 24 * 60 * 60;
/// What K3s calls its own administrator.
const ADMIN: (&str, &str) = ("system:admin", "system:masters");

const EXAMPLES: &str = "\
Examples:
  bake kubeconfig --profile master3                    all power, for a year
  bake kubeconfig --profile master3 --user jane --group dev --days 30 --out jane.kubeconfig

What a user other than the administrator may do is said by RoleBindings and ClusterRoleBindings
of the cluster. A certificate cannot be taken back before its last day, so give few days.";

/// Arguments of `bake kubeconfig`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Output, for its owner alone (mode 0600) [default: CLUSTER.kubeconfig]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the output where it exists
    #[arg(long)]
    force: bool,
    /// User it is for [default: the administrator, who may do everything]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Group the user is in (repeatable) [default: none; the administrator's: system:masters]
    #[arg(long = "group", value_name = "NAME", requires = "user")]
    groups: Vec<String>,
    /// How many days it is good for
    #[arg(long, value_name = "N", default_value_t = 365)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=27_000))]
    days: u32,
    /// Address of the API [default: the shared address, else the first server's]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    if args.out.as_deref() == Some(Path::new("-")) {
        let what = "--out -: a kubeconfig has a key in it, and is written to a file";
        return Err(Error::Usage(what.into()).hint("`--out ./-` is a file of that name"));
    }
    let (profile, secrets) = args.which.open(session)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(format!("{}.kubeconfig", profile.cluster())),
    };
    let (user, groups) = match &args.user {
        Some(user) => (user.clone(), args.groups.clone()),
        None => (ADMIN.0.to_owned(), vec![ADMIN.1.to_owned()]),
    };
    let life = Duration::from_secs(u64::from(args.days) * DAY);
    let request = Request { user, groups, life, server: args.server.clone() };
    let made = kubeconfig(&profile, secrets.secrets(), &request)?;
    for message in &made.warnings {
        session.ui.emit(Event::Warning { message: message.clone() });
    }
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    private::write(&out, made.text.as_bytes(), existing)?;
    if session.ui.json() {
        let mut report = serde_json::json!(made);
        report["path"] = serde_json::json!(out);
        return session.ui.json_line(&report);
    }
    session.ui.line(format!(
        "{}: {} at {}, until {}{}",
        out.display(),
        made.user,
        made.server,
        made.until,
        try_it(&out)
    ))
}

fn try_it(out: &Path) -> String {
    let name = out.display().to_string();
    format!("\n  kubectl --kubeconfig {} get nodes", shell_words::quote(&name))
}
