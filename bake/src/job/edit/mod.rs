//! `bake edit`: a script of operations on the files of an image, all or nothing.

mod apply;
pub mod script;

use self::script::Line;
use super::open::Opened;
use crate::emit::{self, Emitted, Spec};
use crate::error::{Error, Result};
use crate::event::Sink;
use crate::sys::interrupt::Cancel;

/// Applies `script` to the image and writes it as `spec` says; that may be over the image itself.
///
/// # Errors
/// The first operation that fails, with its line; [`Error::Verification`] where a file system is
/// not sound afterwards; what writing fails with. Nothing is written then.
pub fn edit(
    opened: &mut Opened,
    script: &[Line],
    spec: &Spec,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Emitted> {
    emit::preflight(spec)?;
    apply::apply(opened, script)?;
    cancel.check()?;
    opened.root_mut()?.commit()?;
    for (at, tree) in opened.root()?.trees() {
        let complaints = tree.check()?;
        if let Some(first) = complaints.first() {
            return Err(Error::Verification {
                what: format!("the file system at {}", String::from_utf8_lossy(at)),
                reason: format!("{first} ({} complaints in all)", complaints.len()),
            });
        }
    }
    opened.emit(spec, sink, cancel)
}
