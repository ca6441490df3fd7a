//! `ext4-edit`: an offline batch editor of ext2, ext3 and ext4 file systems, in safe Rust, over
//! any block store, on any host.
//!
//! [`Ext4::open`] a [`Store`], edit, [`Ext4::commit`]. Nothing reaches the store before the commit
//! and no journal is needed, because whoever commits offline owns the device. The same edits with
//! the same clock ([`Ext4::set_clock`]) give the same bytes.
//!
//! Facts of the format come from the kernel's `Documentation/filesystems/ext4`.
#![forbid(unsafe_code)]

mod alloc;
mod api;
mod bitmap;
mod bytes;
mod check;
mod commit;
mod csum;
mod dir;
mod edit;
mod error;
mod features;
mod fs;
mod group;
mod grow;
mod inode;
mod journal;
mod map;
mod path;
mod read;
mod recovery;
mod store;
mod superblock;
mod types;
mod volume;
mod xattr;

pub use crate::check::Finding;
pub use crate::error::{Error, Result};
pub use crate::fs::Ext4;
pub use crate::store::{FilePayload, FileStore, Payload, Store};
pub use crate::types::{Attributes, Content, Entry, FileKind, Metadata};
