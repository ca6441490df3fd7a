//! `bake status`: how a cluster and each of its nodes is.

mod render;
mod watch;

use std::time::Duration;

use super::Session;
use super::cluster::Which;
use crate::error::{Error, Result};
use crate::job::cluster::status::{Asker, ClusterStatus};

const EXAMPLES: &str = "\
Examples:
  bake status --profile master3            one look; exit status 0 only if all is well
  bake status --profile master3 --watch    follow a boot until all is well";

/// Arguments of `bake status`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Look again and again until all is well
    #[arg(long, short)]
    watch: bool,
    /// Seconds after which a node that does not answer is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
    /// With --watch: seconds after which to end even if not all is well
    #[arg(long, value_name = "SECONDS", requires = "watch")]
    give_up: Option<u64>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let (profile, secrets) = args.which.open_existing(session)?;
    let timeout = Duration::from_secs(args.timeout);
    let asker = Asker::new(&profile, secrets.secrets(), timeout)?;
    let status = if args.watch {
        watch::until_well(&asker, args.give_up.map(Duration::from_secs), session)?
    } else {
        let status = asker.ask();
        if session.ui.json() {
            session.ui.json_line(&status)?;
        } else {
            session.ui.text(render::whole(&status))?;
        }
        status
    };
    verdict(&status)
}

fn verdict(status: &ClusterStatus) -> Result<()> {
    if status.well {
        return Ok(());
    }
    let count = status.problems.len();
    let reason = format!("not all is well: {count} thing{}", if count == 1 { "" } else { "s" });
    Err(Error::Cluster { what: format!("cluster {}", status.cluster), reason })
}
