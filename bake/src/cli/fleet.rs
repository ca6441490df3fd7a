//! `bake fleet`.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Instant;

use super::materials::Materials;
use super::{Session, cluster};
use crate::emit::Format;
use crate::error::Result;
use crate::job::fleet::{self, Report, Request};
use crate::profile::{Profile, Search};

/// Nodes that are baked at a time, where nobody says so: more gain nothing on one disk.
const MOST_JOBS: usize = 8;

/// Arguments of `bake fleet`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Profile: a name, or a path to a YAML file
    #[arg(long, value_name = "NAME|FILE")]
    profile: String,
    /// Folder of the outputs; made where it is missing
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
    /// Only these nodes, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    nodes: Vec<String>,
    /// One golden image for each role, and a small delta for each node (`bake apply`)
    #[arg(long)]
    deltas: bool,
    /// Compress the images
    #[arg(long, value_name = "FORMAT")]
    compress: Option<Compression>,
    /// Nodes that are baked at a time [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Bake unchanged nodes too, and replace files of others that are in the way
    #[arg(long)]
    force: bool,
    /// Neither take the outputs' sha256 nor wait until the disk has them: as fast as cp, as safe
    #[arg(long)]
    fast: bool,
    #[command(flatten)]
    materials: Materials,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Compression {
    /// Zstandard
    Zst,
    /// xz
    Xz,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let start = Instant::now();
    let source = Search::usual().find(&args.profile)?;
    let materials = &args.materials;
    let profile = Profile::read(&source, &materials.set)?;
    profile.warnings().iter().for_each(|fault| cluster::warn(session, fault));
    let names = wanted(args, &profile)?;
    let sources = materials.sources(&source);
    // Before secrets are made for a bake that fails.
    sources.lock.read()?;
    let path = profile.secrets_path(materials.secrets.as_deref());
    let mut secrets = cluster::open_secrets(&profile, &path, session)?;
    let plan = |name: &String| materials.plan(&profile, name, secrets.secrets());
    let plans = names.iter().map(plan).collect::<Result<Vec<_>>>()?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_JOBS);
    let request = Request {
        plans,
        sources,
        out_dir: args.out_dir.clone(),
        format: match args.compress {
            None => Format::Raw,
            Some(Compression::Zst) => Format::Zstd,
            Some(Compression::Xz) => Format::Xz,
        },
        deltas: args.deltas,
        jobs: args.jobs.map_or_else(cores, NonZero::get),
        force: args.force,
        thorough: !args.fast,
    };
    let fetcher = session.fetcher()?;
    let report = fleet::bake(&request, &fetcher, &mut secrets, &session.ui, &session.cancel)?;
    if session.ui.json() {
        session.ui.json_line(&report)?;
    } else {
        session.ui.line(summary(args, &report, start.elapsed().as_secs_f64()))?;
    }
    report.check()
}

/// The nodes that are asked for, in the profile's order, each once.
fn wanted(args: &Args, profile: &Profile) -> Result<Vec<String>> {
    for name in &args.nodes {
        profile.select(Some(name), None)?;
    }
    let all = profile.nodes().into_iter().map(str::to_owned);
    Ok(all.filter(|name| args.nodes.is_empty() || args.nodes.contains(name)).collect())
}

fn summary(args: &Args, report: &Report, seconds: f64) -> String {
    let mut text = format!("{}: {} in {seconds:.1} s", args.out_dir.display(), report.summary());
    let mut deltas = report.nodes.iter().filter_map(|node| Some((node.golden.as_ref()?, node)));
    if let Some((golden, node)) = deltas.next() {
        let (golden, delta) = (golden.display(), node.path.display());
        text += &format!("\nAn image: bake apply {golden} {delta} --out {}.img", node.node);
    }
    text
}
