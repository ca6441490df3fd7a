//! What the nodes of a profile are baked from, gathered once, and their golden layers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nodeconf::{Node, Role};

use super::base::Base;
use super::golden::{Check, Golden};
use super::{Sources, materials, pinned};
use crate::error::{Error, Result};
use crate::event::Sink;
use crate::fetch::Fetcher;
use crate::fs::root::Root;
use crate::job::clock;
use crate::lock::Locked;
use crate::packages;
use crate::profile::NodePlan;
use crate::provenance::sbom::{Contents, Sbom};
use crate::provenance::{self, Component, Record};
use crate::recipe::apply::Applied;
use crate::recipe::{self, Edit, Materials, Recipe};
use crate::sys::interrupt::Cancel;

/// A base image with what the roles of a profile need, and the golden layers made of them so far.
///
/// Many threads may bake nodes in it at a time.
#[derive(Debug)]
pub struct Workshop {
    base: Arc<Base>,
    locked: Option<Arc<Locked>>,
    stocks: Vec<(Role, Arc<Stock>)>,
    /// Time of what is made, where that is fixed by what was made before.
    time: Option<i64>,
    goldens: Mutex<BTreeMap<(String, i64), Arc<Golden>>>,
}

/// Everything that nodes of one role are made of.
#[derive(Debug)]
pub struct Stock {
    base: Arc<Base>,
    materials: Materials,
    components: Vec<Component>,
    profile_sha256: Option<String>,
    lock_sha256: Option<String>,
    /// What puts the bills of materials into an image.
    bills: Vec<Edit>,
}

/// A node that is planned to the last edit.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The node.
    pub plan: NodePlan,
    /// What it gets.
    pub recipe: Recipe,
    /// [`Recipe::shared_digest`]: tells golden layers apart.
    pub shared: String,
    /// Time of everything that is made, seconds since 1970-01-01 UTC.
    pub time: i64,
    pub(super) stock: Arc<Stock>,
}

impl Workshop {
    /// Fetches the base image and what the roles of these nodes of one profile need.
    ///
    /// # Errors
    /// What fetching fails with; [`Error::Verification`] for what is not as the lock pins it,
    /// [`Error::Unsupported`] for an image that is not understood, [`Error::Refused`] for one that is another node's already.
    pub fn open(
        plans: &[NodePlan],
        sources: &Sources,
        fetcher: &Fetcher<'_>,
        sink: &dyn Sink,
    ) -> Result<Self> {
        let Some(first) = plans.first() else {
            return Err(Error::Usage("no node is to be baked".into()));
        };
        let locked = sources.lock.read()?.map(Arc::new);
        if let Some(locked) = &locked {
            locked.of_profile(&first.profile)?;
        }
        let base = Arc::new(Base::open(&first.image, locked.as_deref(), fetcher, sink)?);
        base.admit(plans, sink)?;
        let mut stocks: Vec<(Role, Arc<Stock>)> = Vec::new();
        for plan in plans {
            if stocks.iter().any(|(role, _)| *role == plan.node.role) {
                continue;
            }
            let view = base.view()?;
            let arch = base.traits.architecture;
            let materials = match &locked {
                Some(locked) => pinned::gather(plan, sources, locked, view.root()?, arch, fetcher)?,
                None => materials::gather(plan, sources, view.root()?, arch, fetcher, sink)?,
            };
            let distribution = &base.traits.os.id;
            let components = materials::components(plan, sources, &materials, distribution)?;
            let mut stock = Stock::new(base.clone(), materials, components, sources);
            stock.lock_sha256 = locked.as_ref().map(|locked| locked.sha256().to_string());
            if !sources.no_sbom {
                let time = time_of(plan, &base, locked.as_deref())?;
                stock.bills = recipe::sbom_edits(stock.bill(plan, view.root()?, time)?);
            }
            stocks.push((plan.node.role, Arc::new(stock)));
        }
        Ok(Self { base, locked, stocks, time: None, goldens: Mutex::default() })
    }

    /// A workshop for a role whose golden layer there is already.
    pub(super) fn of_release(role: Role, golden: Arc<Golden>) -> Self {
        let stock = golden.stock().clone();
        let time = golden.record().time;
        let (base, stocks) = (stock.base.clone(), vec![(role, stock)]);
        let goldens = Mutex::new([((golden.digest().to_owned(), time), golden)].into());
        Self { base, locked: None, stocks, time: Some(time), goldens }
    }

    /// The base image.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The lock that pins all of this.
    #[must_use]
    pub fn locked(&self) -> Option<&Locked> {
        self.locked.as_deref()
    }

    /// A digest of all that makes an image of the node another one.
    ///
    /// # Errors
    /// [`Error::Io`] where a file of the profile's cannot be read.
    pub fn inputs(&self, plan: &NodePlan) -> Result<String> {
        let Stock { materials, components, .. } = &**self.stock(plan)?;
        let files = materials.host_files.iter();
        let known = files.map(|(path, file)| (path.clone(), file.sha256.clone())).collect();
        plan.inputs_digest_with(&known, &materials::inputs(&self.base, components, &materials.pins))
    }

    /// Plans every edit of a node, among those the workshop was opened for.
    ///
    /// # Errors
    /// [`Error::Usage`] where plan and image contradict each other.
    pub fn plan(&self, plan: NodePlan) -> Result<Planned> {
        let stock = self.stock(&plan)?.clone();
        let time = match self.time {
            Some(time) => time,
            None => time_of(&plan, &self.base, self.locked.as_deref())?,
        };
        let mut recipe = recipe::recipe(&self.base.traits, &plan, &stock.materials, time)?;
        if let Some(locked) = &self.locked {
            pinned::container_images(locked, &stock.materials.pins, &recipe.edits)?;
        }
        recipe.edits.extend(stock.bills.iter().cloned());
        let shared = recipe.shared_digest();
        Ok(Planned { plan, recipe, shared, time, stock })
    }

    /// The golden layer below the node, made on first use.
    ///
    /// # Errors
    /// What the file systems refuse, and [`Error::Verification`] where the outcome is not sound.
    pub fn golden(
        &self,
        planned: &Planned,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Arc<Golden>> {
        // Held while it is made: who else needs it must wait for it anyway.
        let mut goldens = self.goldens.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (planned.shared.clone(), planned.time);
        if let Some(golden) = goldens.get(&key) {
            return Ok(golden.clone());
        }
        let golden = Arc::new(Golden::bake(planned, Check::Whole, sink, cancel)?);
        goldens.insert(key, golden.clone());
        Ok(golden)
    }

    /// What the nodes of a plan's role are made of.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a role the workshop was not opened for.
    pub fn materials(&self, plan: &NodePlan) -> Result<&Materials> {
        self.stock(plan).map(|stock| &stock.materials)
    }

    /// Puts the golden layer below the node into a file without a name in `folder`, where outputs
    /// can share its blocks: each then costs only what is its own.
    ///
    /// # Errors
    /// As [`Workshop::golden`], and what writing fails with.
    pub fn settle(
        &self,
        planned: &Planned,
        folder: &Path,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<()> {
        let golden = self.golden(planned, sink, cancel)?;
        if let Some(settled) = golden.settle(folder, sink, cancel)? {
            let mut goldens = self.goldens.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (planned.shared.clone(), planned.time);
            goldens.insert(key, Arc::new(settled));
        }
        Ok(())
    }

    fn stock(&self, plan: &NodePlan) -> Result<&Arc<Stock>> {
        let found = self.stocks.iter().find(|(role, _)| *role == plan.node.role);
        let missing = || Error::NotFound { what: "node", name: plan.node.name.clone() };
        found.map(|(_, stock)| stock).ok_or_else(missing)
    }
}

/// The time of everything that is made for the node.
fn time_of(plan: &NodePlan, base: &Base, locked: Option<&Locked>) -> Result<i64> {
    let newest = i64::try_from(plan.newest_input).unwrap_or(0);
    Ok(match (locked, clock::fixed()?) {
        (Some(locked), _) => locked.lock().time,
        (None, Some(fixed)) => fixed,
        (None, None) => base.traits.built.max(newest),
    })
}

impl Stock {
    /// What nodes are made of, without a bill of it.
    pub(super) fn new(
        base: Arc<Base>,
        materials: Materials,
        components: Vec<Component>,
        sources: &Sources,
    ) -> Self {
        let profile_sha256 = sources.profile_sha256.clone();
        Self { base, materials, components, profile_sha256, lock_sha256: None, bills: Vec::new() }
    }

    /// The same with the bill and the lock that there were already.
    pub(super) fn into_released(self, sbom: Option<Sbom>, record: &Record) -> Self {
        let bills = sbom.map(recipe::sbom_edits).unwrap_or_default();
        Self { bills, lock_sha256: record.node.lock_sha256.clone(), ..self }
    }

    /// The bill of an image of the role.
    fn bill(&self, plan: &NodePlan, root: &Root, time: i64) -> Result<Sbom> {
        let base = self.base.recorded();
        let name =
            format!("{}-{}-{}", plan.profile, provenance::role(plan.node.role), base.architecture);
        Ok(Sbom::new(&Contents {
            name: &name,
            tool: provenance::TOOL,
            base: &base,
            distribution: &self.base.traits.os.id,
            components: &self.components,
            installed: &packages::inventory(root)?,
            time,
        }))
    }

    /// The base image.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The record of an image that is `node`, or golden.
    pub(super) fn record(
        &self,
        planned: &Planned,
        applied: &Applied,
        node: Option<&Node>,
    ) -> Record {
        let Planned { plan, shared, time, .. } = planned;
        Record {
            version: provenance::VERSION,
            tool: provenance::TOOL.into(),
            node: provenance::Subject {
                profile: plan.profile.clone(),
                // What nodes share does not change with what the profile says of one of them.
                profile_sha256: node.and(self.profile_sha256.clone()),
                lock_sha256: self.lock_sha256.clone(),
                cluster: plan.cluster.name.clone(),
                name: node.map(|node| node.name.clone()),
                role: plan.node.role,
                incarnation: node.map(|node| node.incarnation),
            },
            base: self.base.recorded(),
            components: self.components.clone(),
            packages: self.materials.packages.iter().map(|deb| deb.package.clone()).collect(),
            container_images: self.materials.pins.digests().clone(),
            shared: shared.clone(),
            time: *time,
            files: applied.files.clone(),
        }
    }
}
