//! Processor architectures, under Debian's names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a node's processor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit ARM: Raspberry Pi 3 and later, with a 64-bit system.
    Arm64,
    /// 32-bit ARM with hardware floating point.
    Armhf,
    /// 64-bit x86.
    Amd64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Arm64, Self::Armhf, Self::Amd64];

    /// Debian's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::Armhf => "armhf",
            Self::Amd64 => "amd64",
        }
    }

    /// `e_machine` of its programs (ELF gABI, chapter 4: EM_AARCH64, EM_ARM, EM_X86_64).
    #[must_use]
    pub fn elf_machine(self) -> u16 {
        match self {
            Self::Arm64 => 183,
            Self::Armhf => 40,
            Self::Amd64 => 62,
        }
    }

    /// `EI_CLASS` of its programs: 1 for 32 bits, 2 for 64.
    #[must_use]
    pub fn elf_class(self) -> u8 {
        if self == Self::Armhf { 1 } else { 2 }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|a| a.name() == text)
            .ok_or_else(|| format!("`{text}` is no architecture bake knows: arm64, armhf or amd64"))
    }
}
