//! Oracle tests: what `ext4-edit` does to generated file systems, judged by e2fsck and by the
//! kernel, never by our own reader alone.
//!
//! Needs root, loop devices and e2fsprogs. Images are generated once and kept (`cache`); seeds of
//! failing scripts are printed and can be run again with `EXT4_EDIT_SEED`.

mod cache;
mod damage;
mod host;
mod judge;
mod kinds;
mod populate;
mod rng;
mod scan;
mod tree;

mod generated;
