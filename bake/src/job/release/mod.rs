//! A release: what a download page needs, and nothing that is anybody's secret (docs/release.md).
//!
//! Each image is the golden layer of a role: no node's name, address, token or key is in it. Files
//! appear whole, the list of digests and its signature last, so that what they name is there.

mod earlier;
mod image;
pub mod os_list;
pub mod sign;
pub mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use url::Url;

use crate::emit::Output;
use crate::error::{Context, Error, IoContext, Result};
use crate::event::Sink;
use crate::fetch::Fetcher;
use crate::io::digest::Sha256;
use crate::io::remove::remove;
use crate::job::build::{Planned, Sources, Workshop};
use crate::profile::NodePlan;
use crate::provenance::role;
use crate::sys::interrupt::Cancel;
use earlier::Earlier;
pub(super) use image::put;
use os_list::OsList;
use sign::Signer;

/// The list for Imager, and the same under the name that Imager opens by a double click.
const LISTS: [&str; 2] = ["os_list.json", "bake.rpi-imager-manifest"];

/// What is to be released.
#[derive(Debug)]
pub struct Request {
    /// The profiles.
    pub profiles: Vec<Profiled>,
    /// Where everything goes; made where it is missing.
    pub folder: PathBuf,
    /// How the images are compressed, as their names end: `xz`, `zst`.
    pub suffix: String,
    /// Where the folder will be published; the folder itself where that is not known.
    pub url: Option<Url>,
    /// Further files of the folder, by name, that its list of digests has too.
    pub also: Vec<String>,
    /// Who signs.
    pub signers: Vec<Signer>,
    /// Whether files that no earlier release left in the folder are replaced.
    pub force: bool,
}

/// A profile to be released.
#[derive(Debug)]
pub struct Profiled {
    /// Its nodes; of each role the first stands for all that share its files.
    pub plans: Vec<NodePlan>,
    /// What they are made of.
    pub sources: Sources,
}

/// What became of a release.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where it is.
    pub folder: PathBuf,
    /// Its images.
    pub images: Vec<Made>,
    /// Every file, by name, with its digest.
    pub files: BTreeMap<String, String>,
    /// Whether the list of digests is signed.
    pub signed: bool,
}

/// An image of a release.
#[derive(Debug, Serialize)]
pub struct Made {
    /// Name of the compressed file.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Length of the image in it.
    pub image_bytes: u64,
    /// SHA-256 of the compressed file.
    pub sha256: String,
    /// Whether it was there from an earlier run.
    pub kept: bool,
}

/// Makes the release; what is there already and would be the same is kept.
///
/// # Errors
/// What baking fails with, and [`Error::Io`]; files that were complete by then stay.
/// [`Error::Refused`], before anything is baked, for a file that no earlier release left there.
pub fn release(
    request: &Request,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Report> {
    let folder = &request.folder;
    fs::create_dir_all(folder).at("making the folder", folder)?;
    let earlier = Earlier::read(folder, request.force)?;
    earlier.allows_lists()?;
    let (mut images, mut listed) = (Vec::new(), Vec::new());
    let mut files = further(request)?;
    for task in tasks(request, &earlier, fetcher, sink)? {
        for (file, planned) in task.images {
            cancel.check()?;
            let golden = task.workshop.golden(&planned, sink, cancel);
            let golden = golden.with_context(|| doing(&planned.plan))?;
            let image = image::put(&golden, &folder.join(&file), sink, cancel)?;
            files.extend(image.files);
            images.push(image.made);
            listed.push(image.listed);
        }
    }
    let url = match &request.url {
        Some(url) => url.to_string(),
        None => here(folder)?,
    };
    let list = OsList::new(&listed, &url).to_json();
    for name in LISTS {
        place(&folder.join(name), list.as_bytes())?;
        files.insert(name.into(), Sha256::of(list.as_bytes()).to_string());
    }
    let time = listed.iter().map(|image| image.time).max().unwrap_or(0);
    sum_up(request, &files, time)?;
    let signed = !request.signers.is_empty();
    Ok(Report { folder: folder.clone(), images, files, signed })
}

/// A profile whose images are planned, each with the name of its file.
struct Task {
    workshop: Workshop,
    images: Vec<(String, Planned)>,
}

/// Everything that is to be made, so that what is wrong with the last of it is told before the
/// first is baked.
fn tasks(
    request: &Request,
    earlier: &Earlier<'_>,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
) -> Result<Vec<Task>> {
    let (mut tasks, mut names) = (Vec::new(), BTreeSet::new());
    for Profiled { plans, sources } in &request.profiles {
        let Some(first) = plans.first() else { continue };
        let workshop =
            Workshop::open(plans, sources, fetcher, sink).with_context(|| doing(first))?;
        let mut images = Vec::new();
        for (name, planned) in goldens(&workshop, plans).with_context(|| doing(first))? {
            let file = format!("{name}.img.{}", request.suffix);
            if !names.insert(file.clone()) {
                let message = format!("two of the profiles have an image {file}");
                return Err(Error::Usage(message)
                    .hint("images are called by their profile: name each once, and differently"));
            }
            earlier.allows_image(&file)?;
            images.push((file, planned));
        }
        tasks.push(Task { workshop, images });
    }
    Ok(tasks)
}

fn doing(plan: &NodePlan) -> String {
    format!("releasing profile {}", plan.profile)
}

/// The images to make, by name: one for each role, or for each group of its nodes that shares
/// other files, which is then named after the first of them.
pub(super) fn goldens(workshop: &Workshop, plans: &[NodePlan]) -> Result<Vec<(String, Planned)>> {
    let mut found: Vec<(String, String, Planned)> = Vec::new();
    for plan in plans {
        let planned = workshop.plan(plan.clone())?;
        let digest = planned.shared.clone();
        if found.iter().any(|(_, known, p)| *known == digest && p.time == planned.time) {
            continue;
        }
        let arch = workshop.base().traits.architecture;
        let role = role(plan.node.role);
        let again = found.iter().any(|(_, _, p)| p.plan.node.role == plan.node.role);
        let node = if again { format!("-{}", plan.node.name) } else { String::new() };
        found.push((format!("bake-{}-{role}{node}-{arch}", plan.profile), digest, planned));
    }
    Ok(found.into_iter().map(|(name, _, planned)| (name, planned)).collect())
}

/// The further files, each with its digest.
fn further(request: &Request) -> Result<BTreeMap<String, String>> {
    let digest = |name: &String| {
        if name.starts_with(sums::NAME) || Path::new(name).file_name() != Some(name.as_ref()) {
            let shown = request.folder.display();
            let message = format!("--also {name}: it has to be the name of a file in {shown}");
            return Err(Error::Usage(message));
        }
        let path = request.folder.join(name);
        let file = File::open(&path).at("opening", &path)?;
        let (sha256, _) = Sha256::of_reader(file).at("reading", &path)?;
        Ok((name.clone(), sha256.to_string()))
    };
    request.also.iter().map(digest).collect()
}

/// Writes the list of digests and its signatures.
fn sum_up(request: &Request, files: &BTreeMap<String, String>, time: i64) -> Result<()> {
    let path = request.folder.join(sums::NAME);
    let signature = |suffix: &str| request.folder.join(format!("{}{suffix}", sums::NAME));
    let text = sums::render(files.iter().map(|(name, sha256)| (name.as_str(), sha256.as_str())));
    if !fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        // What they signed is going away.
        Signer::SUFFIXES.map(signature).iter().try_for_each(|old| remove(old))?;
        place(&path, text.as_bytes())?;
    }
    // Those that are there may be by another key.
    request.signers.iter().try_for_each(|signer| {
        let text = signer.sign(sums::NAME, text.as_bytes(), time)?;
        place(&signature(signer.suffix()), text.as_bytes())
    })
}

/// The folder as a URL, for lists that are used where they are made.
fn here(folder: &Path) -> Result<String> {
    let path = fs::canonicalize(folder).at("resolving", folder)?;
    let no_url = || Error::Usage(format!("{} cannot be written as a URL", path.display()));
    Url::from_directory_path(&path).map(|url| url.to_string()).map_err(|()| no_url())
}

/// Writes a small file that everybody may read, whole or not at all; unless it is there already.
fn place(path: &Path, text: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let output = Output::create(path, true)?;
    output.publicise()?;
    output.file().write_all(text).at("writing", path)?;
    output.publish(true)
}
