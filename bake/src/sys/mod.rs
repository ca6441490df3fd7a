//! What only the operating system can do, behind safe functions with a fallback everywhere.

pub mod aligned;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod file;
pub mod interrupt;
pub mod lease;
pub mod memory;
