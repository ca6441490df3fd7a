//! `bake edit`: a script of operations on the files of an image, all or nothing.

mod apply;
pub mod script;

use self::script::Line;
use super::open::Opened;
use crate::emit::{self, Emitted, Spec};
use crate::error::Result;
use crate::event::Sink;
use crate::sys::interrupt::Cancel;

/// Applies `script` to the image and writes it as `spec` says; that may be over the image itself.
///
/// # Errors
/// The first operation that fails, with its line; [`Verification`](crate::error::Error::Verification) where a file system is
/// not sound afterwards; what writing fails with. Nothing is written then.
pub fn edit(
    mut opened: Opened,
    script: &[Line],
    spec: &Spec,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Emitted> {
    emit::preflight(spec)?;
    apply::apply(&mut opened, script)?;
    cancel.check()?;
    let opened = opened.recheck()?;
    opened.emit(&opened.in_use()?, spec, sink, cancel)
}
