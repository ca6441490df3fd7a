//! Edits. Each runs inside [`crate::fs::Ext4::edit`], which takes everything back on failure.

mod attributes;
mod create;
mod directory;
mod links;
mod release;
mod rename;

/// Most hard links a file, or subdirectories a directory, can count (`EXT4_LINK_MAX`).
const LINK_MAX: u16 = 65000;
