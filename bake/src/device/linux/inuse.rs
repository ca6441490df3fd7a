//! What devices are in use for: mounts of every process that we can see, swap, and devices made
//! of others.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::last;
use super::sysfs::{pair, text};
use crate::device::Use;

/// Everything in use on this computer.
#[derive(Debug, Default)]
pub struct InUse {
    /// Device number or kernel name, and where it is mounted.
    mounts: BTreeSet<Mount>,
    /// Kernel names.
    swaps: BTreeSet<String>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mount {
    number: Option<(u32, u32)>,
    /// Of its source; btrfs counts its own device numbers.
    name: Option<String>,
    at: String,
}

impl InUse {
    /// Looks at `/proc` below `root`. Other users' processes may keep their mounts from us; the
    /// kernel refuses what is mounted there when the device is opened.
    pub fn gather(root: &Path) -> Self {
        let proc = root.join("proc");
        let mut tables = vec![proc.join("self/mountinfo")];
        let mut namespaces = BTreeSet::new();
        for process in fs::read_dir(&proc).into_iter().flatten().flatten() {
            let is_process =
                process.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit());
            let namespace = fs::read_link(process.path().join("ns/mnt")).ok();
            // One of each namespace is enough; where it is not told, each counts.
            if is_process && namespace.is_none_or(|n| namespaces.insert(n)) {
                tables.push(process.path().join("mountinfo"));
            }
        }
        let mut found = Self::default();
        for table in tables {
            let text = fs::read_to_string(table).unwrap_or_default();
            found.mounts.extend(text.lines().filter_map(|line| mount(root, line)));
        }
        let swaps = fs::read_to_string(proc.join("swaps")).unwrap_or_default();
        let names = swaps.lines().skip(1).filter_map(|l| l.split_whitespace().next());
        found.swaps.extend(names.filter_map(|path| device_name(root, path)));
        found
    }

    /// What the device in the sysfs folder `folder`, and each partition of it, is in use for.
    pub fn of(&self, folder: &Path, name: &str) -> Vec<Use> {
        let mut uses = self.of_part(folder, name);
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().join("partition").exists()
                && let Some(name) = entry.file_name().to_str()
            {
                uses.extend(self.of_part(&entry.path(), name));
            }
        }
        uses.sort();
        uses.dedup();
        uses
    }

    fn of_part(&self, folder: &Path, name: &str) -> Vec<Use> {
        let number = text(&folder.join("dev")).as_deref().and_then(pair);
        let part = name.to_owned();
        let mounted = self.mounts.iter().filter(|m| {
            (m.number.is_some() && m.number == number) || m.name.as_deref() == Some(name)
        });
        let mut uses: Vec<Use> =
            mounted.map(|m| Use::Mounted { part: part.clone(), at: m.at.clone() }).collect();
        if self.swaps.contains(name) {
            uses.push(Use::Swap { part: part.clone() });
        }
        let holders = fs::read_dir(folder.join("holders")).into_iter().flatten().flatten();
        uses.extend(holders.map(|h| Use::Held {
            part: part.clone(),
            by: h.file_name().to_string_lossy().into_owned(),
        }));
        uses
    }
}

/// A line of mountinfo (proc_pid_mountinfo(5)): `36 35 8:1 /sub /mnt rw - ext4 /dev/sda1 rw`.
fn mount(root: &Path, line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut fields = left.split(' ').skip(2);
    let number = fields.next().and_then(pair);
    let at = unescape(fields.nth(1)?);
    let source = right.split(' ').nth(1).map(unescape).unwrap_or_default();
    let name = source.starts_with('/').then(|| device_name(root, &source)).flatten();
    Some(Mount { number, name, at })
}

/// The kernel's name of a device that a path names, through links.
fn device_name(root: &Path, path: &str) -> Option<String> {
    let path = unescape(path);
    let below: PathBuf = root.join(path.strip_prefix('/')?);
    last(&fs::canonicalize(&below).unwrap_or(below))
}

/// Blanks and the like are written as `\040`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|_| first == b'\\');
        let code = code.and_then(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 8).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
