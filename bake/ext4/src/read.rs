//! Reading files, links and directories.

use crate::error::{Error, Result, corrupt, show};
use crate::fs::Ext4;
use crate::inode::{Inode, S_IFMT, Stamp};
use crate::store::Store;
use crate::types::{Attributes, Entry, FileKind, Metadata};

/// Longest target of a symbolic link kept in the inode, plus one.
pub(crate) const FAST_SYMLINK: usize = 60;

/// Kind of a mode.
pub(crate) fn kind(number: u32, inode: &Inode) -> Result<FileKind> {
    Ok(match inode.mode() & S_IFMT {
        0o100_000 => FileKind::File,
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Symlink,
        0o020_000 => FileKind::CharDevice,
        0o060_000 => FileKind::BlockDevice,
        0o010_000 => FileKind::Fifo,
        0o140_000 => FileKind::Socket,
        _ => return Err(corrupt(format!("inode {number}"), "is of no known kind")),
    })
}

impl<S: Store> Ext4<S> {
    pub(crate) fn describe(&self, number: u32) -> Result<Metadata> {
        let inode = self.live_inode(number)?;
        let kind = kind(number, &inode)?;
        let has_size = matches!(kind, FileKind::File | FileKind::Directory | FileKind::Symlink);
        Ok(Metadata {
            kind,
            size: if has_size { inode.size() } else { 0 },
            attributes: Attributes {
                mode: inode.mode() & 0o7777,
                uid: inode.uid(),
                gid: inode.gid(),
                mtime: inode.time(Stamp::Modify),
            },
            links: u32::from(inode.links()),
            inode: number,
            atime: inode.time(Stamp::Access),
            ctime: inode.time(Stamp::Change),
            allocated: inode
                .blocks(self.volume.block_size())
                .saturating_mul(self.volume.block_size() as u64),
        })
    }

    pub(crate) fn list(&self, path: &[u8]) -> Result<Vec<Entry>> {
        let number = self.resolve(path)?;
        let inode = self.live_inode(number)?;
        if !inode.is_dir() {
            return Err(Error::NotADirectory { path: show(path) });
        }
        let dir = crate::dir::Dir { number, inode };
        let mut names = Vec::new();
        self.each_entry(&dir, |inode, file_type, name| {
            names.push((name.to_vec(), file_type, inode));
            true
        })?;
        names.sort_unstable();
        let entry = |(name, file_type, inode)| {
            let kind = match file_type {
                1 => FileKind::File,
                2 => FileKind::Directory,
                3 => FileKind::CharDevice,
                4 => FileKind::BlockDevice,
                5 => FileKind::Fifo,
                6 => FileKind::Socket,
                7 => FileKind::Symlink,
                _ => kind(inode, &self.live_inode(inode)?)?,
            };
            Ok(Entry { name, kind, inode })
        };
        names.into_iter().map(entry).collect()
    }

    /// Reads content of a file or of a long link.
    pub(crate) fn read_content(
        &self,
        number: u32,
        inode: &Inode,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize> {
        let left = inode.size().saturating_sub(offset);
        let want = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let bs = self.volume.block_size() as u64;
        let mut done = 0;
        while done < want {
            let at = offset + done as u64;
            let logical = u32::try_from(at / bs)
                .map_err(|_| corrupt(format!("inode {number}"), "is larger than possible"))?;
            let found = self.find_block(number, inode, logical)?;
            let room = (u64::from(found.len) * bs - at % bs).min((want - done) as u64);
            let part = &mut buf[done..done + usize::try_from(room).unwrap_or(0)];
            match found.start {
                Some(start) => self.volume.read_data(start * bs + at % bs, part)?,
                None => part.fill(0),
            }
            done += part.len();
        }
        Ok(want)
    }

    pub(crate) fn link_target(&self, number: u32, inode: &Inode) -> Result<Vec<u8>> {
        let wrong = || corrupt(format!("inode {number}"), "impossible length of a link target");
        let size = usize::try_from(inode.size()).map_err(|_| wrong())?;
        if self.is_fast_symlink(inode) {
            if size >= FAST_SYMLINK {
                return Err(wrong());
            }
            return Ok(inode.block_area()[..size].to_vec());
        }
        if size > self.volume.block_size() {
            return Err(wrong());
        }
        let mut target = vec![0; size];
        self.read_content(number, inode, 0, &mut target)?;
        Ok(target)
    }

    /// Whether the target is in the inode itself.
    pub(crate) fn is_fast_symlink(&self, inode: &Inode) -> bool {
        inode.is_fast_symlink(self.volume.block_size() as u64 / 512)
    }

    /// Whether `i_block` maps blocks.
    pub(crate) fn maps_blocks(&self, inode: &Inode) -> bool {
        inode.has_map(self.volume.block_size() as u64 / 512)
    }
}
