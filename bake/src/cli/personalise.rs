//! `bake personalise`: a release image becomes a node.

use std::path::PathBuf;
use std::time::Instant;

use super::writing::Writing;
use super::{Session, build, cluster};
use crate::error::Result;
use crate::io::digest::Sha256;
use crate::job::build::{Release, Sources, documents, personalise};
use crate::profile::{Profile, Search};

/// Arguments of `bake personalise`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The release image, as `bake release` made it, compressed or not
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// SHA-256 that the image file must have: SHA256SUMS of the release says it
    #[arg(long, value_name = "DIGEST", value_parser = str::parse::<Sha256>)]
    sha256: Option<Sha256>,
    /// Profile: a name, or a path to a YAML file
    #[arg(long, value_name = "NAME|FILE")]
    profile: String,
    /// Node of the profile [default: the one the output is named after]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Output; .zst, .xz or .gz compresses it [default: the image itself becomes the node]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Set a value of the profile (repeatable), as for the release
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The cluster's secrets [default: beside the profile; made on first use]
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    #[command(flatten)]
    writing: Writing,
    /// The node's board is replaced by another: it joins anew
    #[arg(long)]
    replace: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let start = Instant::now();
    let source = Search::usual().find(&args.profile)?;
    let profile = Profile::read(&source, &args.set)?;
    profile.warnings().iter().for_each(|fault| cluster::warn(session, fault));
    let node = profile.select(args.node.as_deref(), args.out.as_deref())?.to_owned();
    let path = args.out.as_ref().unwrap_or(&args.image);
    let mut out = args.writing.spec(path);
    out.in_place = args.out.is_none();
    out.force |= out.in_place;
    documents::preflight(&out)?;
    let secrets = profile.secrets_path(args.secrets.as_deref());
    let mut secrets = cluster::open_secrets(&profile, &secrets, session)?;
    let plan = profile.plan(&node, secrets.secrets())?;
    let profile_sha256 = Some(Sha256::of(source.text.as_bytes()).to_string());
    let release = Release {
        image: args.image.clone(),
        sha256: args.sha256,
        plan,
        sources: Sources { profile_sha256, ..Sources::default() },
        replace: args.replace,
    };
    let (fetcher, ui, cancel) = (session.fetcher()?, &session.ui, &session.cancel);
    let node = personalise(release, &fetcher, &mut secrets, ui, cancel)?;
    let report = node.emit(&out, ui, cancel)?;
    if session.ui.json() {
        return session.ui.json_line(&report);
    }
    session.ui.line(build::summary(&report, start.elapsed().as_secs_f64()))
}
