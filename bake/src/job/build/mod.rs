//! Baking nodes: plans and a base image in, verified images out.
//!
//! A node is made in two phases over stacked layers: what all nodes of its role share
//! ([`Golden`]), and what is its own ([`NodeImage`]). A [`Workshop`] makes each golden layer once.

mod base;
pub(in crate::job) mod cards;
pub mod documents;
mod firstboot;
mod golden;
mod materials;
mod node;
mod pinned;
mod released;
mod report;
mod size;
mod workshop;

use std::path::{Path, PathBuf};

use nodeconf::Role;

use crate::emit::{self, Spec};
use crate::error::Result;
use crate::event::{Event, Sink};
use crate::fetch::Fetcher;
use crate::lock;
use crate::profile::{Claim, ClusterSecrets, NodePlan, SecretsFile};
use crate::sys::interrupt::Cancel;

pub(crate) use base::name_of as base_name;
pub use base::{Base, Fetched};
pub(in crate::job) use cards::warnings;
pub use golden::{Check, Golden};
pub use node::NodeImage;
pub use released::{Release, personalise};
pub use report::Report;
pub use workshop::{Planned, Stock, Workshop};

/// Where what goes into images is taken from, besides the profile.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// SHA-256 of the profile's text.
    pub profile_sha256: Option<String>,
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
    /// The profile's lock.
    pub lock: lock::Use,
    /// Whether SBOMs and attestations are left out.
    pub no_sbom: bool,
}

/// What to bake.
#[derive(Debug, Clone)]
pub struct Request {
    /// The node.
    pub plan: NodePlan,
    /// What it is made of.
    pub sources: Sources,
    /// The output.
    pub out: Spec,
    /// Whether the node's board is replaced, so that it has forgotten what it promised.
    pub replace: bool,
}

/// A node that is planned to the last edit, with nothing changed yet but in memory.
#[derive(Debug)]
pub struct Prepared {
    /// What it gets, and when.
    pub planned: Planned,
    out: Spec,
}

/// Fetches what the node needs, looks at the base image and plans every edit.
///
/// The node's incarnation is claimed in `secrets`; without them it is the plan's.
///
/// # Errors
/// What fetching fails with; [`Error::Unsupported`](crate::error::Error::Unsupported) for an image
/// that is not understood; [`Error::Usage`](crate::error::Error::Usage) where plan and image
/// contradict each other.
pub fn prepare(
    request: Request,
    fetcher: &Fetcher<'_>,
    secrets: Option<&mut SecretsFile>,
    sink: &dyn Sink,
) -> Result<Prepared> {
    let Request { mut plan, sources, out, replace } = request;
    let workshop = Workshop::open(std::slice::from_ref(&plan), &sources, fetcher, sink)?;
    if let Some(secrets) = secrets {
        claim(&mut plan, &workshop, secrets, replace, sink)?;
    }
    let planned = workshop.plan(plan)?;
    for message in planned.recipe.notes.iter().cloned() {
        sink.emit(Event::Note { message });
    }
    for message in planned.recipe.warnings.iter().cloned() {
        sink.emit(Event::Warning { message });
    }
    Ok(Prepared { planned, out })
}

/// Claims the node's incarnation, and says whether the cluster's cards fit together.
fn claim(
    plan: &mut NodePlan,
    workshop: &Workshop,
    secrets: &mut SecretsFile,
    replace: bool,
    sink: &dyn Sink,
) -> Result<()> {
    let inputs = workshop.inputs(plan)?;
    let shape = ClusterSecrets::shape(&plan.cluster, plan.node.role == Role::Server);
    let claim = Claim { node: &plan.node.name, inputs: &inputs, shape: &shape, replace };
    plan.node.incarnation = secrets.claim(&claim)?;
    for message in cards::warnings(plan, secrets.secrets()) {
        sink.emit(Event::Warning { message });
    }
    Ok(())
}

impl Prepared {
    /// Edits the image, checks it and writes it out.
    ///
    /// # Errors
    /// What the file systems refuse, [`Error::Verification`](crate::error::Error::Verification)
    /// where the edited image is not what it must be, and what writing fails with. No output
    /// appears then.
    pub fn bake(self, sink: &dyn Sink, cancel: &Cancel) -> Result<Report> {
        emit::preflight(&self.out)?;
        // Of one node, the whole is checked once.
        let golden = Golden::bake(&self.planned, Check::Later, sink, cancel)?;
        golden.node(self.planned, Check::Whole, sink, cancel)?.emit(&self.out, sink, cancel)
    }
}

/// The name of a host file, for people and records.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
