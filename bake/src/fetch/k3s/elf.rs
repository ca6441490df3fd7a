//! Whether a program can run on the node: its ELF header.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};

/// What the first bytes of a file say (ELF gABI, chapter 4, "ELF Header").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// An ELF program of this class and machine.
    Elf { class: u8, machine: u16, runnable: bool },
    /// A script with an interpreter (execve(2)).
    Script,
    /// Neither.
    Other,
}

pub(super) fn examine(mut file: &File, path: &Path) -> Result<Program> {
    let mut head = Vec::new();
    file.rewind().at("reading", path)?;
    file.take(20).read_to_end(&mut head).at("reading", path)?;
    file.rewind().at("reading", path)?;
    Ok(classify(&head))
}

fn classify(head: &[u8]) -> Program {
    const ET_EXEC: u16 = 2;
    const ET_DYN: u16 = 3;
    match *head {
        // e_ident: magic, class, little-endian data; e_type at 16, e_machine at 18.
        [0x7f, b'E', b'L', b'F', class, 1, ..] if head.len() >= 20 => {
            let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
            let runnable = matches!(word(16), ET_EXEC | ET_DYN);
            Program::Elf { class, machine: word(18), runnable }
        }
        [b'#', b'!', ..] => Program::Script,
        _ => Program::Other,
    }
}

impl Program {
    /// Whether it is a program for `arch`.
    pub(super) fn runs_on(self, arch: Arch) -> bool {
        let wanted = (arch.elf_class(), arch.elf_machine());
        matches!(self, Self::Elf { class, machine, runnable: true } if (class, machine) == wanted)
    }

    /// For messages.
    pub(super) fn describe(self) -> String {
        let Self::Elf { class, machine, runnable } = self else {
            return if self == Self::Script { "a script".into() } else { "no program".into() };
        };
        let arch =
            Arch::ALL.into_iter().find(|a| (a.elf_class(), a.elf_machine()) == (class, machine));
        match (runnable, arch) {
            (false, _) => "an ELF file that is no program".into(),
            (true, Some(arch)) => format!("a program for {arch}"),
            (true, None) => format!("a program for another machine (ELF machine {machine})"),
        }
    }
}

/// The program must be one for `arch`.
pub(super) fn require(file: &File, path: &Path, arch: Arch) -> Result<()> {
    let program = examine(file, path)?;
    if program.runs_on(arch) {
        return Ok(());
    }
    let reason = format!("it is {}, and the node is {arch}", program.describe());
    Err(Error::Verification { what: path.display().to_string(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, kind: u8, machine: u8) -> Vec<u8> {
        let mut head = vec![0x7f, b'E', b'L', b'F', class, 1, 1];
        head.resize(16, 0);
        head.extend([kind, 0, machine, 0]);
        head
    }

    #[test]
    fn headers_tell_the_architecture() {
        assert!(classify(&header(2, 2, 183)).runs_on(Arch::Arm64));
        assert!(classify(&header(2, 3, 62)).runs_on(Arch::Amd64));
        assert!(classify(&header(1, 2, 40)).runs_on(Arch::Armhf));
        assert!(!classify(&header(2, 2, 62)).runs_on(Arch::Arm64));
        assert!(!classify(&header(2, 1, 183)).runs_on(Arch::Arm64), "an object file");
        assert_eq!(classify(&header(2, 2, 62)[..19]), Program::Other);
        assert_eq!(classify(b"#!/bin/sh"), Program::Script);
        assert_eq!(classify(b"").describe(), "no program");
    }

    #[test]
    fn this_test_is_a_program() {
        let path = std::env::current_exe().unwrap();
        let program = examine(&File::open(&path).unwrap(), &path).unwrap();
        assert!(matches!(program, Program::Elf { runnable: true, .. }), "{program:?}");
    }
}
