//! Reading one file of an image as a stream.

use std::io::{self, Read};

use super::{lossy, missing};
use crate::error::Result;
use crate::fs::FileTree;

/// Reads a regular file of an image from its start.
#[derive(Clone)]
pub struct Reader<'r> {
    tree: &'r dyn FileTree,
    path: Vec<u8>,
    offset: u64,
    size: u64,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("path", &lossy(&self.path)).finish_non_exhaustive()
    }
}

impl<'r> Reader<'r> {
    /// Over the regular file at the literal `path` of `tree`, `size` bytes long.
    pub(super) fn new(tree: &'r dyn FileTree, path: Vec<u8>, size: u64) -> Self {
        Self { tree, path, offset: 0, size }
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of it.
    pub(super) fn into_vec(mut self) -> Result<Vec<u8>> {
        let length = usize::try_from(self.size).map_err(|_| missing(&self.path))?;
        let mut content = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.tree.read_at(&self.path, self.offset, &mut content[filled..])? {
                0 => break,
                n => {
                    filled += n;
                    self.offset += n as u64;
                }
            }
        }
        content.truncate(filled);
        Ok(content)
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.tree.read_at(&self.path, self.offset, buf).map_err(io::Error::other)?;
        self.offset += n as u64;
        Ok(n)
    }
}
