//! What only the operating system can do, behind safe functions with a fallback everywhere.

pub mod file;
pub mod interrupt;
