//! A file system in memory, for runs too many for files.

use std::io;

use ext4_edit::{Payload, Store};

#[derive(Clone)]
pub struct Memory(pub Vec<u8>);

#[derive(Clone, Debug)]
pub struct Bytes(pub Vec<u8>);

fn range(len: usize, offset: u64, count: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
    let end = start.checked_add(count).filter(|end| *end <= len);
    Ok(start..end.ok_or(io::ErrorKind::UnexpectedEof)?)
}

impl Payload for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.copy_from_slice(&self.0[range(self.0.len(), offset, buf.len())?]);
        Ok(())
    }
}

impl Store for Memory {
    type Payload = Bytes;

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.copy_from_slice(&self.0[range(self.0.len(), offset, buf.len())?]);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let range = range(self.0.len(), offset, data.len())?;
        self.0[range].copy_from_slice(data);
        Ok(())
    }

    fn place(&mut self, offset: u64, payload: &Bytes, from: u64, len: u64) -> io::Result<()> {
        let count = usize::try_from(len).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let source = range(payload.0.len(), from, count)?;
        self.write_at(offset, &payload.0[source])
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let count = usize::try_from(len).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let range = range(self.0.len(), offset, count)?;
        self.0[range].fill(0);
        Ok(())
    }
}
