//! The log on the FAT partition, for a person with the card in a laptop. Holds no secrets.
//!
//! FAT has no journal, so the file is small, bounded and rewritten whole: at worst a power cut
//! leaves the old one, or none.

use std::io;
use std::path::{Path, PathBuf};

use nodeconf::status::Status;
use nodeconf::{NodeConfig, paths};

use super::time;
use crate::facts::mounts;
use crate::sys::{Sys, read_text, write_durable};

/// Oldest lines go when the file would be longer.
const LIMIT: usize = 16 * 1024;
const FOOT: &str = "== now: ";

/// The log, where the boot partition is mounted.
#[derive(Debug, Default)]
pub(super) struct BootLog {
    file: Option<PathBuf>,
    lines: Vec<String>,
    flushed: usize,
}

impl BootLog {
    /// The log of a node whose configuration cannot be read.
    pub(super) fn anywhere(sys: &dyn Sys) -> Self {
        Self::at(sys, ["/boot/firmware", "/boot"])
    }

    pub(super) fn of(sys: &dyn Sys, config: &NodeConfig) -> Self {
        match &config.system.boot_mount {
            Some(mount) => Self::at(sys, [mount.as_str()]),
            None => Self::default(),
        }
    }

    fn at<const N: usize>(sys: &dyn Sys, places: [&str; N]) -> Self {
        let mounted = |place: &&str| {
            // Looking at it makes an automount mount it.
            let _ = sys.stat(Path::new(place));
            read_text(sys, "/proc/mounts")
                .is_ok_and(|mounts| mounts::type_at(&mounts, place) == Some("vfat"))
        };
        let file = places
            .into_iter()
            .find(|place| mounted(place))
            .map(|place| Path::new(place).join(paths::BOOT_LOG));
        Self { file, ..Self::default() }
    }

    /// Adds a line, with the time.
    pub(super) fn add(&mut self, sys: &dyn Sys, line: &str) {
        self.lines.push(format!("{}  {line}", time(sys.now().as_secs())));
    }

    /// Writes the file if there is anything new, with the node's state as its last line.
    pub(super) fn flush(&mut self, sys: &dyn Sys, status: &Status) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let old = match sys.read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e),
        };
        let new = self.lines.get(self.flushed..).unwrap_or_default();
        let text = compose(&old, new, &status.sentence());
        if text != old {
            write_durable(sys, file, text.as_bytes(), 0o644)?;
        }
        self.flushed = self.lines.len();
        Ok(())
    }
}

/// The old lines without their foot, the new ones, and the foot; the end of it if it is too long.
/// Windows' editors want CR LF.
fn compose(old: &str, new: &[String], sentence: &str) -> String {
    let foot = format!("{FOOT}{sentence}");
    let kept = old.lines().filter(|line| !line.starts_with(FOOT));
    let lines: Vec<&str> = kept.chain(new.iter().map(String::as_str)).chain([&*foot]).collect();
    let mut size = 0;
    let fitting = lines
        .iter()
        .rev()
        .take_while(|line| {
            size += line.len() + 2;
            size <= LIMIT
        })
        .count();
    lines[lines.len() - fitting..].iter().flat_map(|line| [line, "\r\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_the_last_line() {
        let first = compose("", &["a".into()], "waiting");
        assert_eq!(first, "a\r\n== now: waiting\r\n");
        assert_eq!(compose(&first, &["b".into()], "done"), "a\r\nb\r\n== now: done\r\n");
        assert_eq!(compose(&first, &[], "waiting"), first);
    }

    #[test]
    fn it_stays_small_and_keeps_the_newest() {
        let lines: Vec<String> = (0..2000).map(|n| format!("line {n}")).collect();
        let text = compose("", &lines, "done");
        assert!(text.len() <= LIMIT && text.len() > LIMIT - 32);
        assert!(text.ends_with("line 1999\r\n== now: done\r\n"));
    }
}
