//! Streams: digests, decompression, sparse writing, private files.

pub mod decompress;
pub mod digest;
pub mod private;
pub mod sparse;
