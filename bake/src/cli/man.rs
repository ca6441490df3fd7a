//! `bake man`: the manual pages, from the same definitions as `--help`.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;

use super::{Cli, Session};
use crate::error::{IoContext, Result};

/// Arguments of `bake man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder that receives bake.1 and a page for every verb
    #[arg(value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    fs::create_dir_all(&args.out).at("creating", &args.out)?;
    clap_mangen::generate_to(Cli::command(), &args.out).at("writing pages to", &args.out)?;
    if session.ui.json() {
        return session.ui.json_line(&serde_json::json!({"folder": args.out}));
    }
    session.ui.line(format!("manual pages written to {}", args.out.display()))
}
