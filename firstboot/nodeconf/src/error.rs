use std::fmt;

/// One thing wrong in a node configuration that is well-formed JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON path (`cluster.servers[1].address`).
    pub path: String,
    /// What is wrong, without a trailing period.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Why a node configuration or its secrets cannot be used. Never quotes a value of the secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not JSON, a missing or unknown key, or a value of the wrong type.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's complaint.
        message: String,
    },
    /// Written by a `bake` this build does not understand.
    #[error("version {found} is not supported, this build reads up to {supported}")]
    Version {
        /// The file's version.
        found: u64,
        /// The newest this build reads.
        supported: u32,
    },
    /// Values contradict each other; all faults are listed.
    #[error("{} fault(s): {}", .0.len(), join(.0))]
    Invalid(Vec<Fault>),
}

fn join(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

impl Error {
    pub(crate) fn syntax(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Self::Syntax { line: error.line(), column: error.column(), message }
    }
}
