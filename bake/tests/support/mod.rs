//! What the oracle tests share.

#![allow(dead_code, reason = "each test program uses its part")]

pub mod bench;
pub mod terminal;

use std::process::{Command, Stdio};

/// Runs an oracle; its output where it is content, a panic with it where not.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = [out.stdout, out.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).concat();
    assert!(out.status.success(), "{program} {arguments:?}: {text}");
    text
}

/// xorshift: small, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % end.max(1) as u64) as usize
    }
}

/// A file system that the kernel mounted for one test.
pub struct Mount {
    // Before the folder it is on: fields are dropped in this order.
    at: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

impl Mount {
    /// Makes a file system in a file and mounts it; `None` where the user may not mount.
    pub fn formatted(mkfs: &str, arguments: &[&str], len: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("device");
        std::fs::File::create(&file).and_then(|f| f.set_len(len)).expect("device");
        let device = file.to_string_lossy();
        run(mkfs, &[arguments, &[&*device]].concat());
        Self::on(dir, &["-o", "loop", &device])
    }

    /// A file system in memory of `len` bytes.
    pub fn tmpfs(len: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("dir");
        Self::on(dir, &["-t", "tmpfs", "-o", &format!("size={len}"), "tmpfs"])
    }

    fn on(dir: tempfile::TempDir, arguments: &[&str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let at = dir.path().join("mount");
        std::fs::create_dir(&at).expect("mount point");
        let mount = || Command::new("mount").args(arguments).arg(&at).output().expect("mount");
        let mut said = mount();
        // Two mounts at once may race for one free loop device.
        for _ in 0..40 {
            if said.status.success() || !String::from_utf8_lossy(&said.stderr).contains("loop") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
            said = mount();
        }
        assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
        Some(Self { at, _dir: dir })
    }

    pub fn path(&self) -> &std::path::Path {
        &self.at
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}
