//! The journal: JBD2 recovery, planned without writing (kernel documentation, ext4 "Journal
//! (jbd2)"; `fs/jbd2/recovery.c` for what counts as the end of the log).
//!
//! | module | structure |
//! |---|---|
//! | [`superblock`] | block 0 of the journal |
//! | [`block`] | header and checksum tail of every other block |
//! | [`tags`] | descriptor block: where the blocks that follow it belong |
//! | [`revoke`] | revocation block: what must not be replayed |
//! | [`commit`] | commit block: the transaction is whole |
//! | [`recover`] | the three passes over the log |

mod block;
mod commit;
mod recover;
mod revoke;
mod superblock;
mod tags;

pub(crate) use block::JOURNAL_MAGIC;
pub(crate) use recover::recover;

/// Reads one block of the journal, counted from its start, into a buffer of a block.
pub(crate) type ReadBlock<'a> = dyn Fn(u32, &mut [u8]) -> crate::error::Result<()> + 'a;
