//! The golden layer: what all nodes of one profile, role and image share.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::node::NodeImage;
use super::size::{self, Grown};
use super::workshop::{Planned, Stock};
use crate::emit::{Emitted, InUse, Spec};
use crate::error::{Error, Result};
use crate::event::{Event, Sink, Unit};
use crate::job::open::{Opened, lock};
use crate::provenance::Record;
use crate::recipe::Scope;
use crate::recipe::apply::{Applied, apply, seal};
use crate::store::{FileSource, Image, SharedImage};
use crate::sys::interrupt::Cancel;

/// Base image and golden layer, checked; never changed any more. Nodes are stacked on top.
///
/// Holds nothing that tells nodes apart, and no secret.
#[derive(Debug)]
pub struct Golden {
    stock: Arc<Stock>,
    digest: String,
    time: i64,
    image: SharedImage,
    used: InUse,
    applied: Applied,
    record: Record,
    grown: Option<Grown>,
    /// Whether the image is a file that outputs can share blocks with.
    settled: bool,
}

/// How much of an image is read again once it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Every file system, whole.
    Whole,
    /// What was written for the node; the rest was checked in the golden layer.
    Own,
    /// Nothing yet: what is stacked on top is checked whole.
    Later,
}

const STEP: &str = "edit";

impl Golden {
    /// Applies what `planned` shares with the other nodes of its role.
    ///
    /// # Errors
    /// What the file systems refuse, and [`Error::Verification`] where the outcome is not sound.
    pub(super) fn bake(
        planned: &Planned,
        check: Check,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Self> {
        let Planned { stock, plan, recipe, shared, time } = planned;
        let base = stock.base();
        sink.emit(Event::Started {
            step: STEP,
            title: format!("Editing {}", base.name),
            total: Some(recipe.of(Scope::Shared).count() as u64),
            unit: Unit::Items,
        });
        let mut opened = base.view()?;
        let grown = size::grow(&mut opened, plan.root_size, recipe.bytes(), &base.traits)?;
        if let Some(grown) = &grown {
            sink.emit(Event::Note { message: grown.to_string() });
        }
        set_clock(&mut opened, *time)?;
        let edits = recipe.of(Scope::Shared);
        let applied = apply(opened.root_mut()?, edits, *time, &Applied::default())?;
        let record = stock.record(planned, &applied, None);
        seal(opened.root_mut()?, &record, &applied)?;
        cancel.check()?;
        let detail = format!("{} files that all nodes of the role share", record.files.len());
        sink.emit(Event::Finished { step: STEP, detail });
        let opened = checked(opened, check, sink)?;
        let used = opened.in_use()?;
        let image = opened.image().clone();
        lock(&image).freeze();
        Ok(Self {
            stock: stock.clone(),
            digest: shared.clone(),
            time: *time,
            image,
            used,
            applied,
            record,
            grown,
            settled: false,
        })
    }

    /// The node on top of this: what it has for itself is applied to a layer of its own.
    ///
    /// # Errors
    /// As [`Golden::bake`]; [`Error::Usage`] for a node that shares other things.
    pub fn node(
        &self,
        planned: Planned,
        check: Check,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<NodeImage> {
        if planned.shared != self.digest || planned.time != self.time {
            let name = &planned.plan.node.name;
            return Err(Error::Usage(format!("{name} shares other files than this golden image")));
        }
        let image = lock(&self.image).fork();
        let mut opened = Opened::new(&self.stock.base().path, Arc::new(Mutex::new(image)))?;
        set_clock(&mut opened, self.time)?;
        NodeImage::bake(self, planned, opened, check, sink, cancel)
    }

    /// The image, to be read or forked.
    #[must_use]
    pub fn image(&self) -> &SharedImage {
        &self.image
    }

    /// Which of its bytes matter.
    #[must_use]
    pub fn used(&self) -> &InUse {
        &self.used
    }

    /// Tells golden layers on one base image apart.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What was baked into it; it names no node.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Writes it as an image of its own, which is no node yet.
    ///
    /// # Errors
    /// What writing fails with; no output appears then.
    pub fn emit(&self, spec: &Spec, sink: &dyn Sink, cancel: &Cancel) -> Result<Emitted> {
        // A fork, so that several can be written at a time.
        let image = lock(&self.image).fork();
        crate::emit::emit(&image, &self.used, spec, sink, cancel)
    }

    /// The same in a file of `folder`, without a name; `None` where blocks cannot be shared
    /// there, or are already.
    pub(super) fn settle(
        &self,
        folder: &Path,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Option<Self>> {
        if self.settled {
            return Ok(None);
        }
        let image = lock(&self.image).fork();
        let Some(file) = crate::emit::scratch(&image, &self.used, folder, sink, cancel)? else {
            return Ok(None);
        };
        let source = FileSource::of_file(file, folder.join("the golden image"))?;
        let image = Arc::new(Mutex::new(Image::new(Arc::new(source))));
        let (stock, digest) = (self.stock.clone(), self.digest.clone());
        let (used, applied, record) =
            (self.used.clone(), self.applied.clone(), self.record.clone());
        let (time, grown, settled) = (self.time, self.grown, true);
        Ok(Some(Self { stock, digest, time, image, used, applied, record, grown, settled }))
    }

    /// A golden layer that was written and read again: all of its image.
    pub(super) fn of_release(
        stock: Arc<Stock>,
        image: SharedImage,
        used: InUse,
        applied: Applied,
        record: Record,
    ) -> Self {
        let (digest, time) = (record.shared.clone(), record.time);
        Self { stock, digest, time, image, used, applied, record, grown: None, settled: false }
    }

    /// What it was made of.
    #[must_use]
    pub fn stock(&self) -> &Arc<Stock> {
        &self.stock
    }

    pub(super) fn applied(&self) -> &Applied {
        &self.applied
    }

    pub(super) fn grown(&self) -> Option<Grown> {
        self.grown
    }
}

fn set_clock(opened: &mut Opened, time: i64) -> Result<()> {
    opened.root_mut()?.trees_mut().for_each(|(_, tree)| tree.set_clock(time));
    Ok(())
}

/// Opens what was edited anew, from its blocks, and has it checked.
pub(super) fn checked(opened: Opened, check: Check, sink: &dyn Sink) -> Result<Opened> {
    const STEP: &str = "check";
    if check != Check::Whole {
        return opened.reopen();
    }
    let title = "Checking the edited image".into();
    sink.emit(Event::Started { step: STEP, title, total: None, unit: Unit::Items });
    let opened = opened.recheck()?;
    sink.emit(Event::Finished { step: STEP, detail: "sound".into() });
    Ok(opened)
}
