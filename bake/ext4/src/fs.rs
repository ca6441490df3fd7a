//! The open file system: its parts, opening, and the frame every edit runs in.

use std::cell::OnceCell;
use std::fmt;

use crate::error::{Result, corrupt};
use crate::features::compat;
use crate::group::Groups;
use crate::store::Store;
use crate::superblock::{self, Superblock};
use crate::volume::Volume;

/// An ext2, ext3 or ext4 file system being edited offline.
///
/// All changes stay in memory, new content as references to where it comes from, until
/// [`Ext4::commit`]. An edit that fails leaves everything as it was before that edit.
///
/// We edit as root and offline: blocks reserved for root may be used, permissions and the
/// immutable and append-only flags bind nobody.
pub struct Ext4<S: Store> {
    pub(crate) volume: Volume<S>,
    pub(crate) sb: Superblock,
    pub(crate) groups: Groups,
    /// Seed of all CRC-32C sums.
    pub(crate) seed: u32,
    /// Time given to directories that change, seconds since the epoch.
    pub(crate) clock: i64,
    /// Longest free run of each group where it is known.
    pub(crate) longest: Vec<Option<u32>>,
    /// Blocks no file can have, once somebody asked.
    pub(crate) zone: OnceCell<Vec<(u64, u64)>>,
    /// The superblock before the current edit, and since the last commit.
    before: Superblock,
    pub(crate) committed: Superblock,
}

impl<S: Store> Ext4<S> {
    /// Opens the file system that begins at the first byte of `store`. A journal that needs
    /// recovery is replayed and orphaned inodes are released, in memory: [`Ext4::commit`] makes
    /// both permanent.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] with every feature that is lacking, or
    /// [`crate::Error::Corrupt`].
    pub fn open(store: S) -> Result<Self> {
        let mut raw = [0; superblock::SIZE];
        if store.len() < superblock::OFFSET + raw.len() as u64 {
            return Err(corrupt("superblock", "the device is too short to hold one"));
        }
        store.read_at(superblock::OFFSET, &mut raw)?;
        let sb = Superblock::parse(&raw, store.len())?;
        let volume = Volume::new(store, &sb.geometry);
        let fs = Self::assemble(volume, sb)?;
        fs.require_clean()?;
        let mut fs = fs.replay_journal()?;
        fs.recount();
        fs.end_orphans()?;
        fs.accept();
        Ok(fs)
    }

    /// Builds everything that is derived from superblock and descriptor table, as they are in
    /// `volume` now.
    pub(crate) fn assemble(volume: Volume<S>, sb: Superblock) -> Result<Self> {
        let g = sb.geometry;
        let mut table = Vec::new();
        for n in 0..u64::from(g.gdt_blocks()) {
            table.extend_from_slice(&volume.read(u64::from(g.first_data_block) + 1 + n)?);
        }
        let groups = Groups::parse(&table, &sb)?;
        Ok(Self {
            volume,
            groups,
            seed: sb.csum_seed(),
            clock: sb.write_time(),
            longest: vec![None; g.groups as usize],
            zone: OnceCell::new(),
            before: sb.clone(),
            committed: sb.clone(),
            sb,
        })
    }

    /// Refuses what only `e2fsck` can put right.
    fn require_clean(&self) -> Result<()> {
        let state = self.sb.state();
        if state & superblock::STATE_ERROR != 0 {
            return Err(corrupt("superblock", "the kernel recorded errors: run e2fsck first"));
        }
        let journal = self.sb.has_compat(compat::HAS_JOURNAL);
        if state & superblock::STATE_VALID == 0 && !journal {
            return Err(corrupt("superblock", "not cleanly unmounted: run e2fsck first"));
        }
        Ok(())
    }

    /// Runs one edit: on failure everything is as before it.
    pub(crate) fn edit<T>(&mut self, edit: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.accept();
        let done = edit(self);
        match done {
            Ok(_) => self.accept(),
            Err(_) => self.rollback(),
        }
        done
    }

    pub(crate) fn accept(&mut self) {
        self.volume.accept();
        self.groups.accept();
        self.before = self.sb.clone();
    }

    fn rollback(&mut self) {
        self.volume.rollback();
        self.sb = self.before.clone();
        for group in self.groups.rollback(self.sb.geometry.groups) {
            if let Some(longest) = self.longest.get_mut(group as usize) {
                *longest = None;
            }
        }
        self.longest.truncate(self.sb.geometry.groups as usize);
        self.zone.take();
        self.volume.set_blocks(self.sb.geometry.blocks);
    }
}

impl<S: Store> fmt::Debug for Ext4<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ext4")
            .field("geometry", &self.sb.geometry)
            .field("features", &self.sb.features())
            .finish_non_exhaustive()
    }
}
