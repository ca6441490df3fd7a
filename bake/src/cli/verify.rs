//! `bake verify`: whether an image is sound, still as it was baked, and the node that is meant.

use std::path::PathBuf;

use super::Session;
use crate::error::{Error, Result};
use crate::job::open;
use crate::job::verify::{Expected, Verdict, verify};
use crate::profile::Search;

/// Arguments of `bake verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image
    image: PathBuf,
    /// Compare with this profile, too: a name or a path
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// The node of the profile it must be [default: the stem of the image's name]
    #[arg(long, value_name = "NAME", requires = "profile")]
    node: Option<String>,
    /// Change a value of the profile, as when baking
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "profile")]
    sets: Vec<String>,
    /// The cluster's secrets file [default: beside the profile]
    #[arg(long, value_name = "FILE", requires = "profile")]
    secrets: Option<PathBuf>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let expected = match &args.profile {
        Some(reference) => Some(Expected::read(
            Search::usual().find(reference)?,
            &args.sets,
            args.node.as_deref(),
            &args.image,
            args.secrets.as_deref(),
            &session.keys(),
        )?),
        None => None,
    };
    let opened = open::open(&args.image, &session.fetcher()?)?;
    let verdicts = verify(&opened, expected.as_ref())?;
    for verdict in &verdicts {
        if session.ui.json() {
            session.ui.json_line(verdict)?;
        } else {
            session.ui.text(render(verdict))?;
        }
    }
    match verdicts.iter().map(|v| v.problems.len()).sum() {
        0 => Ok(()),
        1 => Err(failed(args, "1 problem")),
        n => Err(failed(args, &format!("{n} problems"))),
    }
}

fn failed(args: &Args, problems: &str) -> Error {
    Error::Verification { what: args.image.display().to_string(), reason: problems.to_owned() }
}

fn render(verdict: &Verdict) -> String {
    const SHOWN: usize = 20;
    let Verdict { subject, extent, problems } = verdict;
    let extent = if extent.is_empty() { String::new() } else { format!(" ({extent})") };
    let word = if problems.is_empty() { "ok" } else { "WRONG" };
    let mut text = format!("{word:<6} {subject}{extent}\n");
    for problem in problems.iter().take(SHOWN) {
        text += &format!("         {problem}\n");
    }
    if problems.len() > SHOWN {
        text += &format!("         and {} more\n", problems.len() - SHOWN);
    }
    text
}
