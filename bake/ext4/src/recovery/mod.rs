//! What the kernel does at a mount after a power cut, done in memory: the journal's transactions
//! are replayed, then orphans meet their end.
//!
//! | module | part |
//! |---|---|
//! | [`replay`] | journal to blocks, and everything that is derived from those read anew |
//! | [`orphans`] | the list of orphans in superblock and inodes |
//! | [`orphan_file`] | the file that replaces that list (feature `orphan_file`) |

mod orphan_file;
mod orphans;
mod replay;
