//! What a bake came to.

use std::path::PathBuf;

use serde::Serialize;

use crate::emit::{Emitted, Method};
use crate::provenance::{Component, Record};

/// What a bake came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The node.
    pub node: String,
    /// Its cluster.
    pub cluster: String,
    /// How often the node's card was made anew, from 1.
    pub incarnation: u32,
    /// The image it was baked on.
    pub base: String,
    /// What that image said it is.
    pub os: String,
    /// SHA-256 of that image, where it is known.
    pub base_sha256: Option<String>,
    /// What that image was verified by; `None` for a file of the user's.
    pub verified: Option<String>,
    /// What came from elsewhere.
    pub components: Vec<Component>,
    /// Files made, changed or removed in the image.
    pub files: usize,
    /// Whether the base had been baked before.
    pub again: bool,
    /// Length of the root partition in bytes, where it was grown.
    pub root_grown_to: Option<u64>,
    /// The output.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Length of the image in bytes.
    pub image_bytes: u64,
    /// Bytes of the image in use.
    pub used_bytes: u64,
    /// SHA-256 of the output.
    pub sha256: Option<String>,
    /// SHA-256 of the image.
    pub image_sha256: Option<String>,
    /// How the output was written: `reflink`, `copy`, `in-place`, `compress`.
    pub method: &'static str,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Report {
    pub(super) fn new(
        record: Record,
        emitted: Emitted,
        root_grown_to: Option<u64>,
        warnings: Vec<String>,
        again: bool,
    ) -> Self {
        Self {
            node: record.node.name.unwrap_or_default(),
            cluster: record.node.cluster,
            incarnation: record.node.incarnation.unwrap_or_default(),
            base: record.base.name,
            os: record.base.os,
            base_sha256: record.base.sha256,
            verified: record.base.verified,
            components: record.components,
            files: record.files.len(),
            again,
            root_grown_to,
            path: emitted.path,
            bytes: emitted.bytes,
            image_bytes: emitted.image_bytes,
            used_bytes: emitted.used_bytes,
            sha256: emitted.sha256,
            image_sha256: emitted.image_sha256,
            method: match emitted.method {
                Method::Reflink => "reflink",
                Method::Copy => "copy",
                Method::InPlace => "in-place",
                Method::Compress => "compress",
            },
            warnings,
        }
    }
}
