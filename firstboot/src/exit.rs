//! Exit statuses of the process, which the unit's restart policy relies on.

/// How a run ended. Numbers from sysexits(3); `tests/unit.rs` holds the unit to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Nothing is left to do.
    Converged = 0,
    /// The command line is wrong; never from the unit (`EX_USAGE`).
    Usage = 64,
    /// Something that must not happen was found; a person must look (`EX_SOFTWARE`).
    Broken = 70,
    /// Something that may heal is missing; systemd runs us again (`EX_TEMPFAIL`).
    TryAgain = 75,
    /// The configuration or the image is wrong; running again cannot help (`EX_CONFIG`).
    ConfigWrong = 78,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
