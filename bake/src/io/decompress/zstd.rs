//! Zstandard, frames one after the other (RFC 8878).

use std::io::{self, BufRead, Read};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::check::has_data;
use super::{DecodeFault, Limits};

pub(super) struct ZstdDecoder<R> {
    source: R,
    decoder: Decoder<'static>,
    /// Whether the bytes so far end a frame.
    whole: bool,
    limit: u64,
}

impl<R: BufRead> ZstdDecoder<R> {
    pub(super) fn new(source: R, limits: Limits) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        // The window takes most of a decoder's memory; zstd itself allows 2^31 bytes at most.
        let window_log = limits.memory.max(1 << 20).ilog2().min(31);
        decoder.set_parameter(DParameter::WindowLogMax(window_log))?;
        Ok(Self { source, decoder, whole: false, limit: limits.memory })
    }

    fn fault(&self, error: &io::Error) -> io::Error {
        let text = error.to_string();
        if text.contains("memory") {
            DecodeFault::Memory { limit: self.limit }.into()
        } else if self.whole && text.contains("nknown frame") {
            DecodeFault::Trailing.into()
        } else {
            DecodeFault::Damaged(format!("its zstd data is damaged ({text})")).into()
        }
    }
}

impl<R: BufRead> Read for ZstdDecoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let at_end = !has_data(&mut self.source)?;
            if at_end && self.whole {
                return Ok(0);
            }
            let mut input = InBuffer::around(self.source.fill_buf()?);
            let mut output = OutBuffer::around(&mut *buf);
            let outcome = self.decoder.run(&mut input, &mut output);
            let (took, gave) = (input.pos, output.pos());
            let hint = match outcome {
                Ok(hint) => hint,
                Err(error) => return Err(self.fault(&error)),
            };
            self.source.consume(took);
            // Zero means that a frame is decoded and flushed whole.
            self.whole = hint == 0;
            if gave > 0 {
                return Ok(gave);
            }
            if at_end && !self.whole {
                return Err(DecodeFault::Truncated.into());
            }
        }
    }
}
