//! Which nodes a run makes cards of, so that no other run makes a card of the same at that time: both
//! would count it as the same one.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Ledger;
use super::ledger::{beside, lock};
use crate::error::{Error, IoContext, Result};

/// Nodes that no other run makes cards of until this is dropped, or its process has ended.
#[derive(Debug)]
pub struct Held {
    ledger: PathBuf,
    locks: Vec<(PathBuf, File)>,
}

impl Held {
    /// Keeps other runs from making cards of `nodes` of the ledger's cluster.
    ///
    /// # Errors
    /// [`Error::Refused`] where another run makes one of them, and what writing fails with.
    pub fn take(ledger: &Ledger, nodes: &BTreeSet<&str>) -> Result<Self> {
        let mut held = Self { ledger: ledger.path().to_owned(), locks: Vec::new() };
        // Let go of before `held` is, which takes it to remove its files: nobody locks one of those.
        let _lock = lock(&held.ledger)?;
        for node in nodes {
            let path = beside(&held.ledger, &format!(".{node}.lock"));
            let mut options = File::options();
            options.create(true).read(true).write(true).truncate(false);
            let mut file = options.open(&path).at("creating", &path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(taken(node, &path)),
                Err(TryLockError::Error(source)) => {
                    return Err(Error::io("locking", &path, source));
                }
            }
            file.set_len(0).at("writing", &path)?;
            write!(file, "{}", std::process::id()).at("writing", &path)?;
            held.locks.push((path, file));
        }
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _lock = lock(&self.ledger);
        for (path, file) in self.locks.drain(..) {
            // As a file it holds nobody.
            let _ = fs::remove_file(path);
            drop(file);
        }
    }
}

fn taken(node: &str, path: &Path) -> Error {
    let process = fs::read_to_string(path).unwrap_or_default();
    let action = format!("make a card of {node}");
    let reason = format!("another `bake flash` (process {process}) makes one");
    Error::Refused { action, reason }
        .hint("wait until it has ended, or name other nodes with `--nodes`")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn another_process_is_kept_out_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(dir.path().join("edge.flashed.json"), "id").unwrap();
        let file = dir.path().join(".edge.flashed.json.node1.lock");
        let take = |nodes: &[&str]| Held::take(&ledger, &nodes.iter().copied().collect());
        // util-linux's, which knows nothing of us.
        let flock = |how: &str, then: &str| {
            let mut flock = Command::new("flock");
            flock.args([how, file.to_str().unwrap(), "-c", then]).stdin(Stdio::piped());
            flock
        };
        let held = take(&["node1", "node2"]).unwrap();
        let me = std::process::id().to_string();
        assert_eq!(fs::read_to_string(&file).unwrap(), me);
        assert_eq!(flock("-n", "true").status().unwrap().code(), Some(1), "node1 is held");
        let refused = take(&["node2", "node3"]).unwrap_err();
        assert_eq!(refused.exit() as u8, 4);
        assert!(refused.to_string().contains(&format!("(process {me})")), "{refused}");
        take(&["node3"]).expect("nobody makes one");
        drop(held);
        let left = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), [".edge.flashed.json.lock"]);

        let mut other = flock("-x", "echo held; exec cat").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(other.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        assert_eq!(take(&["node0", "node1"]).unwrap_err().exit() as u8, 4);
        take(&["node0"]).expect("what was taken before is given back");
        drop(other.stdin.take());
        other.wait().unwrap();
        take(&["node1"]).expect("it has ended");
    }
}
