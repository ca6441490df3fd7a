//! A release image as the golden layer it is: what a node needs is added to it without fetching
//! anything, and the outcome is the image that baking the node gives.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nodeconf::{NodeConfig, paths};

use super::base::Base;
use super::golden::{Check, Golden};
use super::workshop::{Planned, Stock, Workshop};
use super::{NodeImage, Sources, claim, documents, materials};
use crate::emit::in_place::{self, Left};
use crate::error::{Context, Error, Result};
use crate::event::{Event, Sink};
use crate::fetch::Fetcher;
use crate::fs::root::Root;
use crate::io::digest::Sha256;
use crate::job::open::{self, Opened, lock};
use crate::profile::{NodePlan, SecretsFile};
use crate::provenance::{self, Record};
use crate::recipe::apply::Applied;
use crate::recipe::undo::undo;
use crate::recipe::{self, Action, Bundle, Deb, Edit, Material, Materials, Pins, Scope, Traits};
use crate::store::{Payload, ReadAt};
use crate::sys::interrupt::Cancel;

/// A release image, and the node it becomes.
#[derive(Debug, Clone)]
pub struct Release {
    /// The image, raw or compressed.
    pub image: PathBuf,
    /// What its file must be; without it nobody asks whether it was changed.
    pub sha256: Option<Sha256>,
    /// The node.
    pub plan: NodePlan,
    /// What it is made of: the release image has all but the profile.
    pub sources: Sources,
    /// Whether the node's board is replaced, so that it has forgotten what it promised.
    pub replace: bool,
}

/// Adds to a release image, in memory, what makes it the node: the outcome is, byte for byte, the
/// image that baking the node from the same inputs gives.
///
/// # Errors
/// [`Error::Usage`] for an image that is no release image of the node's profile and role,
/// [`Error::Verification`] where its digest is another, and what baking fails with.
pub fn personalise(
    release: Release,
    fetcher: &Fetcher<'_>,
    secrets: &mut SecretsFile,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<NodeImage> {
    let Release { image, sha256, mut plan, sources, replace } = release;
    let shown = image.display();
    let left = in_place::recover(&image)?;
    if left == Left::Undone {
        let message =
            format!("a run was ended while it changed {shown}, which is the release image again");
        sink.emit(Event::Warning { message });
    }
    // What somebody wants to be sure of has the digest of the release.
    if left == Left::Whole && sha256.is_none() && !replace {
        let opened = open::open(&image, fetcher)?;
        if let Some(record) = finished(&opened, &plan, &sources)? {
            let message = format!("a run was ended when {shown} was {} already", plan.node.name);
            sink.emit(Event::Warning { message });
            return NodeImage::again(opened, record);
        }
    }
    let plans = std::slice::from_ref(&plan);
    let workshop = Workshop::released(&image, sha256, plans, &sources, fetcher)?;
    claim(&mut plan, &workshop, secrets, replace, sink)?;
    let planned = workshop.plan(plan)?;
    for message in planned.recipe.warnings.iter().cloned() {
        sink.emit(Event::Warning { message });
    }
    workshop.golden(&planned, sink, cancel)?.node(planned, Check::Own, sink, cancel)
}

/// The record of an image that is the node already, as it is planned.
fn finished(opened: &Opened, plan: &NodePlan, sources: &Sources) -> Result<Option<Record>> {
    let root = opened.root()?;
    let json = root.read(paths::NODE_CONFIG.as_bytes(), 1 << 20)?.unwrap_or_default();
    let is = NodeConfig::parse(&json)
        .is_ok_and(|config| config.cluster == plan.cluster && config.node == plan.node);
    let record = provenance::read(root)?.filter(|record| {
        is && record.node.profile == plan.profile
            && record.node.profile_sha256 == sources.profile_sha256
    });
    Ok(record)
}

/// Whether the node shares with its role what the image has.
fn fits(planned: &Planned, golden: &Golden, image: &Path) -> Result<()> {
    if planned.shared == golden.digest() {
        return Ok(());
    }
    let others = differing(planned, golden.record());
    let which = match others.split_first() {
        None => "what it changes in files of the base image differs".to_owned(),
        Some((first, [])) => format!("{first} differs"),
        Some((first, rest)) => format!("{first} and {} more differ", rest.len()),
    };
    Err(of_another_profile(image, &which))
}

fn of_another_profile(image: &Path, why: &str) -> Error {
    let image = image.display();
    Error::Usage(format!("{image} was released from another profile than this: {why}")).hint(
        "take the profile, and the values of --set, that the image was released from, or release \
         it anew",
    )
}

/// What a plan lacks here, the image lacks: nothing else may go into it.
fn lacking(error: Error, image: &Path) -> Error {
    match error {
        Error::NotFound { what, name } => {
            of_another_profile(image, &format!("it lacks {name} ({what})"))
        }
        other => other,
    }
}

impl Workshop {
    /// A workshop whose only golden layer is the release image at `path`, for the nodes of one
    /// profile that it was released for. Nothing is claimed for them yet: a wrong image must not
    /// count as a card.
    ///
    /// # Errors
    /// What opening fails with, [`Error::Verification`] where its digest is not `sha256`;
    /// [`Error::Refused`] for one that a run which was ended was changing;
    /// [`Error::Usage`] for an image that is no release image of the nodes' profile and role;
    /// [`Error::Corrupt`] for one whose record tells less than it must.
    pub fn released(
        path: &Path,
        sha256: Option<Sha256>,
        plans: &[NodePlan],
        sources: &Sources,
        fetcher: &Fetcher<'_>,
    ) -> Result<Self> {
        let Some(plan) = plans.first() else {
            return Err(Error::Usage("no node is to be made".into()));
        };
        in_place::settled(path)?;
        let opened = open::open_verified(path, sha256, fetcher)?;
        let record = record_of(opened.root()?, path, plans)?;
        let sealed = provenance::read_sealed(opened.root()?)?;
        let materials = gathered(opened.root()?, &record, plan)?;
        let traits = base_traits(&opened)
            .with_context(|| format!("looking at what {} was made from", path.display()))?;
        let sbom = match record.has_sbom() {
            true => Some(documents::read(opened.root()?)?),
            false => None,
        };
        let used = opened.in_use()?;
        let image = opened.image().clone();
        drop(opened);
        lock(&image).freeze();
        let base = Base::of_release(record.base.clone(), path.to_owned(), traits, image.clone());
        let stock = Stock::new(Arc::new(base), materials, record.components.clone(), sources);
        let stock = stock.into_released(sbom, &record);
        let applied = Applied::of(&record, sealed);
        let golden = Golden::of_release(Arc::new(stock), image, used, applied, record);
        let golden = Arc::new(golden);
        let workshop = Self::of_release(plan.node.role, golden.clone());
        for plan in plans {
            let planned = workshop.plan(plan.clone()).map_err(|error| lacking(error, path))?;
            fits(&planned, &golden, path)?;
        }
        Ok(workshop)
    }
}

fn record_of(root: &Root, path: &Path, plans: &[NodePlan]) -> Result<Record> {
    let shown = path.display();
    let Some(record) = provenance::read(root)? else {
        return Err(Error::Usage(format!(
            "{shown} is no release image: nothing was baked into it"
        ))
        .hint("bake a node on it: `bake --profile P --node N --base IMAGE --out FILE`"));
    };
    if let Some(name) = &record.node.name {
        return Err(Error::Usage(format!("{shown} is no release image: it is {name} already"))
            .hint(format!("`bake flash IMAGE` without a profile makes a card of {name}"))
            .hint("bake another node on it: `bake --profile P --node N --base IMAGE --out FILE`"));
    }
    if let Some(plan) = plans.iter().find(|plan| plan.node.role != record.node.role) {
        let name = &plan.node.name;
        return Err(Error::Usage(format!(
            "{shown} is of another role than {name}: take the release image of its role"
        )));
    }
    Ok(record)
}

/// What the image was before anything was baked into it: found in a copy that is thrown away.
fn base_traits(opened: &Opened) -> Result<Traits> {
    let fork = lock(opened.image()).fork();
    let mut base = Opened::new(&opened.path, Arc::new(Mutex::new(fork)))?;
    undo(base.root_mut()?)?;
    base.root_mut()?.commit()?;
    Traits::detect(base.root()?)
}

/// What the image was made of, as far as plans depend on it; files of the profile from the host.
fn gathered(root: &Root, record: &Record, plan: &NodePlan) -> Result<Materials> {
    let missing = |what: &str| Error::Corrupt {
        what: paths::RECORD.into(),
        reason: format!("it does not tell which {what} was baked"),
    };
    let component = |name: &str| -> Result<Option<(&str, Material)>> {
        let named = record.components.iter().find(|c| c.name == name && !c.is_package());
        named.map(|component| in_image(root, record, &component.sha256, name)).transpose()
    };
    let plain = |found: Option<(&str, Material)>| found.map(|(_, material)| material);
    let mut packages = Vec::new();
    for package in &record.packages {
        let (_, material) = in_image(root, record, &package.sha256, &package.name)?;
        packages.push(Deb { package: package.clone(), material });
    }
    Ok(Materials {
        firstboot: plain(component("firstboot")?).ok_or_else(|| missing("firstboot"))?,
        k3s: plain(component("k3s")?),
        airgap: component("k3s-airgap-images")?.map(|(path, material)| Bundle {
            file_name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            material,
        }),
        metallb: metallb(root, record)?,
        host_files: materials::host_files(plan)?,
        packages,
        pins: Pins::new(record.container_images.clone()),
    })
}

/// MetalLB's manifest as it is in the image, where it may be pinned: by its path.
fn metallb(root: &Root, record: &Record) -> Result<Option<Material>> {
    let path = recipe::metallb_path();
    let Some(file) = record.files.iter().find(|file| file.path == path) else { return Ok(None) };
    let content = root.read(path.as_bytes(), recipe::container_images::LIMIT)?.unwrap_or_default();
    let (sha256, what) = (Sha256::of(&content).to_string(), "MetalLB's manifest".to_owned());
    if file.state.sha256.as_ref() != Some(&sha256) {
        let reason = format!("{path} is another file than it names");
        return Err(Error::Corrupt { what: paths::RECORD.into(), reason });
    }
    Ok(Some(Material { payload: Payload::bytes(content), sha256, what, url: None }))
}

/// The file of the image with this digest, and where it lies.
fn in_image<'r>(
    root: &Root,
    record: &'r Record,
    sha256: &str,
    what: &str,
) -> Result<(&'r str, Material)> {
    let found = record.files.iter().find(|file| file.state.sha256.as_deref() == Some(sha256));
    let size = match found {
        Some(file) => root.stat(file.path.as_bytes())?.map(|found| found.size),
        None => None,
    };
    let (Some(file), Some(len)) = (found, size) else {
        return Err(Error::Corrupt {
            what: paths::RECORD.into(),
            reason: format!("no file of the image is the {what} it names"),
        });
    };
    let payload = Payload(Arc::new(InImage { len }));
    let (sha256, what) = (sha256.to_owned(), what.to_owned());
    Ok((&file.path, Material { payload, sha256, what, url: None }))
}

/// A file that is in the image already, so that nobody reads it.
#[derive(Debug)]
struct InImage {
    len: u64,
}

impl ReadAt for InImage {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        Err(io::Error::other("the file is in the release image already"))
    }
}

/// The files that are written whole, shared by the nodes of the role, and other ones in the image.
fn differing(planned: &Planned, record: &Record) -> Vec<String> {
    let known: BTreeMap<&str, Option<&str>> =
        record.files.iter().map(|f| (f.path.as_str(), f.state.sha256.as_deref())).collect();
    let differs = |edit: &&Edit| match &edit.action {
        Action::Write { path, source, .. } => {
            known.get(path.as_str()).copied().flatten() != Some(source.sha256().as_str())
        }
        _ => false,
    };
    let shared = planned.recipe.of(Scope::Shared).filter(differs);
    shared.map(|edit| edit.action.path().to_owned()).collect()
}
