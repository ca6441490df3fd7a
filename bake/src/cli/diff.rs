//! `bake diff`: files added, removed and changed between two images.

use std::path::PathBuf;

use super::Session;
use crate::error::Result;
use crate::job::diff::{self, Kind};
use crate::job::open;

/// Arguments of `bake diff`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image to compare from
    a: PathBuf,
    /// The image to compare to
    b: PathBuf,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let fetcher = session.fetcher()?;
    let a = open::open(&args.a, &fetcher)?;
    let b = open::open(&args.b, &fetcher)?;
    diff::compare(a.root()?, b.root()?, &mut |change| {
        if session.ui.json() {
            return session.ui.json_line(&change);
        }
        let sign = match change.change {
            Kind::Added => '+',
            Kind::Removed => '-',
            Kind::Changed => '~',
        };
        let what = match change.what.as_slice() {
            [] => String::new(),
            what => format!("  ({})", what.join(", ")),
        };
        session.ui.line(format!("{sign} {}{what}", change.path))
    })
}
