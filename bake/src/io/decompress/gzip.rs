//! gzip, members one after the other (RFC 1952, section 2.2).

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::DecodeFault;
use super::check::has_data;

pub(super) struct GzipDecoder<R: BufRead> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> GzipDecoder<R> {
    pub(super) fn new(source: R) -> Self {
        Self { member: Some(GzDecoder::new(source)) }
    }
}

impl<R: BufRead> Read for GzipDecoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while let Some(member) = self.member.as_mut() {
            let n = member.read(buf).map_err(fault)?;
            if n > 0 {
                return Ok(n);
            }
            let Some(mut source) = self.member.take().map(GzDecoder::into_inner) else { break };
            if has_data(&mut source)? {
                if source.fill_buf()?.first() != Some(&0x1f) {
                    return Err(DecodeFault::Trailing.into());
                }
                self.member = Some(GzDecoder::new(source));
            }
        }
        Ok(0)
    }
}

fn fault(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DecodeFault::Truncated.into(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            DecodeFault::Damaged(format!("its gzip data is damaged ({error})")).into()
        }
        _ => error,
    }
}
