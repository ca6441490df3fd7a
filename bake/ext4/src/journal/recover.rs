//! The three passes of recovery: find the end of the log, collect revocations, collect copies.

use std::collections::BTreeMap;

use super::ReadBlock;
use super::block::{BlockType, classify, tail_matches};
use super::commit::{closes, crc32_be, time};
use super::revoke::{Revocations, after};
use super::superblock::{Checksums, JournalSuperblock, LEN};
use super::tags::{Tag, tags};
use crate::bytes::{le16, le32};
use crate::error::{Result, corrupt, unsupported};

/// Where the newest copy of a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    /// Block of the journal, counted from its start.
    pub(crate) block: u32,
    /// The copy's first four bytes must be the journal's magic number, not the zeros found.
    pub(crate) escaped: bool,
}

/// What recovery comes to; nothing has been written.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// Block of the file system to the copy it must take on.
    pub(crate) copies: BTreeMap<u64, Source>,
    /// The journal's first 1,024 bytes once it is empty.
    pub(crate) superblock: Vec<u8>,
    /// Whether the log held anything at all, be it an incomplete transaction.
    pub(crate) dirty: bool,
}

/// Reads the log of a journal of `blocks` blocks whose blocks are `block_size` bytes.
///
/// # Errors
/// `Corrupt` where the log is damaged before its end, `Unsupported` for journal features and
/// fast commits that await replay.
pub(crate) fn recover(block_size: u32, blocks: u32, read: &ReadBlock<'_>) -> Result<Recovery> {
    let mut first = vec![0; block_size as usize];
    read(0, &mut first)?;
    debug_assert!(first.len() >= LEN);
    let journal = JournalSuperblock::parse(&first, block_size, blocks)?;
    let log = Log { journal: &journal, read };
    if journal.start == 0 {
        log.refuse_fast_commits(journal.sequence)?;
        let superblock = journal.emptied(journal.sequence);
        return Ok(Recovery { copies: BTreeMap::new(), superblock, dirty: false });
    }
    let end = log.find_end()?;
    log.refuse_fast_commits(end)?;
    let mut revocations = Revocations::default();
    log.walk(end, &mut |block| match block {
        Item::Revocation(bytes, sequence) => revocations.add(&journal, bytes, sequence),
        Item::Copy { .. } => Ok(()),
    })?;
    let mut copies = BTreeMap::new();
    let mut data = vec![0; block_size as usize];
    log.walk(end, &mut |item| {
        let Item::Copy { tag, block, sequence } = item else { return Ok(()) };
        if revocations.cover(tag.block, sequence) {
            return Ok(());
        }
        read(block, &mut data)?;
        if !tag.matches(&journal, sequence, &data) {
            let reason = format!("copy of block {} does not match its checksum", tag.block);
            return Err(corrupt(format!("journal transaction {sequence}"), reason));
        }
        copies.insert(tag.block, Source { block, escaped: tag.escaped });
        Ok(())
    })?;
    let superblock = journal.emptied(end.wrapping_add(1));
    Ok(Recovery { copies, superblock, dirty: true })
}

/// What a pass comes across.
enum Item<'a> {
    Revocation(&'a [u8], u32),
    Copy { tag: Tag, block: u32, sequence: u32 },
}

struct Log<'a> {
    journal: &'a JournalSuperblock,
    read: &'a ReadBlock<'a>,
}

/// A place in the log, which is a ring.
struct Cursor {
    next: u32,
    first: u32,
    end: u32,
    left: u32,
}

impl Cursor {
    fn new(journal: &JournalSuperblock) -> Self {
        let (first, end) = (journal.first, journal.end);
        Self { next: journal.start, first, end, left: end - first }
    }

    /// The next block of the log; `None` once all have been passed.
    fn step(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let block = self.next;
        self.next = if block + 1 >= self.end { self.first } else { block + 1 };
        Some(block)
    }
}

impl Log<'_> {
    /// The transaction after the last complete one.
    fn find_end(&self) -> Result<u32> {
        let journal = self.journal;
        let mut cursor = Cursor::new(journal);
        let mut sequence = journal.sequence;
        let mut last_time = 0;
        let mut sum = !0;
        // A block that fails its checksum may be a leftover of an older use of the log: the time
        // of its commit block tells.
        let mut suspect = false;
        let mut block = vec![0; journal.block_size as usize];
        while let Some(number) = cursor.step() {
            (self.read)(number, &mut block)?;
            match classify(&block, sequence) {
                None => break,
                Some(BlockType::Revocation) => suspect |= !tail_matches(journal, &block),
                Some(BlockType::Descriptor) => {
                    suspect |= !tail_matches(journal, &block);
                    if !self.pass_copies(&block, &mut cursor, &mut sum)? {
                        break;
                    }
                }
                Some(BlockType::Commit) => {
                    let now = time(&block);
                    let whole = !suspect && closes(journal, &block, sum);
                    if !whole && (now < last_time || (journal.async_commit && !suspect)) {
                        break;
                    }
                    if !whole {
                        let place = format!("journal transaction {sequence}");
                        return Err(corrupt(place, "checksum does not match"));
                    }
                    last_time = now;
                    sum = !0;
                    sequence = sequence.wrapping_add(1);
                }
            }
        }
        Ok(sequence)
    }

    /// Passes the copies of a descriptor, summing them where the commit block has their sum;
    /// false where the log is too short for them.
    fn pass_copies(&self, descriptor: &[u8], cursor: &mut Cursor, sum: &mut u32) -> Result<bool> {
        let summed = self.journal.checksums == Checksums::Transaction;
        if summed {
            *sum = crc32_be(*sum, descriptor);
        }
        let mut copy = vec![0; if summed { descriptor.len() } else { 0 }];
        for _ in tags(self.journal, descriptor) {
            let Some(number) = cursor.step() else { return Ok(false) };
            if summed {
                (self.read)(number, &mut copy)?;
                *sum = crc32_be(*sum, &copy);
            }
        }
        Ok(true)
    }

    /// Shows every revocation and copy of the complete transactions, in order.
    fn walk(&self, end: u32, visit: &mut dyn FnMut(Item<'_>) -> Result<()>) -> Result<()> {
        let mut cursor = Cursor::new(self.journal);
        let mut sequence = self.journal.sequence;
        let mut block = vec![0; self.journal.block_size as usize];
        while after(end, sequence) {
            let Some(number) = cursor.step() else { break };
            (self.read)(number, &mut block)?;
            match classify(&block, sequence) {
                None => break,
                Some(BlockType::Commit) => sequence = sequence.wrapping_add(1),
                Some(BlockType::Revocation) => visit(Item::Revocation(&block, sequence))?,
                Some(BlockType::Descriptor) => {
                    for tag in tags(self.journal, &block) {
                        let Some(block) = cursor.step() else { return Ok(()) };
                        visit(Item::Copy { tag, block, sequence })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Fast commits of transaction `sequence` are changes we cannot replay (kernel: `fs/ext4/
    /// fast_commit.h`): their area would begin with a head (tag 9) of that transaction.
    fn refuse_fast_commits(&self, sequence: u32) -> Result<()> {
        if !self.journal.fast_commit {
            return Ok(());
        }
        let mut block = vec![0; self.journal.block_size as usize];
        (self.read)(self.journal.end, &mut block)?;
        if le16(&block, 0) == 9 && le32(&block, 8) == sequence {
            return Err(unsupported(
                "fast_commit (changes await replay: mount the file system once, or run e2fsck)",
            ));
        }
        Ok(())
    }
}
