//! Delta files: what turns a golden image into a node's.
//!
//! docs/delta-format.md describes the format, which is ours. A delta names the golden image it is
//! for, and every part of it is covered by a digest: what is cut short, changed, or for another
//! image is found before anything is made of it.

mod header;
pub mod identity;
mod read;
mod write;

pub use header::{Extent, Golden, Header, Subject, VERSION};
pub use read::Delta;
pub use write::write;

#[cfg(test)]
mod tests;
