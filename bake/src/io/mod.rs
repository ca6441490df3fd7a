//! Streams: digests, decompression, sparse writing, private and encrypted files.

pub mod decompress;
pub mod digest;
pub mod private;
pub mod remove;
pub mod sealed;
pub mod sparse;
pub mod whole;
