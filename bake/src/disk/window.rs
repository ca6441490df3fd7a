//! A partition as a store of its own.

use super::Partition;
use crate::error::{Error, Result};
use crate::store::{SharedImage, Window};

/// The window of `image` that `partition` covers.
///
/// # Errors
/// [`Error::Corrupt`] where the partition leaves the image.
pub fn open_window(image: &SharedImage, partition: &Partition) -> Result<Window> {
    Window::new(image.clone(), partition.start, partition.len).map_err(|e| Error::Corrupt {
        what: format!("partition {} (byte {})", partition.number, partition.start),
        reason: e.to_string(),
    })
}
