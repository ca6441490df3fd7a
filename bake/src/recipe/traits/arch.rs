//! What the image's programs run on: the ELF header of its shell.

use std::fmt;
use std::io::Read;

use super::Look;
use crate::error::{Error, Result};

/// A processor architecture K3s is released for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// 64-bit ARM.
    Arm64,
    /// 32-bit ARM, hard float.
    Armhf,
    /// 64-bit PC.
    Amd64,
}

impl Architecture {
    /// Debian's name: `arm64`, `armhf`, `amd64`.
    #[must_use]
    pub fn debian(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::Armhf => "armhf",
            Self::Amd64 => "amd64",
        }
    }

    /// The machine an ELF file is for; `None` where it is no ELF file or another machine.
    ///
    /// ELF: `EI_CLASS` at 4, `EI_DATA` at 5, `e_machine` at 18, `e_flags` of 32-bit files at 36
    /// (`EF_ARM_ABI_FLOAT_SOFT` 0x200).
    #[must_use]
    pub fn of_elf(header: &[u8]) -> Option<Self> {
        if header.len() < 40 || &header[..4] != b"\x7fELF" || header[5] != 1 {
            return None;
        }
        let machine = u16::from_le_bytes([header[18], header[19]]);
        let flags = u32::from_le_bytes([header[36], header[37], header[38], header[39]]);
        match (header[4], machine) {
            (2, 183) => Some(Self::Arm64),
            (2, 62) => Some(Self::Amd64),
            (1, 40) if flags & 0x200 == 0 => Some(Self::Armhf),
            _ => None,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.debian())
    }
}

pub(super) fn detect(look: &Look<'_>) -> Result<Architecture> {
    let mut header = Vec::new();
    let shell = ["/bin/sh", "/usr/bin/dpkg", "/bin/bash"];
    for path in shell {
        let Ok(reader) = look.0.open(path.as_bytes()) else { continue };
        reader
            .take(64)
            .read_to_end(&mut header)
            .map_err(|e| Error::io("reading from the image", path, e))?;
        return Architecture::of_elf(&header).ok_or_else(|| Error::Unsupported {
            what: "the image".into(),
            feature: format!(
                "its {path} is no program for arm64, armhf or amd64 (header {})",
                hex::encode(&header[..header.len().min(20)])
            ),
        });
    }
    Err(Error::Unsupported { what: "the image".into(), feature: "it has no /bin/sh".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_runs_here() {
        let mut header = [0; 64];
        let me = std::env::current_exe().unwrap();
        std::fs::File::open(me).unwrap().read_exact(&mut header).unwrap();
        let expected = match std::env::consts::ARCH {
            "x86_64" => Architecture::Amd64,
            "aarch64" => Architecture::Arm64,
            other => panic!("no case for {other}"),
        };
        assert_eq!(Architecture::of_elf(&header), Some(expected));
        assert_eq!(Architecture::of_elf(&header[..20]), None);
        assert_eq!(Architecture::of_elf(b"#!/bin/sh\n"), None);
    }
}
