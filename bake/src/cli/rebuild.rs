//! `bake rebuild`: makes an image again from what its attestation names, and compares.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Session;
use super::materials::Materials;
use crate::emit::{self, Format, Spec};
use crate::error::{Error, IoContext, Result};
use crate::io::digest::Sha256;
use crate::io::whole;
use crate::job::build::Sources;
use crate::job::clock;
use crate::job::rebuild::{self, Rebuilt};
use crate::lock::Use;
use crate::profile::{ClusterSecrets, NodePlan, Profile, Search, SecretsFile, Source};
use crate::provenance::{Attestation, OUTPUT, Resource};

/// Arguments of `bake rebuild`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The attestation of the image (in-toto statement with SLSA provenance, JSON)
    #[arg(long, value_name = "FILE")]
    attestation: PathBuf,
    /// Profile: a name, or a path to a YAML file [default: the one the attestation names]
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Keep what was made [default: it is only compared]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    materials: Materials,
}

#[derive(Debug, Serialize)]
struct Outcome<'a> {
    same: bool,
    outputs: &'a [Resource],
    differences: &'a [String],
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let path = &args.attestation;
    let what = path.display().to_string();
    let was = Attestation::parse(&what, &whole::read(path).at("reading", path)?)?;
    let name = rebuild::subject(path, &was)?;
    if args.materials.no_sbom {
        let message = "`--no-sbom`: what has an attestation has SBOMs";
        return Err(Error::Usage(message.into()));
    }
    let folder = match args.out.as_deref().and_then(Path::parent) {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Some(wanted) = &args.out {
        if Format::of(wanted) != Format::of(Path::new(&name)) {
            let message = format!("{} is to hold {name}, and ends otherwise", wanted.display());
            return Err(Error::Usage(message));
        }
        emit::preflight(&Spec::new(wanted.clone()))?;
    }
    let (plans, sources) = inputs(args, &was, session)?;
    let fetcher = session.fetcher()?;
    let request = rebuild::Request {
        attestation: path.clone(),
        was,
        plans,
        sources,
        // Beside the output, where there is room for it.
        folder: folder.to_owned(),
    };
    let rebuilt = rebuild::rebuild(request, &fetcher, &session.ui, &session.cancel)?;
    if let Some(wanted) = &args.out {
        std::fs::rename(&rebuilt.path, wanted).at("naming", wanted)?;
    }
    tell(&what, &rebuilt, session)
}

/// What it was made from: the profile and the lock of then, and the cluster's secrets where it is
/// a node's.
fn inputs(args: &Args, was: &Attestation, session: &Session) -> Result<(Vec<NodePlan>, Sources)> {
    let (asked, followed, materials) = (was.asked(), was.followed(), &args.materials);
    let source = Search::usual().find(args.profile.as_deref().unwrap_or(&asked.profile.name))?;
    same(&source.shown(), &asked.profile, &Sha256::of(source.text.as_bytes()))?;
    let profile = Profile::read(&source, &materials.set)?;
    let plans = match &asked.node {
        Some(node) => {
            let mut plan = materials.plan(&profile, node, &secrets(args, &profile, session)?)?;
            plan.node.incarnation = followed.incarnation.unwrap_or(plan.node.incarnation);
            vec![plan]
        }
        None => {
            let secrets = ClusterSecrets::placeholder(profile.cluster(), &profile.members());
            let plan = |node: &&str| materials.plan(&profile, node, &secrets);
            profile.nodes().iter().map(plan).collect::<Result<_>>()?
        }
    };
    let mut sources = materials.sources(&source);
    sources.lock = asked.lock.as_ref().map_or(Ok(Use::Ignored), |lock| locked(lock, &source))?;
    let date = match sources.lock.read()? {
        Some(locked) => Some(locked.lock().time),
        None => clock::fixed()?,
    };
    if date != Some(followed.source_date_epoch) {
        let date = followed.source_date_epoch;
        return Err(Error::Usage(format!("the image is dated {date}, and would be another now"))
            .hint(format!("set SOURCE_DATE_EPOCH={date}, or use the lock it was made with")));
    }
    Ok((plans, sources))
}

fn secrets(args: &Args, profile: &Profile, session: &Session) -> Result<ClusterSecrets> {
    let path = profile.secrets_path(args.materials.secrets.as_deref());
    SecretsFile::peek(&path, profile.cluster(), &session.keys())?.ok_or_else(|| {
        Error::NotFound { what: "secrets file", name: path.display().to_string() }
            .hint("the bytes of a node hang on its cluster's secrets: name them with --secrets")
    })
}

fn tell(what: &str, rebuilt: &Rebuilt, session: &Session) -> Result<()> {
    let Rebuilt { attestation, differences, .. } = rebuilt;
    let (same, outputs) = (differences.is_empty(), &attestation.subject);
    if session.ui.json() {
        session.ui.json_line(&Outcome { same, outputs, differences })?;
    }
    if !same {
        let only = differences.iter().all(|line| line.starts_with(OUTPUT));
        let error = Error::Verification { what: what.into(), reason: differences.join("; ") };
        return Err(error.hint(match (only, &attestation.asked().node) {
            (false, _) => "what went in is listed before what came out",
            (true, Some(_)) => {
                "all that went in is the same: other secrets, another --set, or a fault of bake's"
            }
            (true, None) => {
                "all that went in is the same: another profile or --set, or a fault of bake's"
            }
        }));
    }
    if session.ui.json() {
        return Ok(());
    }
    for output in outputs {
        let sha256 = output.sha256().unwrap_or_default();
        session.ui.line(format!("{}: made again, the same bytes, sha256 {sha256}", output.name))?;
    }
    Ok(())
}

/// The lock an image was baked with, which must lie beside the profile.
fn locked(wanted: &Resource, source: &Source) -> Result<Use> {
    let path = source.lock_path();
    let text = whole::read(&path).at("reading", &path)?;
    same(&path.display().to_string(), wanted, &Sha256::of(&text))?;
    Ok(Use::Required(path))
}

fn same(what: &str, wanted: &Resource, found: &Sha256) -> Result<()> {
    match wanted.sha256() {
        Some(sha256) if sha256 != found.to_string() => {
            let reason = format!("its sha256 is {found}, and the image was made with {sha256}");
            Err(Error::Verification { what: what.into(), reason }
                .hint("take the file as it was when the image was made"))
        }
        _ => Ok(()),
    }
}
