//! `bake rebuild`: makes an image again from what its attestation names, and compares.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Session;
use super::materials::Materials;
use crate::emit::{self, Spec};
use crate::error::{Error, IoContext, Result};
use crate::io::digest::Sha256;
use crate::job::build::{self, Report, Request};
use crate::job::clock;
use crate::lock::Use;
use crate::profile::{Profile, Search, SecretsFile, Source};
use crate::provenance::{Named, Statement};

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
    outputs: &'a [Named],
    differences: &'a [String],
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let path = &args.attestation;
    let what = path.display().to_string();
    let was = Statement::parse(&what, &std::fs::read(path).at("reading", path)?)?;
    let (asked, followed) = (was.asked(), was.followed());
    let Some(node) = asked.node.clone() else {
        let feature = "it is about an image that is nobody's yet".into();
        return Err(Error::Unsupported { what, feature });
    };
    let Some(subject) = was.subject.first() else {
        return Err(Error::Corrupt { what, reason: "it is about nothing".into() });
    };
    let source = Search::usual().find(args.profile.as_deref().unwrap_or(&asked.profile.name))?;
    same(&source.shown(), &asked.profile, &Sha256::of(source.text.as_bytes()))?;
    let materials = &args.materials;
    let profile = Profile::read(&source, &materials.set)?;
    let secrets = profile.secrets_path(materials.secrets.as_deref());
    let Some(known) = SecretsFile::peek(&secrets, profile.cluster(), &session.keys())? else {
        let name = secrets.display().to_string();
        return Err(Error::NotFound { what: "secrets file", name }
            .hint("the bytes of a node hang on its cluster's secrets: name them with --secrets"));
    };
    let mut plan = materials.plan(&profile, &node, &known)?;
    plan.node.incarnation = followed.incarnation.unwrap_or(plan.node.incarnation);
    let mut sources = materials.sources(&source);
    if let Some(lock) = &asked.lock {
        sources.lock = locked(lock, &source)?;
    }
    let date = match sources.lock.read()? {
        Some(locked) => Some(locked.lock().time),
        None => clock::fixed()?,
    };
    if date != Some(followed.source_date_epoch) {
        let date = followed.source_date_epoch;
        return Err(Error::Usage(format!("the image is dated {date}, and would be another now"))
            .hint(format!("set SOURCE_DATE_EPOCH={date}, or use the lock it was made with")));
    }
    let folder = match args.out.as_deref().and_then(Path::parent) {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Some(wanted) = &args.out {
        emit::preflight(&Spec::new(wanted.clone()))?;
    }
    // Beside the output, where there is room for it.
    let workplace = tempfile::tempdir_in(folder).at("creating a folder in", folder)?;
    let image = workplace.path().join(file_name(&subject.name)?);
    let out = Spec { digest: true, ..Spec::new(image.clone()) };
    let request = Request { plan, sources, out, replace: false };
    let fetcher = session.fetcher()?;
    let prepared = build::prepare(request, &fetcher, None, &session.ui)?;
    let report = prepared.bake(&session.ui, &session.cancel)?;
    if let Some(wanted) = &args.out {
        std::fs::rename(&image, wanted).at("naming", wanted)?;
    }
    let outputs = outputs(&was, &report);
    tell(&what, &outputs, &was.differences(&dependencies(&report), &outputs), session)
}

/// What went in, as attestations call it: the base image first.
fn dependencies(report: &Report) -> Vec<Named> {
    let base = Named::new(&report.base, report.base_sha256.as_deref());
    let parts = report.components.iter().map(|c| Named::new(&c.name, Some(&c.sha256)));
    std::iter::once(base).chain(parts).collect()
}

/// The output, and where the statement knows it the image inside.
fn outputs(was: &Statement, report: &Report) -> Vec<Named> {
    let digests = [report.sha256.as_deref(), report.image_sha256.as_deref()];
    was.subject.iter().zip(digests).map(|(one, digest)| Named::new(&one.name, digest)).collect()
}

fn tell(what: &str, outputs: &[Named], differences: &[String], session: &Session) -> Result<()> {
    let same = differences.is_empty();
    if session.ui.json() {
        session.ui.json_line(&Outcome { same, outputs, differences })?;
    }
    if !same {
        let only = differences.iter().all(|line| line.starts_with("output "));
        let error = Error::Verification { what: what.into(), reason: differences.join("; ") };
        return Err(error.hint(match only {
            true => {
                "all that went in is the same: other secrets, another --set, or a fault of bake's"
            }
            false => "what went in is listed before what came of it",
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
fn locked(wanted: &Named, source: &Source) -> Result<Use> {
    let path = source.lock_path();
    let text = std::fs::read(&path).at("reading", &path)?;
    same(&path.display().to_string(), wanted, &Sha256::of(&text))?;
    Ok(Use::Required(path))
}

fn same(what: &str, wanted: &Named, found: &Sha256) -> Result<()> {
    match wanted.sha256() {
        Some(sha256) if sha256 != found.to_string() => {
            let reason = format!("its sha256 is {found}, and the image was made with {sha256}");
            Err(Error::Verification { what: what.into(), reason }
                .hint("take the file as it was when the image was made"))
        }
        _ => Ok(()),
    }
}

/// A name without folders: it comes from a file somebody gave us.
fn file_name(name: &str) -> Result<&str> {
    match !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']) {
        true => Ok(name),
        false => Err(Error::Corrupt {
            what: "the attestation".into(),
            reason: format!("`{name}` is no name of a file"),
        }),
    }
}
