//! `bake secrets rotate`

use std::path::{Path, PathBuf};

use crate::cli::Session;
use crate::cli::cluster::Which;
use crate::error::{Error, Result};
use crate::job::cluster::rotate::Rotation;
use crate::profile::{Rotated, SecretsFile};

const EXAMPLES: &str = "\
Examples:
  bake secrets rotate tokens --profile master3 --files new    begin: new tokens, and what to do
  scp -r new/node1 root@node1: && ssh root@node1 sh node1/apply.sh     the steps, node by node
  bake secrets rotate --finish --profile master3              every board has them

bake sends nothing to any board. Beside a node's new files lies a script without secrets, apply.sh,
that puts them in their places, restarts K3s, waits until it serves, and erases the old ones; what
was interrupted goes on when it is run again. Begun again, the rotation has the same new secrets.
Until it is finished the file keeps both, and cards are baked with the old ones. What was on a stolen
server's card cannot be rotated: it has the cluster's CAs, and the remedy is a new cluster with new
secrets (docs/security.md).";

/// Arguments of `bake secrets rotate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to replace
    #[arg(required_unless_present_any = ["finish", "abandon"])]
    what: Option<What>,
    #[command(flatten)]
    which: Which,
    /// Folder to write the boards' new files to [default: none are written, only the steps shown]
    #[arg(long, value_name = "FOLDER", requires = "what")]
    files: Option<PathBuf>,
    /// Every board has the new secrets: they count from now on
    #[arg(long, conflicts_with = "what")]
    finish: bool,
    /// No board has the new secrets, and no script was run: forget them
    #[arg(long, conflicts_with_all = ["what", "finish"])]
    abandon: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// What servers and agents join with
    Tokens,
    /// The password of the cluster's own database
    Database,
    /// Of VRRP: no image has one
    Vrrp,
    /// K3s's certificate authorities: not while the cluster runs
    Cas,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let what = args.what.map(possible).transpose()?;
    let (profile, mut file) = args.which.open_existing(session)?;
    let Some(what) = what else { return end(args, &mut file, session) };
    if what == Rotated::Database
        && profile.members().iter().all(|m| m.role != nodeconf::Role::Database)
    {
        return Err(Error::Usage("the profile has no database node".into()).hint(
            "the password of another database is in the profile: `cluster.datastore.endpoint`",
        ));
    }
    let folder = args.files.as_deref().unwrap_or(Path::new("FOLDER"));
    if args.files.is_some() && folder.exists() {
        let action = format!("write the new secrets to {}", folder.display());
        return Err(Error::Refused { action, reason: "it exists".into() });
    }
    let made = file.begin_rotation(what)?;
    let rotation = Rotation::of(&profile, file.secrets(), folder)?;
    if args.files.is_some() {
        rotation.write(folder)?;
    }
    if session.ui.json() {
        return session.ui.json_line(&rotation);
    }
    let name = what.name();
    let begun = if made { "begun" } else { "under way already" };
    let mut text =
        format!("rotation of the {name}: {begun}. The old ones count until the last step.\n");
    for (i, step) in rotation.steps.iter().enumerate() {
        text += &format!("{}. {}\n", i + 1, step.text);
    }
    session.ui.data(text)
}

fn end(args: &Args, file: &mut SecretsFile, session: &Session) -> Result<()> {
    let ended = file.end_rotation(args.abandon)?;
    let Some(what) = ended.map(Rotated::name) else {
        return Err(Error::NotFound { what: "rotation", name: "none is under way".into() });
    };
    if session.ui.json() {
        return session.ui.json_line(&serde_json::json!({"what": what, "finished": !args.abandon}));
    }
    let outcome = if args.abandon {
        "the new ones are forgotten; remove the folder they are in"
    } else {
        "the new ones count now"
    };
    session.ui.line(format!("rotation of the {what}: {outcome}"))
}

/// What cannot be done is said, with what can.
fn possible(what: What) -> Result<Rotated> {
    let refused = |what: &str, reason: &str, hint: &str| {
        let action = format!("rotate the {what}");
        Err(Error::Refused { action, reason: reason.into() }.hint(hint))
    };
    match what {
        What::Tokens => Ok(Rotated::Tokens),
        What::Database => Ok(Rotated::Database),
        What::Vrrp => refused(
            "VRRP password",
            "no image has one: VRRP version 3 knows no passwords, and its messages are checked by \
             sender and hop limit (ADR 89)",
            "nothing is to be done",
        ),
        What::Cas => refused(
            "certificate authorities",
            "every board, every kubeconfig and every service account depends on them at once",
            "a new cluster with new secrets; or, on your own, `k3s certificate rotate-ca` with the \
             root that every kubeconfig trusts already (`pki.root`, `pki.k3s.*.cross`)",
        ),
    }
}
