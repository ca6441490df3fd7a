//! What the image's programs run on: the ELF header of its shell.

use std::io::Read;

use super::Look;
use crate::arch::Arch;
use crate::error::{Error, Result};

/// Bytes of a program that tell its architecture.
pub const HEADER: usize = 40;

/// What an ELF file is for; `None` where it is no ELF file or for another machine.
///
/// ELF gABI, chapter 4: `EI_CLASS` at 4, `EI_DATA` at 5, `e_machine` at 18; `e_flags` of 32-bit
/// files at 36 (ELF for the ARM architecture: `EF_ARM_ABI_FLOAT_SOFT` 0x200).
#[must_use]
pub fn of_elf(header: &[u8]) -> Option<Arch> {
    if header.len() < HEADER || &header[..4] != b"\x7fELF" || header[5] != 1 {
        return None;
    }
    let machine = u16::from_le_bytes([header[18], header[19]]);
    let flags = u32::from_le_bytes([header[36], header[37], header[38], header[39]]);
    let arch = Arch::ALL
        .into_iter()
        .find(|arch| (arch.elf_class(), arch.elf_machine()) == (header[4], machine))?;
    (arch != Arch::Armhf || flags & 0x200 == 0).then_some(arch)
}

pub(super) fn detect(look: &Look<'_>) -> Result<Arch> {
    let mut header = Vec::new();
    let shell = ["/bin/sh", "/usr/bin/dpkg", "/bin/bash"];
    for path in shell {
        let Ok(reader) = look.0.open(path.as_bytes()) else { continue };
        reader
            .take(64)
            .read_to_end(&mut header)
            .map_err(|e| Error::io("reading from the image", path, e))?;
        return of_elf(&header).ok_or_else(|| Error::Unsupported {
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
            "x86_64" => Arch::Amd64,
            "aarch64" => Arch::Arm64,
            other => panic!("no case for {other}"),
        };
        assert_eq!(of_elf(&header), Some(expected));
        assert_eq!(of_elf(&header[..20]), None);
        assert_eq!(of_elf(b"#!/bin/sh\n"), None);
    }
}
