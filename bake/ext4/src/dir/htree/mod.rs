//! Indexed directories: a tree of hash ranges over leaves that are ordinary directory blocks
//! (kernel documentation, ext4 "Hash Tree Directories").

mod insert;
mod make;
pub(crate) mod node;
mod probe;
