//! Consistency of the whole file system, as `e2fsck -fn` judges it, without root and in bounded
//! memory: a bit for each block, two bytes for each inode of groups in use, a few for each
//! directory and shared attribute block.
//!
//! | module | part |
//! |---|---|
//! | [`usage`] | which blocks are in use, and by more than one |
//! | [`inodes`] | every inode in use: its fields, its blocks, its attributes |
//! | [`directories`] | entries, their targets, and the way from every directory to the root |
//! | [`htree`] | order and checksums of indexed directories |
//! | [`resize_inode`] | the reserve of group descriptor blocks |
//! | [`totals`] | bitmaps and counts against what was found |

mod directories;
mod htree;
mod inodes;
mod links;
mod resize_inode;
mod totals;
mod usage;

use std::collections::BTreeMap;
use std::fmt;

use self::directories::Family;
use self::links::Links;
use self::usage::Usage;
use crate::error::{Error, Result};
use crate::fs::Ext4;
use crate::store::Store;

/// Findings kept; a file system with more is beyond listing.
const MOST: usize = 200;

/// One inconsistency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Structure concerned ("inode 12", "group 3").
    pub place: String,
    /// What contradicts what.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl<S: Store> Ext4<S> {
    /// Checks everything, uncommitted edits included; an empty list means sound. At most 200
    /// findings are listed.
    ///
    /// # Errors
    /// The device failed. Corruption is a finding, not an error.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let mut check = Check {
            fs: self,
            findings: Vec::new(),
            usage: Usage::new(self.sb.geometry.blocks),
            links: Links::new(&self.sb.geometry),
            families: BTreeMap::new(),
            shared: BTreeMap::new(),
        };
        check.system_blocks();
        check.inodes()?;
        check.descent();
        check.shared_blocks();
        check.totals()?;
        Ok(check.findings)
    }
}

/// A block of attributes that several inodes may name.
#[derive(Debug, Clone, Copy)]
struct Shared {
    /// `h_refcount`.
    promised: u32,
    found: u32,
}

struct Check<'a, S: Store> {
    fs: &'a Ext4<S>,
    findings: Vec<Finding>,
    usage: Usage,
    links: Links,
    families: BTreeMap<u32, Family>,
    shared: BTreeMap<u64, Shared>,
}

impl<S: Store> Check<'_, S> {
    fn find(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        if self.findings.len() < MOST {
            self.findings.push(Finding { place: place.into(), reason: reason.into() });
        }
    }

    /// Takes corruption and missing features as findings; only the device's failure goes on.
    fn note<T>(&mut self, place: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Io(e)) if e.kind() != std::io::ErrorKind::UnexpectedEof => Err(e.into()),
            Err(Error::Corrupt { place, reason }) => {
                self.find(place, reason);
                Ok(None)
            }
            Err(other) => {
                self.find(place, other.to_string());
                Ok(None)
            }
        }
    }

    /// Counts blocks as in use; blocks in use already are a finding.
    fn mark(&mut self, place: &str, start: u64, len: u64) {
        if let Some(block) = self.usage.mark(start, len) {
            self.find(place, format!("block {block} is in use by something else as well"));
        }
    }

    /// The blocks of the file system's own.
    fn system_blocks(&mut self) {
        let g = self.fs.sb.geometry;
        for (group, desc) in self.fs.groups.iter() {
            let place = format!("group {group}");
            let copies = u64::from(self.fs.super_blocks(group));
            self.mark(&place, g.group_start(group), copies);
            self.mark(&place, desc.block_bitmap, 1);
            self.mark(&place, desc.inode_bitmap, 1);
            self.mark(&place, desc.inode_table, u64::from(g.inode_table_blocks()));
        }
    }

    fn shared_blocks(&mut self) {
        for (block, Shared { promised, found }) in std::mem::take(&mut self.shared) {
            if promised != found {
                let reason = format!("has a reference count of {promised}, found {found}");
                self.find(format!("attribute block {block}"), reason);
            }
        }
    }
}
