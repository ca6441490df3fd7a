//! The one way to run a program: no input, status always checked, its complaint in the error.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nodeconf::Secret;

/// Where programs are looked for, in this order; `PATH` of the environment does not count.
const SEARCH: [&str; 6] =
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"];
const OUTPUT_LIMIT: u64 = 256 * 1024;
const TAIL: usize = 512;
const POLL: Duration = Duration::from_millis(5);

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Name, without a directory.
    pub program: &'static str,
    /// Arguments.
    pub args: Vec<String>,
    /// It is killed after this long.
    pub timeout: Duration,
    /// Environment variables besides `PATH` and `LC_ALL`.
    pub env: Vec<(&'static str, &'static str)>,
    /// What it reads from its standard input: the one way to hand it a secret.
    pub input: Option<Secret>,
}

impl Command {
    /// A command that may take two minutes: a board on its first boot is busy and its card slow.
    pub fn new<const N: usize>(program: &'static str, args: [&str; N]) -> Self {
        let args = args.iter().map(|&a| a.to_owned()).collect();
        let timeout = Duration::from_secs(120);
        Self { program, args, timeout, env: Vec::new(), input: None }
    }

    /// The command as a person would type it.
    #[must_use]
    pub fn line(&self) -> String {
        std::iter::once(self.program)
            .chain(self.args.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such program.
    #[error("{0}: no such program")]
    Missing(&'static str),
    /// It could not be started or waited for.
    #[error("{line}: {source}")]
    Io {
        /// The command.
        line: String,
        /// The system's error.
        source: io::Error,
    },
    /// It ended with another status than 0.
    #[error("{line}: {status}{}", .stderr.as_ref().map(|s| format!(": {s}")).unwrap_or_default())]
    Failed {
        /// The command.
        line: String,
        /// How it ended.
        status: String,
        /// Exit code, if it was not killed.
        code: Option<i32>,
        /// What it printed all the same.
        stdout: String,
        /// End of its standard error.
        stderr: Option<String>,
    },
    /// It took too long and was killed.
    #[error("{line}: killed after {} s", .limit.as_secs())]
    Timeout {
        /// The command.
        line: String,
        /// The time it had.
        limit: Duration,
    },
}

/// Runs `command`, its program looked for below `root`.
pub(super) fn run(command: &Command, root: &Path) -> Result<String, CommandError> {
    let program = find(command.program, root).ok_or(CommandError::Missing(command.program))?;
    let io_error = |source| CommandError::Io { line: command.line(), source };
    let mut child = std::process::Command::new(program)
        .args(&command.args)
        .env_clear()
        .env("PATH", SEARCH.join(":"))
        .env("LC_ALL", "C")
        .env("BAKE_ROOT", root)
        .envs(command.env.iter().copied())
        .stdin(if command.input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io_error)?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), command.input.clone()) {
        // One that does not read its input fails or not for reasons of its own.
        std::thread::spawn(move || pipe.write_all(input.expose().as_bytes()));
    }
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let status = wait(&mut child, command.timeout).map_err(io_error)?;
    let Some(status) = status else {
        return Err(CommandError::Timeout { line: command.line(), limit: command.timeout });
    };
    let (out, err) = (text(out), text(err));
    if status.success() {
        return Ok(out);
    }
    Err(CommandError::Failed {
        line: command.line(),
        status: status.to_string(),
        code: status.code(),
        stdout: out,
        stderr: tail(&err),
    })
}

fn find(program: &str, root: &Path) -> Option<PathBuf> {
    SEARCH
        .iter()
        .map(|dir| root.join(dir.trim_start_matches('/')).join(program))
        .find(|path| path.is_file())
}

/// Waits for the end, or kills the child after `limit` and returns `None`.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

/// Drains a pipe in the background, so that a talkative program never blocks.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Option<JoinHandle<Vec<u8>>> {
    pipe.map(|mut pipe| {
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            let _ = pipe.by_ref().take(OUTPUT_LIMIT).read_to_end(&mut kept);
            let _ = io::copy(&mut pipe, &mut io::sink());
            kept
        })
    })
}

fn text(reader: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = reader.and_then(|r| r.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The end of `text`, on one line.
fn tail(text: &str) -> Option<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start = line.len().saturating_sub(TAIL);
    let start = (start..=line.len()).find(|&i| line.is_char_boundary(i))?;
    Some(line[start..].to_owned()).filter(|s| !s.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        Command::new("sh", ["-c", script])
    }

    #[test]
    fn output_comes_back_and_input_is_empty() {
        assert_eq!(run(&sh("cat; echo done"), Path::new("/")).unwrap(), "done\n");
    }

    #[test]
    fn input_and_environment_arrive_and_input_is_not_shown() {
        let mut command = sh("cat; echo $GREETING");
        command.env.push(("GREETING", "hello"));
        command.input = Some(Secret::new("s3cret"));
        assert_eq!(run(&command, Path::new("/")).unwrap(), "s3crethello\n");
        assert!(!format!("{command:?}{}", command.line()).contains("s3cret"));
    }

    #[test]
    fn failure_carries_status_and_complaint() {
        let script = "echo some; echo first >&2; echo last >&2; exit 3";
        let error = run(&sh(script), Path::new("/")).unwrap_err();
        assert!(
            matches!(&error, CommandError::Failed { code: Some(3), stdout, .. } if stdout == "some\n")
        );
        assert!(error.to_string().ends_with("exit status: 3: first last"), "{error}");
    }

    #[test]
    fn silence_is_not_a_complaint() {
        let error = run(&sh("exit 1"), Path::new("/")).unwrap_err();
        assert!(matches!(error, CommandError::Failed { stderr: None, .. }));
    }

    #[test]
    fn too_long_is_killed() {
        let mut command = Command::new("sleep", ["60"]);
        command.timeout = Duration::from_millis(50);
        let begun = Instant::now();
        assert!(matches!(run(&command, Path::new("/")), Err(CommandError::Timeout { .. })));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&Command::new("no-such-program", []), Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "no-such-program: no such program");
    }
}
