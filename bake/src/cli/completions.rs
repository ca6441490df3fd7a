//! `bake completions`: a script that teaches a shell our verbs and options.

use clap::CommandFactory;

use super::{Cli, Session};
use crate::error::Result;

/// Arguments of `bake completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to write for
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bake", &mut script);
    session.ui.data(script)
}
