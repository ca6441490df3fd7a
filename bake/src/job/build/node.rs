//! One node on top of a golden layer.

use nodeconf::{NodeConfig, NodeSecrets, paths};

use super::documents;
use super::golden::{Check, Golden, checked};
use super::report::Report;
use super::workshop::Planned;
use crate::emit::{InUse, Spec};
use crate::error::{Error, Result};
use crate::event::{Event, Sink, Unit};
use crate::job::open::Opened;
use crate::provenance::{self, Record};
use crate::recipe::Scope;
use crate::recipe::apply::{apply, seal};
use crate::recipe::booted::begin_anew;
use crate::store::SharedImage;
use crate::sys::interrupt::Cancel;

/// A node's whole image, checked, in layers: nothing of it has been written anywhere yet.
#[derive(Debug)]
pub struct NodeImage {
    opened: Opened,
    used: InUse,
    record: Record,
    warnings: Vec<String>,
    root_grown_to: Option<u64>,
    again: bool,
}

const STEP: &str = "personalise";

impl NodeImage {
    pub(super) fn bake(
        golden: &Golden,
        planned: Planned,
        mut opened: Opened,
        check: Check,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Self> {
        let Planned { plan, recipe, time, .. } = &planned;
        sink.emit(Event::Started {
            step: STEP,
            title: format!("Making it {}", plan.node.name),
            total: Some(recipe.of(Scope::Node).count() as u64),
            unit: Unit::Items,
        });
        let root = opened.root_mut()?;
        begin_anew(root, &plan.cluster.id, &plan.node.name)?;
        let applied = apply(root, recipe.of(Scope::Node), *time, golden.applied())?;
        let record = golden.stock().record(&planned, &applied, Some(&plan.node));
        seal(root, &record, &applied)?;
        cancel.check()?;
        let detail = format!("{} files", record.files.len());
        sink.emit(Event::Finished { step: STEP, detail });
        let opened = checked(opened, check, sink)?;
        reads_back(&opened, &recipe.config, &record)?;
        cancel.check()?;
        Ok(Self {
            used: opened.in_use()?,
            opened,
            record,
            warnings: planned.recipe.warnings,
            root_grown_to: golden.grown().map(|grown| grown.len),
            again: golden.stock().base().again,
        })
    }

    /// An image that is the node already, with its record.
    ///
    /// # Errors
    /// What reading the image fails with.
    pub(super) fn again(opened: Opened, record: Record) -> Result<Self> {
        let (warnings, root_grown_to) = (Vec::new(), None);
        Ok(Self { used: opened.in_use()?, opened, record, warnings, root_grown_to, again: false })
    }

    /// The image, to be read.
    #[must_use]
    pub fn image(&self) -> &SharedImage {
        self.opened.image()
    }

    /// Which of its bytes matter.
    #[must_use]
    pub fn used(&self) -> &InUse {
        &self.used
    }

    /// What was baked into it.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What the user should know.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Writes it.
    ///
    /// # Errors
    /// What writing fails with; no output appears then.
    pub fn emit(&self, spec: &Spec, sink: &dyn Sink, cancel: &Cancel) -> Result<Report> {
        let bills = documents::inside(self.opened.root()?, &self.record)?;
        let tell = |sha256: Option<&str>, image: Option<&str>| {
            let mut files = bills.clone();
            files.push(documents::attestation(&self.record, &spec.path, sha256, image));
            files
        };
        let emitted = self.opened.emit_with(&self.used, spec, &tell, sink, cancel)?;
        let (record, warnings) = (self.record.clone(), self.warnings.clone());
        Ok(Report::new(record, emitted, self.root_grown_to, warnings, self.again))
    }
}

/// Holds what the image says of itself, read from its blocks, against what it must be.
fn reads_back(opened: &Opened, config: &NodeConfig, record: &Record) -> Result<()> {
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
    Ok(())
}
