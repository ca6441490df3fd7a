//! Streams: digests, decompression, sparse writing.

pub mod decompress;
pub mod digest;
pub mod sparse;
