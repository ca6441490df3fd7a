//! `bake secrets decrypt`

use crate::cli::Session;
use crate::cli::cluster::Which;
use crate::error::{Error, Result};

/// Arguments of `bake secrets decrypt`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Do not ask; without a terminal nobody is asked anyway
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let (_, mut file) = args.which.open_existing(session)?;
    let path = file.path().display().to_string();
    if file.lock().is_none() {
        let what = format!("{path} is not encrypted");
        return Err(Error::Usage(what));
    }
    if !args.yes && !session.ui.confirm(&format!("keep {path} as clear text from now on?"))? {
        return Err(Error::Interrupted);
    }
    file.relock(None)?;
    if session.ui.json() {
        return session.ui.json_line(&serde_json::json!({"path": path, "encrypted": false}));
    }
    session.ui.line(format!("{path}: clear text now, for its owner alone (mode 0600)"))
}
