//! `bake rebuild`: makes what an attestation is about again, from what it names.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::build::{self, Sources, Workshop, documents};
use super::release;
use crate::emit::{Spec, in_place};
use crate::error::{Error, IoContext, Result};
use crate::event::Sink;
use crate::fetch::Fetcher;
use crate::io::digest::Sha256;
use crate::profile::NodePlan;
use crate::provenance::attestation::SUFFIX;
use crate::provenance::{Attestation, OUTPUT};
use crate::sys::interrupt::Cancel;

/// What is to be made again.
#[derive(Debug)]
pub struct Request {
    /// The attestation.
    pub attestation: PathBuf,
    /// What stands in it.
    pub was: Attestation,
    /// The node's plan; of an image that is nobody's yet, those of all nodes of its profile.
    pub plans: Vec<NodePlan>,
    /// What it is made of.
    pub sources: Sources,
    /// Where there is room for it.
    pub folder: PathBuf,
}

/// An output that was made again; it goes away with this.
#[derive(Debug)]
pub struct Rebuilt {
    /// Where it is.
    pub path: PathBuf,
    /// What is to be said of it now.
    pub attestation: Attestation,
    /// What differs, what went in before what came out; empty where all is the same.
    pub differences: Vec<String>,
    _folder: TempDir,
}

/// Makes it and compares. What lies beside the attestation under the name of the output is compared
/// too.
///
/// # Errors
/// What baking fails with; [`Error::Corrupt`] for an attestation about nothing, [`Error::Refused`]
/// where a run was ended that changed what lies there,
/// [`Error::NotFound`] where the profile has no node of its role.
pub fn rebuild(
    request: Request,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Rebuilt> {
    let Request { attestation, was, plans, sources, folder } = request;
    let name = subject(&attestation, &was)?;
    in_place::settled(&attestation.with_file_name(&name))?;
    let workplace = tempfile::tempdir_in(&folder).at("creating a folder in", &folder)?;
    let path = workplace.path().join(&name);
    match was.asked().node {
        Some(_) => node(plans, sources, &path, fetcher, sink, cancel)?,
        None => golden(&was, &plans, &sources, &path, fetcher, sink, cancel)?,
    }
    let text = documents::beside(&path, SUFFIX);
    let text = fs::read(&text).at("reading", &text)?;
    let again = Attestation::parse(&name, &text)?;
    let mut differences = was.differences(&again);
    differences.extend(lying_there(&attestation, &was, &name)?);
    Ok(Rebuilt { path, attestation: again, differences, _folder: workplace })
}

/// The name of the output, without folders: it comes from a file somebody gave us.
///
/// # Errors
/// [`Error::Corrupt`]; [`Error::Unsupported`] for a delta.
pub fn subject(attestation: &Path, was: &Attestation) -> Result<String> {
    let what = || attestation.display().to_string();
    let Some(subject) = was.subject.first() else {
        return Err(Error::Corrupt { what: what(), reason: "it is about nothing".into() });
    };
    let name = &subject.name;
    if name.ends_with(".delta") {
        let feature = "it is about a delta, whose bytes hang on the golden image as well".into();
        return Err(Error::Unsupported { what: what(), feature }
            .hint("`bake fleet --deltas` into another folder makes both again"));
    }
    match !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']) {
        true => Ok(name.clone()),
        false => {
            Err(Error::Corrupt { what: what(), reason: format!("`{name}` is no name of a file") })
        }
    }
}

fn node(
    mut plans: Vec<NodePlan>,
    sources: Sources,
    path: &Path,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<()> {
    let plan = plans.pop().ok_or_else(|| Error::Usage("no node is to be baked".into()))?;
    let request = build::Request { plan, sources, out: Spec::new(path), replace: false };
    build::prepare(request, fetcher, None, sink)?.bake(sink, cancel)?;
    Ok(())
}

/// What the nodes of a role share: of several such images of a release that with the same name.
fn golden(
    was: &Attestation,
    plans: &[NodePlan],
    sources: &Sources,
    path: &Path,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<()> {
    let role = was.asked().role;
    let plans: Vec<NodePlan> = plans.iter().filter(|p| p.node.role == role).cloned().collect();
    let missing =
        || Error::NotFound { what: "node of the profile for", name: documents::name(path) };
    if plans.is_empty() {
        return Err(missing());
    }
    let workshop = Workshop::open(&plans, sources, fetcher, sink)?;
    let goldens = release::goldens(&workshop, &plans)?;
    let file = documents::name(path);
    let named = goldens.iter().find(|(name, _)| {
        file.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(".img"))
    });
    let (_, planned) = named.or(goldens.first()).ok_or_else(missing)?;
    let golden = workshop.golden(planned, sink, cancel)?;
    release::put(&golden, path, sink, cancel)?;
    Ok(())
}

/// Whether the output that lies beside its attestation is what that says.
fn lying_there(attestation: &Path, was: &Attestation, name: &str) -> Result<Option<String>> {
    let path = attestation.with_file_name(name);
    let Ok(file) = File::open(&path) else { return Ok(None) };
    let (found, _) = Sha256::of_reader(file).at("reading", &path)?;
    let told = was.subject.first().and_then(|subject| subject.sha256()).unwrap_or_default();
    let line = format!("{OUTPUT}{}: its sha256 is {found}, and must be {told}", path.display());
    Ok((found.to_string() != told).then_some(line))
}
