//! Writing an image without its zeros: what is all zero stays a hole in the file.

use std::fs::File;
use std::io;

use crate::sys::file;

/// Granularity of holes in bytes: the block size of every common host file system.
const BLOCK: usize = 4096;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Writes a new, empty file front to back, leaving holes where the data is zero.
#[derive(Debug)]
pub struct SparseWriter {
    file: File,
    at: u64,
}

impl SparseWriter {
    /// `file` must be empty; what is not written reads as zero.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, at: 0 }
    }

    /// Takes the next bytes. Holes are found only in whole blocks of 4 KiB, so pieces should be
    /// multiples of that.
    ///
    /// # Errors
    /// Those of the file, such as a full disk.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let mut from = 0;
        while from < data.len() {
            let zero = run(&data[from..], true);
            from += zero;
            let full = run(&data[from..], false);
            if full > 0 {
                file::write_all_at(&self.file, &data[from..from + full], self.at + from as u64)?;
            }
            from += full;
        }
        self.at += data.len() as u64;
        Ok(())
    }

    /// Gives the file its full length; returns it and that length.
    ///
    /// # Errors
    /// Those of the file.
    pub fn finish(self) -> io::Result<(File, u64)> {
        self.file.set_len(self.at)?;
        Ok((self.file, self.at))
    }
}

/// Length of the run of blocks at the start of `data` that are zero, or are not.
fn run(data: &[u8], zero: bool) -> usize {
    data.chunks(BLOCK).take_while(|b| (**b == ZEROS[..b.len()]) == zero).map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_kept_and_zeros_take_no_space() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let mut image = vec![0; 1 << 20];
        image[5000] = 1;
        image[500_000..600_000].fill(7);
        image.extend([0; 1234]);
        for piece in [1 << 20, 65536, 4096, 1000] {
            let mut writer = SparseWriter::new(File::create(&path).unwrap());
            image.chunks(piece).for_each(|c| writer.write(c).unwrap());
            let (file, len) = writer.finish().unwrap();
            assert_eq!(len, image.len() as u64);
            assert_eq!(std::fs::read(&path).unwrap(), image);
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt;
                file.sync_all().unwrap();
                let used = file.metadata().unwrap().blocks() * 512;
                assert!(used < 120_000, "{used} bytes used in pieces of {piece}");
            }
        }
    }
}
