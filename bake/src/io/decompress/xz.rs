//! `.xz`: all blocks of a stream in parallel, streams one after the other.
//!
//! liblzma's multi-threaded decoder decodes one stream; concatenated streams and the padding
//! between them (XZ file format 1.2, section 2.2: zero bytes, a multiple of four) are ours.

use std::io::{self, BufRead, Read};

use liblzma::stream::{Action, Error, MtStreamBuilder, Status, Stream};

use super::check::has_data;
use super::{DecodeFault, Limits};

/// First bytes of every stream (section 2.1.1.1).
const MAGIC: [u8; 6] = *b"\xfd7zXZ\0";

pub(super) struct XzDecoder<R> {
    source: R,
    limits: Limits,
    /// The stream being decoded; none between streams.
    stream: Option<Stream>,
    /// Whether there was a stream already.
    started: bool,
    done: bool,
}

impl<R: BufRead> XzDecoder<R> {
    pub(super) fn new(source: R, limits: Limits) -> Self {
        Self { source, limits, stream: None, started: false, done: false }
    }

    /// Steps over padding to the next stream; `false` at the end of the input.
    fn next_stream(&mut self) -> io::Result<bool> {
        let first = !std::mem::replace(&mut self.started, true);
        let padding = if first { 0 } else { self.skip_zeros()? };
        if !has_data(&mut self.source)? {
            return if padding % 4 == 0 { Ok(false) } else { Err(DecodeFault::Trailing.into()) };
        }
        // The first byte tells a stream from garbage; liblzma checks the rest of the header.
        if padding % 4 != 0 || self.source.fill_buf()?.first() != MAGIC.first() {
            return Err(DecodeFault::Trailing.into());
        }
        let mut builder = MtStreamBuilder::new();
        builder.threads(self.limits.threads.max(1));
        builder.memlimit_threading(self.limits.memory);
        builder.memlimit_stop(self.limits.memory);
        self.stream = Some(builder.decoder().map_err(|e| self.fault(e, first))?);
        Ok(true)
    }

    fn skip_zeros(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        while has_data(&mut self.source)? {
            let data = self.source.fill_buf()?;
            let zeros = data.iter().take_while(|b| **b == 0).count();
            let all = zeros == data.len();
            self.source.consume(zeros);
            skipped += zeros as u64;
            if !all {
                break;
            }
        }
        Ok(skipped)
    }

    fn fault(&self, error: Error, at_start: bool) -> io::Error {
        match error {
            Error::Mem => io::ErrorKind::OutOfMemory.into(),
            Error::MemLimit => DecodeFault::Memory { limit: self.limits.memory }.into(),
            Error::Format if !at_start => DecodeFault::Trailing.into(),
            Error::Options | Error::UnsupportedCheck | Error::NoCheck => {
                DecodeFault::Unsupported(format!("an xz option of a newer version ({error})"))
                    .into()
            }
            Error::Data | Error::Format | Error::Program => {
                DecodeFault::Damaged("its xz data is damaged".into()).into()
            }
        }
    }
}

impl<R: BufRead> Read for XzDecoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !buf.is_empty() && !self.done {
            if self.stream.is_none() && !self.next_stream()? {
                self.done = true;
                break;
            }
            let at_end = !has_data(&mut self.source)?;
            let Some(stream) = self.stream.as_mut() else { continue };
            let (consumed, produced) = (stream.total_in(), stream.total_out());
            let action = if at_end { Action::Finish } else { Action::Run };
            let outcome = stream.process(self.source.fill_buf()?, buf, action);
            let took = usize::try_from(stream.total_in() - consumed).unwrap_or(usize::MAX);
            let gave = usize::try_from(stream.total_out() - produced).unwrap_or(usize::MAX);
            let fresh = consumed == 0;
            self.source.consume(took);
            match outcome {
                Ok(Status::StreamEnd) => self.stream = None,
                Ok(Status::MemNeeded) if at_end => return Err(DecodeFault::Truncated.into()),
                Ok(_) if at_end && took == 0 && gave == 0 => {
                    return Err(DecodeFault::Truncated.into());
                }
                Ok(_) => {}
                Err(error) => return Err(self.fault(error, !fresh)),
            }
            if gave > 0 {
                return Ok(gave);
            }
        }
        Ok(0)
    }
}
