//! Baking one node: plan and base image in, verified image out.

mod cards;
mod firstboot;
mod materials;
mod report;
mod size;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nodeconf::{NodeConfig, NodeSecrets, Role, paths};

use super::open::{Opened, open_source};
use super::{clock, fetch};
use crate::catalogue::Catalogue;
use crate::emit::{self, Spec};
use crate::error::{Context, Error, Result};
use crate::event::{Event, Sink, Unit};
use crate::fetch::Fetcher;
use crate::fs::root::Root;
use crate::profile::{Claim, ClusterSecrets, ImageSource, NodePlan, SecretsFile};
use crate::provenance::{self, Record};
use crate::recipe::apply::{Applied, apply, seal};
use crate::recipe::booted::begin_anew;
use crate::recipe::undo::undo;
use crate::recipe::{self, Materials, Recipe, Traits};
use crate::store::FileSource;
use crate::sys::interrupt::Cancel;

pub use report::Report;

/// What to bake.
#[derive(Debug, Clone)]
pub struct Request {
    /// The node.
    pub plan: NodePlan,
    /// SHA-256 of the profile's text.
    pub profile_sha256: Option<String>,
    /// The output.
    pub out: Spec,
    /// K3s binary to use instead of a released one.
    pub k3s: Option<PathBuf>,
    /// Image bundle to use instead of a released one.
    pub airgap_images: Option<PathBuf>,
    /// MetalLB's manifest to use instead of the pinned one.
    pub metallb_manifest: Option<PathBuf>,
    /// Device binary to use instead of the one beside `bake`.
    pub firstboot: Option<PathBuf>,
    /// Folder of `.deb` files to take packages from instead of the image's sources.
    pub packages: Option<PathBuf>,
    /// Whether the node's board is replaced, so that it has forgotten what it promised.
    pub replace: bool,
}

/// A node that is planned to the last edit, with nothing changed yet but in memory.
#[derive(Debug)]
pub struct Prepared {
    /// What the image is.
    pub traits: Traits,
    /// What it gets.
    pub recipe: Recipe,
    request: Request,
    base: BaseImage,
    opened: Opened,
    materials: Materials,
    time: i64,
    again: bool,
}

/// The base image, as messages and the record call it.
#[derive(Debug)]
struct BaseImage {
    name: String,
    path: PathBuf,
    /// Of the raw image, where it is known without reading all of it.
    sha256: Option<String>,
}

const STEP: &str = "edit";

/// Fetches what the node needs, looks at the base image and plans every edit.
///
/// The node's incarnation is claimed in `secrets`; without them it is the plan's.
///
/// # Errors
/// What fetching fails with; [`Error::Unsupported`] for an image that is not understood;
/// [`Error::Usage`] where plan and image contradict each other.
pub fn prepare(
    mut request: Request,
    fetcher: &Fetcher<'_>,
    secrets: Option<&mut SecretsFile>,
    sink: &dyn Sink,
) -> Result<Prepared> {
    let catalogue = Catalogue::load(Catalogue::user_folder().as_deref())?;
    let found = fetch::base(fetcher, &catalogue, &request.plan.image)?;
    let name = match &request.plan.image {
        ImageSource::Id(id) => id.clone(),
        ImageSource::File(path) => file_name(path),
        ImageSource::Url { url, .. } => url.rsplit('/').next().unwrap_or(url).to_owned(),
    };
    let sha256 = found.sha256.map(|digest| digest.to_string());
    let mut base = BaseImage { name, path: found.path, sha256 };
    let source = Arc::new(FileSource::of_file(found.file, &base.path)?);
    let mut opened = open_source(&base.path, source)
        .with_context(|| format!("opening {}", base.path.display()))?;
    let earlier = take_back(opened.root_mut()?, sink)?;
    let again = earlier.is_some();
    let plan = &request.plan;
    if begin_anew(opened.root_mut()?, &plan.cluster.id, &plan.node.name)?.is_some() {
        let name = &plan.node.name;
        let message = format!(
            "a board has booted from the image, as {name}: its setup begins anew, and what K3s \
             keeps stays"
        );
        sink.emit(Event::Note { message });
    }
    if let Some(provenance::Base { name, sha256, .. }) = earlier {
        // What it comes from is still the image that nothing had been baked into.
        base = BaseImage { name, sha256, ..base };
    }
    let traits = Traits::detect(opened.root()?)
        .with_context(|| format!("looking at {}", base.path.display()))?;
    let materials =
        materials::gather(&request, opened.root()?, traits.architecture, fetcher, sink)?;
    if let Some(secrets) = secrets {
        let inputs = request.plan.inputs_digest(&inputs(&base, &traits, &materials))?;
        let server = request.plan.node.role == Role::Server;
        let shape = ClusterSecrets::shape(&request.plan.cluster, server);
        let (node, replace) = (&mut request.plan.node, request.replace);
        let claim = Claim { node: &node.name, inputs: &inputs, shape: &shape, replace };
        node.incarnation = secrets.claim(&claim)?;
        for message in cards::warnings(&request.plan, secrets.secrets()) {
            sink.emit(Event::Warning { message });
        }
    }
    let time = match clock::fixed()? {
        Some(fixed) => fixed,
        None => traits.built.max(i64::try_from(request.plan.newest_input).unwrap_or(0)),
    };
    let recipe = recipe::recipe(&traits, &request.plan, &materials, time)?;
    for message in recipe.notes.iter().cloned() {
        sink.emit(Event::Note { message });
    }
    for message in recipe.warnings.iter().cloned() {
        sink.emit(Event::Warning { message });
    }
    Ok(Prepared { traits, recipe, request, base, opened, materials, time, again })
}

/// Undoes an earlier bake, where there was one, and tells what it was baked on.
fn take_back(root: &mut Root, sink: &dyn Sink) -> Result<Option<provenance::Base>> {
    let Some(earlier) = undo(root)? else { return Ok(None) };
    let message = format!("the image was baked before, as {}", earlier.record.node.name);
    sink.emit(Event::Note { message });
    for path in &earlier.left {
        sink.emit(Event::Note { message: format!("{path} has changed since, and stays") });
    }
    Ok(Some(earlier.record.base))
}

/// What makes an image of the node another one, besides its plan.
fn inputs(base: &BaseImage, traits: &Traits, materials: &Materials) -> BTreeMap<String, String> {
    let base = match &base.sha256 {
        Some(digest) => digest.clone(),
        // Reading all of a raw image of the user's to tell it from another costs too much.
        None => format!("{}, built {}", traits.os, traits.built),
    };
    let mut all = BTreeMap::from([("base".to_owned(), base)]);
    let parts = [("k3s", materials.k3s.as_ref()), ("firstboot", Some(&materials.firstboot))];
    let bundle = materials.airgap.as_ref().map(|bundle| &bundle.material);
    let debs = materials.packages.iter();
    all.extend(debs.map(|d| (format!("package {}", d.package.name), d.package.sha256.clone())));
    let more = [("airgap", bundle), ("metallb", materials.metallb.as_ref())];
    for (name, material) in parts.into_iter().chain(more) {
        all.extend(material.map(|m| (name.to_owned(), m.sha256.clone())));
    }
    all
}

impl Prepared {
    /// Edits the image, checks it and writes it out.
    ///
    /// # Errors
    /// What the file systems refuse, [`Error::Verification`] where the edited image is not what
    /// it must be, and what writing fails with. No output appears then.
    pub fn bake(mut self, sink: &dyn Sink, cancel: &Cancel) -> Result<Report> {
        emit::preflight(&self.request.out)?;
        sink.emit(Event::Started {
            step: STEP,
            title: format!("Editing {}", self.base.name),
            total: Some(self.recipe.edits.len() as u64),
            unit: Unit::Items,
        });
        let plan = &self.request.plan;
        let grown =
            size::grow(&mut self.opened, plan.root_size, self.recipe.bytes(), &self.traits)?;
        if let Some(grown) = &grown {
            sink.emit(Event::Note { message: grown.to_string() });
        }
        for (_, tree) in self.opened.root_mut()?.trees_mut() {
            tree.set_clock(self.time);
        }
        let root = self.opened.root_mut()?;
        let applied = apply(root, &self.recipe.edits, self.time)?;
        let record = self.record(&applied);
        let root = self.opened.root_mut()?;
        seal(root, &record, &applied)?;
        cancel.check()?;
        let detail = format!("{} files", record.files.len());
        sink.emit(Event::Finished { step: STEP, detail });
        let opened = verify(self.opened, &self.recipe.config, &record, sink)?;
        cancel.check()?;
        let emitted = opened.emit(&self.request.out, sink, cancel)?;
        Ok(Report::new(record, emitted, grown.map(|g| g.len), self.recipe.warnings, self.again))
    }

    fn record(&self, applied: &Applied) -> Record {
        let plan = &self.request.plan;
        Record {
            version: provenance::VERSION,
            tool: concat!("bake ", env!("CARGO_PKG_VERSION")).into(),
            node: provenance::Subject {
                profile: plan.profile.clone(),
                profile_sha256: self.request.profile_sha256.clone(),
                cluster: plan.cluster.name.clone(),
                name: plan.node.name.clone(),
                role: plan.node.role,
                incarnation: plan.node.incarnation,
            },
            base: provenance::Base {
                name: self.base.name.clone(),
                os: self.traits.os.to_string(),
                architecture: self.traits.architecture.name().into(),
                sha256: self.base.sha256.clone(),
            },
            components: materials::components(&self.request, &self.materials),
            time: self.time,
            files: applied.files.clone(),
        }
    }
}

/// Opens what was edited anew, from its blocks, and holds it against what it must be.
fn verify(opened: Opened, config: &NodeConfig, record: &Record, sink: &dyn Sink) -> Result<Opened> {
    const STEP: &str = "check";
    let title = "Checking the edited image".into();
    sink.emit(Event::Started { step: STEP, title, total: None, unit: Unit::Items });
    let opened = opened.recheck()?;
    let root = opened.root()?;
    let wrong = |what: &str, reason: String| Error::Verification { what: what.into(), reason };
    let json = root.read(paths::NODE_CONFIG.as_bytes(), 1 << 20)?.unwrap_or_default();
    match NodeConfig::parse(&json) {
        Ok(read) if read == *config => {}
        Ok(_) => return Err(wrong(paths::NODE_CONFIG, "it reads back as something else".into())),
        Err(error) => return Err(wrong(paths::NODE_CONFIG, error.to_string())),
    }
    let json = root.read(paths::NODE_SECRETS.as_bytes(), 1 << 20)?.unwrap_or_default();
    NodeSecrets::parse(&json).map_err(|e| wrong(paths::NODE_SECRETS, e.to_string()))?;
    if provenance::read(root)?.as_ref() != Some(record) {
        return Err(wrong(paths::RECORD, "it reads back as something else".into()));
    }
    sink.emit(Event::Finished { step: STEP, detail: "sound".into() });
    Ok(opened)
}

/// The name of a host file, for people and records.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
