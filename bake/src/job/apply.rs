//! `bake apply`: a golden image and a delta make a node's image.

use std::path::Path;
use std::sync::Arc;

use crate::delta::Delta;
use crate::emit::{self, Emitted, Spec, in_place};
use crate::error::Result;
use crate::event::{Event, Sink, Unit};
use crate::fetch::Fetcher;
use crate::store::{FileSource, ReadAt};
use crate::sys::interrupt::Cancel;

/// Writes the node's image, once delta and golden image are what they must be.
///
/// # Errors
/// [`crate::error::Error::Verification`] where either is not, [`crate::error::Error::Refused`] for a
/// golden image that a run which was ended was changing, and what writing fails with; no output
/// appears then.
pub fn apply(
    golden: &Path,
    delta: &Delta,
    out: &Spec,
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Emitted> {
    const STEP: &str = "check";
    emit::preflight(out)?;
    in_place::settled(golden)?;
    let base = fetcher.local_base(golden, None)?;
    let source: Arc<dyn ReadAt> = Arc::new(FileSource::of_file(base.file, &base.path)?);
    let title = format!("Checking {}", golden.display());
    sink.emit(Event::Started { step: STEP, title, total: None, unit: Unit::Bytes });
    delta.check(&*source, golden, cancel)?;
    sink.emit(Event::Finished { step: STEP, detail: "the delta is for this image".into() });
    let (image, used) = delta.onto(source)?;
    emit::emit(&image, &used, out, sink, cancel)
}
