//! An open device.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;

use super::permission;
use super::sysfs::text;
use crate::device::{Cleared, Device, Transport};
use crate::error::{Error, IoContext, Result};
use crate::sys;

/// A block device, open for writing past the page cache, for us alone.
#[derive(Debug)]
pub struct Disk {
    file: File,
    len: u64,
    block: u32,
    /// Its folder in sysfs, which goes away with it.
    folder: PathBuf,
    sequence: Option<u64>,
    zeroes: bool,
    discards: bool,
}

impl Disk {
    /// Opens the device and makes sure that it is the one that was cleared.
    pub fn open(cleared: &Cleared, root: &Path) -> Result<Self> {
        let device = cleared.device();
        let file = open(device)?;
        // While udev looks at the last change it holds its own lock, for a moment.
        for _ in 0..50 {
            if sys::disk::try_lock(&file) {
                break;
            }
            sleep(Duration::from_millis(20));
        }
        let number = sys::disk::number(&file).at("examining", &device.path)?;
        let sequence = sys::disk::sequence(&file);
        let len = io::Seek::seek(&mut &file, io::SeekFrom::End(0)).at("measuring", &device.path)?;
        let known = device.sequence.is_none() || sequence.is_none() || device.sequence == sequence;
        if number != device.number || len != device.size || !known {
            let reason = "another device or card has taken its place since it was looked at";
            return Err(refused(device, reason));
        }
        let name = device.path.file_name().unwrap_or_default();
        let folder = root.join("sys/class/block").join(name);
        // Linux opens it all the same.
        if text(&folder.join("ro")).as_deref() != Some("0") {
            return Err(refused(device, "it is write-protected"));
        }
        let block = device.block;
        Ok(Self { file, len, block, folder, sequence, zeroes: true, discards: true })
    }
}

fn open(device: &Device) -> Result<File> {
    let error = match sys::disk::open(&device.path) {
        Ok(file) => return Ok(file),
        Err(error) => error,
    };
    match Errno::from_io_error(&error) {
        Some(Errno::BUSY) => Err(refused(device, "the kernel has it in use").hint(
            "something that we cannot see holds it: another program, or a mount in a container",
        )),
        Some(Errno::ROFS) => Err(refused(device, "it is write-protected")),
        Some(Errno::ACCESS | Errno::PERM) => {
            super::udisks::open(device).map_err(|asked| permission::explain(device, error, &asked))
        }
        _ => Err(Error::io("opening", &device.path, error)),
    }
}

fn refused(device: &Device, reason: &str) -> Error {
    Error::Refused { action: format!("write to {device}"), reason: reason.to_owned() }
}

/// `false` where the device cannot, so that nobody asks again.
fn able(outcome: io::Result<()>, able: &mut bool) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(e)
            if matches!(
                Errno::from_io_error(&e),
                Some(
                    Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL | Errno::NOSYS | Errno::REMOTEIO
                )
            ) =>
        {
            *able = false;
            Ok(false)
        }
        Err(e) => Err(e),
    }
}

impl Transport for Disk {
    fn len(&self) -> u64 {
        self.len
    }

    fn block(&self) -> u32 {
        self.block
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<usize> {
        self.file.write_at(data, offset)
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn zero(&mut self, range: Range<u64>) -> io::Result<bool> {
        if !self.zeroes {
            return Ok(false);
        }
        // The kernel passes this on only where the device promises zeros, and sends none itself.
        able(sys::file::punch_hole(&self.file, range), &mut self.zeroes)
    }

    fn discard(&mut self, range: Range<u64>) -> io::Result<bool> {
        if !self.discards {
            return Ok(false);
        }
        able(sys::disk::discard(&self.file, range), &mut self.discards)
    }

    fn sync(&mut self) -> io::Result<()> {
        sys::disk::flush(&self.file)
    }

    fn present(&self) -> bool {
        let sequence = text(&self.folder.join("diskseq")).and_then(|t| t.parse().ok());
        let size = text(&self.folder.join("size"));
        size.is_some_and(|s| s != "0") && (self.sequence.is_none() || sequence == self.sequence)
    }

    fn announce(&mut self) {
        sys::disk::read_partitions(&self.file);
    }
}
