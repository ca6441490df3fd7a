//! `bake apply`.

use std::path::PathBuf;

use serde::Serialize;

use super::Session;
use super::writing::Writing;
use crate::delta::{Delta, Subject};
use crate::error::Result;
use crate::job;
use crate::units::human;

/// Arguments of `bake apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Golden image of the fleet, compressed or not
    golden: PathBuf,
    /// Delta of the node
    delta: PathBuf,
    /// Output; .zst, .xz or .gz compresses it
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Serialize)]
struct Applied<'d> {
    node: &'d Subject,
    path: PathBuf,
    bytes: u64,
    sha256: Option<String>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let delta = Delta::open(&args.delta)?;
    let out = args.writing.spec(&args.out);
    let fetcher = session.fetcher()?;
    let (ui, cancel) = (&session.ui, &session.cancel);
    let emitted = job::apply::apply(&args.golden, &delta, &out, &fetcher, ui, cancel)?;
    let node = &delta.header().node;
    if ui.json() {
        let (path, bytes, sha256) = (emitted.path, emitted.bytes, emitted.sha256);
        return ui.json_line(&Applied { node, path, bytes, sha256 });
    }
    let out = emitted.path.display();
    ui.line(format!("{out}: {} of cluster {}, {}", node.name, node.cluster, human(emitted.bytes)))
}
