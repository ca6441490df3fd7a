//! What etcd writes on a board: its log, complete beside its place and then renamed, and only some
//! time later the first entry (the bytes are those of a real one, facts in `firstboot::facts`).

use std::path::{Path, PathBuf};

use nodeconf::paths;

use super::Town;

/// Type and data of the records with which a log is made, of the first entry, and of the state
/// that follows it.
const MADE: [(u8, &[u8]); 3] = [(4, b""), (1, b"whose"), (5, &[8, 0, 16, 0])];
const BORN: [(u8, &[u8]); 2] = [(2, &[8, 1, 16, 1]), (3, &[8, 1, 16, 0, 24, 1])];

fn log(records: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, data) in records {
        let mut record = vec![8, *kind, 16, 1];
        if !data.is_empty() {
            record.extend([26, u8::try_from(data.len()).unwrap()]);
            record.extend(*data);
        }
        let padding = record.len().wrapping_neg() % 8;
        let flags = if padding == 0 { 0 } else { 0x80 | padding as u64 };
        bytes.extend((record.len() as u64 | flags << 56).to_le_bytes());
        bytes.extend(&record);
        bytes.resize(bytes.len() + padding, 0);
    }
    bytes.resize(1024, 0);
    bytes
}

fn file() -> PathBuf {
    Path::new(paths::K3S_ETCD_WAL).join("0000000000000000-0000000000000000.wal")
}

fn member() -> &'static Path {
    Path::new(paths::K3S_ETCD_WAL).parent().unwrap()
}

impl Town {
    /// As etcd makes its log; the name is safe later.
    pub(super) fn make_log(&self, board: usize, cluster: u32, id: u32) {
        let disk = &mut self.boards[board].world.borrow_mut().disk;
        let whose = member().join("snap/db");
        disk.create(&whose, format!("{cluster} {id}\n").as_bytes(), 0o600).unwrap();
        let new = member().join("wal.tmp");
        disk.create(&new, &log(&MADE), 0o600).unwrap();
        for file in [&whose, &new] {
            disk.sync_file(file).unwrap();
        }
        disk.rename(&new, &file()).unwrap();
    }

    /// Names of what lies there are safe now.
    pub(super) fn sync_log(&self, board: usize) {
        let disk = &mut self.boards[board].world.borrow_mut().disk;
        for dir in [paths::K3S_ETCD_WAL.as_ref(), member(), &member().join("snap")] {
            disk.sync_dir(dir);
        }
    }

    /// The first entry and state, synced before anybody hears of them.
    pub(super) fn write_first_entry(&self, board: usize) {
        let disk = &mut self.boards[board].world.borrow_mut().disk;
        disk.create(&file(), &log(&[&MADE[..], &BORN[..]].concat()), 0o600).unwrap();
        disk.sync_file(&file()).unwrap();
    }

    /// The cluster and the member of the log on the board, born or not.
    pub(super) fn log(&self, board: usize) -> Option<(u32, u32)> {
        let disk = &self.boards[board].world.borrow().disk;
        disk.read(&file()).ok()?;
        let whose = String::from_utf8(disk.read(&member().join("snap/db")).ok()?).unwrap();
        let (cluster, id) = whose.trim().split_once(' ')?;
        Some((cluster.parse().ok()?, id.parse().ok()?))
    }

    /// The cluster whose data is on the board's disk.
    pub fn data(&self, board: usize) -> Option<u32> {
        if self.is_unborn(board) { None } else { Some(self.log(board)?.0) }
    }

    /// Whether the board's etcd has a log without an entry.
    pub fn is_unborn(&self, board: usize) -> bool {
        let bytes = self.boards[board].world.borrow().disk.read(&file());
        bytes.is_ok_and(|bytes| bytes == log(&MADE))
    }

    /// Nobody takes a born etcd's data away, whatever for.
    pub(super) fn must_not_take_data(&self, board: usize, path: &Path) {
        let holds = Path::new(paths::K3S_ETCD_WAL).starts_with(path);
        if holds && self.data(board).is_some() {
            self.violation(format!("board {board} takes its data away"));
        }
    }
}
