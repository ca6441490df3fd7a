//! A card that fails as it is told to: the test's double of an open device.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use bake::device::Transport;
use bake::sys::aligned::ALIGN;

/// What is the matter with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Writing the block at this byte fails.
    CannotWrite(u64),
    /// Reading the block at this byte fails.
    CannotRead(u64),
    /// A write that reaches this byte stores only what is before it, once.
    ShortOnce(u64),
    /// A write that reaches this byte stores nothing and says so.
    ShortForever(u64),
    /// It says that it stored the block at this byte, and stored something else.
    Lies(u64),
    /// The block at this byte reads wrong, though it is stored right.
    ReadsWrong(u64),
    /// It is gone after so many writes.
    VanishesAfter(u64),
    /// It is gone after so many reads.
    VanishesReading(u64),
    /// It holds only so many bytes and starts over.
    Wraps(u64),
    /// It holds only so many bytes and forgets the rest.
    Forgets(u64),
    /// It holds only so many bytes and refuses the rest.
    Full(u64),
    /// Its switch is moved to LOCK after so many writes.
    LockedAfter(u64),
    /// Bringing what it has to the medium fails.
    CannotSync,
}

/// The inside of a card, which a test looks at.
#[derive(Debug, Default)]
pub struct Inside {
    blocks: BTreeMap<u64, Vec<u8>>,
    pub writes: u64,
    pub reads: u64,
    pub written: u64,
    pub discards: u64,
    pub announced: bool,
    gone: bool,
}

/// A card of `len` bytes that held something before: what was never written reads as 0xEE.
#[derive(Debug, Clone)]
pub struct FaultyCard {
    pub len: u64,
    pub trouble: Vec<Trouble>,
    /// Whether it can zero and discard by itself.
    pub able: bool,
    pub inside: Arc<Mutex<Inside>>,
}

pub const OLD: u8 = 0xEE;
const PAGE: u64 = ALIGN as u64;

impl FaultyCard {
    pub fn new(len: u64, trouble: &[Trouble]) -> Self {
        Self { len, trouble: trouble.to_vec(), able: true, inside: Arc::default() }
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("the card")
    }

    /// What the medium holds, whatever reading it would give.
    pub fn stored(&self, range: Range<u64>) -> Vec<u8> {
        let inside = self.inside();
        let mut bytes = vec![OLD; (range.end - range.start) as usize];
        for (at, block) in inside.blocks.range(range.start / PAGE * PAGE..range.end) {
            let (from, to) = ((*at).max(range.start), (at + PAGE).min(range.end));
            if from < to {
                bytes[(from - range.start) as usize..(to - range.start) as usize]
                    .copy_from_slice(&block[(from - at) as usize..(to - at) as usize]);
            }
        }
        bytes
    }

    /// What a reader gets whom nothing is kept from.
    pub fn reads(&self, range: Range<u64>) -> Vec<u8> {
        let mut bytes = vec![OLD; (range.end - range.start) as usize];
        for (index, part) in bytes.chunks_mut(512).enumerate() {
            if let Some(place) = self.place(range.start + (index * 512) as u64) {
                part.copy_from_slice(&self.stored(place..place + part.len() as u64));
            }
        }
        bytes
    }

    fn place(&self, at: u64) -> Option<u64> {
        let mut place = Some(at);
        for trouble in &self.trouble {
            match *trouble {
                Trouble::Wraps(size) => place = place.map(|at| at % size),
                Trouble::Forgets(size) if at >= size => place = None,
                _ => {}
            }
        }
        place
    }

    fn check(&self, inside: &mut Inside, reading: bool) -> io::Result<()> {
        for trouble in &self.trouble {
            match *trouble {
                Trouble::VanishesAfter(n) if inside.writes > n => inside.gone = true,
                Trouble::VanishesReading(n) if reading && inside.reads > n => inside.gone = true,
                Trouble::LockedAfter(n) if !reading && inside.writes > n => {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                _ => {}
            }
        }
        if inside.gone { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

impl Transport for FaultyCard {
    fn len(&self) -> u64 {
        self.len
    }

    fn block(&self) -> u32 {
        512
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<usize> {
        assert!(
            offset.is_multiple_of(512) && data.len().is_multiple_of(512),
            "as O_DIRECT wants it"
        );
        assert!((data.as_ptr() as usize).is_multiple_of(512), "as O_DIRECT wants it");
        assert!(offset + data.len() as u64 <= self.len, "beyond its end");
        let mut inside = self.inside.lock().expect("the card");
        inside.writes += 1;
        self.check(&mut inside, false)?;
        let mut len = data.len();
        let reaches = |at: u64| (offset..offset + data.len() as u64).contains(&at);
        for trouble in self.trouble.clone() {
            match trouble {
                Trouble::CannotWrite(at) if reaches(at) => {
                    return Err(io::Error::from_raw_os_error(5));
                }
                Trouble::Full(size) if offset + data.len() as u64 > size => {
                    return Err(io::Error::from_raw_os_error(28));
                }
                Trouble::ShortOnce(at) if reaches(at) => {
                    len = (at - offset) as usize / 512 * 512;
                    self.trouble.retain(|t| *t != trouble);
                    if len == 0 {
                        return Err(io::ErrorKind::Interrupted.into());
                    }
                }
                Trouble::ShortForever(at) if reaches(at) => {
                    len = (at - offset) as usize / 512 * 512
                }
                _ => {}
            }
        }
        inside.written += len as u64;
        for (index, part) in data[..len].chunks(512).enumerate() {
            let at = offset + (index * 512) as u64;
            let lies = self.trouble.contains(&Trouble::Lies(at));
            let Some(place) = self.place(at) else { continue };
            let key = place / ALIGN as u64 * ALIGN as u64;
            let block = inside.blocks.entry(key).or_insert_with(|| vec![OLD; ALIGN]);
            let from = (place - key) as usize;
            block[from..from + 512].copy_from_slice(part);
            if lies {
                block[from + 7] ^= 1;
            }
        }
        Ok(len)
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        assert!(
            offset.is_multiple_of(512) && buf.len().is_multiple_of(512),
            "as O_DIRECT wants it"
        );
        {
            let mut inside = self.inside.lock().expect("the card");
            inside.reads += 1;
            self.check(&mut inside, true)?;
        }
        let reaches = |at: u64| (offset..offset + buf.len() as u64).contains(&at);
        if self.trouble.iter().any(|t| matches!(t, Trouble::CannotRead(at) if reaches(*at))) {
            return Err(io::Error::from_raw_os_error(5));
        }
        for (index, part) in buf.chunks_mut(512).enumerate() {
            let at = offset + (index * 512) as u64;
            match self.place(at) {
                Some(place) => part.copy_from_slice(&self.stored(place..place + 512)),
                None => part.fill(OLD),
            }
            if self.trouble.contains(&Trouble::ReadsWrong(at)) {
                part[11] ^= 4;
            }
        }
        Ok(buf.len())
    }

    fn zero(&mut self, range: Range<u64>) -> io::Result<bool> {
        if !self.able {
            return Ok(false);
        }
        let zeros = bake::sys::aligned::Buffer::zeroed((range.end - range.start) as usize);
        let written = self.inside().written;
        let outcome = self.write(range.start, &zeros);
        self.inside().written = written;
        outcome.map(|_| true)
    }

    fn discard(&mut self, range: Range<u64>) -> io::Result<bool> {
        assert!(range.end <= self.len, "beyond its end");
        let mut inside = self.inside.lock().expect("the card");
        inside.discards += 1;
        self.check(&mut inside, false)?;
        if self.able {
            // What it reads as afterwards is the card's business.
            inside.blocks.retain(|at, _| *at < range.start || at + ALIGN as u64 > range.end);
        }
        Ok(self.able)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.check(&mut self.inside.lock().expect("the card"), false)?;
        if self.trouble.contains(&Trouble::CannotSync) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }

    fn present(&self) -> bool {
        !self.inside().gone
    }

    fn announce(&mut self) {
        self.inside().announced = true;
    }
}
