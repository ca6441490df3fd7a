//! Oracle tests: what `ext4-edit` does to generated file systems, judged by e2fsck and by the
//! kernel, never by our own reader alone.
//!
//! Needs root, loop devices and e2fsprogs. Images are generated once and kept (`cache`); seeds of
//! failing scripts are printed and can be run again with `EXT4_EDIT_SEED`.

mod apply;
mod cache;
mod damage;
mod exercise;
mod generate;
mod host;
mod judge;
mod kinds;
mod memory;
mod populate;
mod rng;
mod scan;
mod script;
mod tree;

mod generated;
mod growth;
mod hostile;
mod phases;
mod random;
mod verdicts;
