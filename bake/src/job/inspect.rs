//! `bake inspect`: what an image is, what is in it, and what was baked into it.

use serde::Serialize;

use super::open::{Opened, lock};
use crate::disk::{Kind, Scheme};
use crate::error::Result;
use crate::fs::root::Root;
use crate::provenance::{self, Record};
use crate::store::BlockStore;

/// What is known of an image.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Length in bytes, decompressed.
    pub len: u64,
    /// `mbr`, `gpt` or `none`.
    pub table: &'static str,
    /// Disk signature or GUID.
    pub disk_id: Option<String>,
    /// Partitions in table order.
    pub partitions: Vec<PartitionReport>,
    /// The system's own name (`PRETTY_NAME` of os-release).
    pub system: Option<String>,
    /// What bake recorded in the image, where it baked it.
    pub baked: Option<Record>,
}

/// One partition and its content.
#[derive(Debug, Serialize)]
pub struct PartitionReport {
    /// Number, 0 for a bare file system.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Type as the table gives it.
    pub kind: String,
    /// PARTUUID.
    pub partuuid: Option<String>,
    /// `ext4`, `vfat`, or what could not be read.
    pub content: String,
    /// Volume label.
    pub label: String,
    /// UUID of the file system.
    pub uuid: String,
    /// Bytes free in it.
    pub free: Option<u64>,
    /// Where the system mounts it.
    pub mounted_at: Option<String>,
}

/// Gathers the report.
///
/// # Errors
/// What reading the files of the image fails with; volumes that cannot be read are reported.
pub fn inspect(opened: &Opened) -> Result<Report> {
    let root = opened.root().ok();
    let (table, disk_id) = match opened.table.scheme {
        Scheme::Mbr(signature) => ("mbr", Some(format!("{signature:08x}"))),
        Scheme::Gpt(guid) => ("gpt", Some(guid.to_string())),
        Scheme::Bare => ("none", None),
    };
    let partitions = opened.volumes.iter().map(|volume| {
        let partition = &volume.partition;
        let (content, label, uuid) = match &volume.content {
            Ok(found) => (found.format.to_owned(), found.label.clone(), found.uuid.clone()),
            Err(error) => (error.to_string(), String::new(), String::new()),
        };
        PartitionReport {
            number: partition.number,
            start: partition.start,
            len: partition.len,
            kind: kind(partition.kind),
            partuuid: partition.partuuid.clone(),
            content,
            label,
            uuid,
            free: free(root, volume.mounted_at.as_deref()),
            mounted_at: volume.mounted_at.clone(),
        }
    });
    // Read before the rest: a guard in the same expression would lock out all that reads files.
    let len = lock(opened.image()).len();
    Ok(Report {
        len,
        table,
        disk_id,
        partitions: partitions.collect(),
        system: root.map(system).transpose()?.flatten(),
        baked: root.map(provenance::read).transpose()?.flatten(),
    })
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Mbr(byte) => format!("{byte:#04x}"),
        Kind::Gpt(guid) => guid.to_string(),
        Kind::Whole => "whole".to_owned(),
    }
}

fn free(root: Option<&Root>, at: Option<&str>) -> Option<u64> {
    let at = at?.as_bytes();
    root?.trees().find(|(point, _)| *point == at)?.1.free_bytes().ok()
}

fn system(root: &Root) -> Result<Option<String>> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        if let Some(text) = root.read(path.as_bytes(), 1 << 16)? {
            let text = String::from_utf8_lossy(&text).into_owned();
            let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
            return Ok(name.map(|name| name.trim_matches(['"', '\'']).to_owned()));
        }
    }
    Ok(None)
}
