//! Real devices (loop devices, so only as root) that become something else between being looked at
//! and being opened: nothing is written to them, and it is said why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bake::device::{Cleared, Demand, Linux, Platform, judge};
use bake::error::Exit;

use crate::support::run;

const SIZE: u64 = 4 << 20;

/// A loop device on a file, until dropped.
struct Loop {
    device: PathBuf,
    file: PathBuf,
}

impl Loop {
    /// `None` where the user may not have one.
    fn on(dir: &Path, name: &str, size: u64) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let file = dir.join(name);
        fs::write(&file, vec![0xEE; usize::try_from(size).expect("small")]).expect("file");
        let device = run("losetup", &["--find", "--show", &file.to_string_lossy()]);
        Some(Self { device: device.trim().into(), file })
    }

    fn cleared(&self) -> Cleared {
        let device = Linux::default().look(&self.device).expect("a device");
        judge(device, Demand { bytes: SIZE, loops: true }).expect("free")
    }

    fn attach(&self) {
        run("losetup", &[&*self.device.to_string_lossy(), &self.file.to_string_lossy()]);
    }

    fn detach(&self) {
        run("losetup", &["--detach", &self.device.to_string_lossy()]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        run(program, &[arguments, &[&*self.device.to_string_lossy()]].concat());
    }

    /// Opening it must fail, with these words, and leave it as it is.
    fn refused(&self, cleared: &Cleared, words: &str) {
        let before = fs::read(&self.file).expect("file");
        let error = Linux::default().open(cleared).err().unwrap_or_else(|| panic!("not: {words}"));
        assert_eq!(error.exit(), Exit::Refused, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(fs::read(&self.file).expect("file") == before, "{words}: it was written to");
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // Who has the device next must be able to write to it.
        let _ = Command::new("blockdev").arg("--setrw").arg(&self.device).output();
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).output();
    }
}

#[test]
fn what_is_used_or_another_by_now_is_not_opened() {
    let dir = tempfile::tempdir().expect("dir");
    let Some(card) = Loop::on(dir.path(), "card", SIZE) else { return };
    card.run("mke2fs", &["-q", "-t", "ext2"]);
    let cleared = card.cleared();
    drop(Linux::default().open(&cleared).expect("a free device"));

    let at = dir.path().join("mounted");
    fs::create_dir(&at).expect("mount point");
    run("mount", &["-o", "ro", &card.device.to_string_lossy(), &at.to_string_lossy()]);
    card.refused(&cleared, "the kernel has it in use");
    run("umount", &[&at.to_string_lossy()]);

    // Another program has it for itself.
    let held = Linux::default().open(&cleared).expect("a free device");
    card.refused(&cleared, "the kernel has it in use");
    drop(held);

    card.run("blockdev", &["--setro"]);
    card.refused(&cleared, "it is write-protected");
    card.run("blockdev", &["--setrw"]);

    // Another card in the same reader: of the same size, and of another.
    for size in [SIZE, 2 * SIZE] {
        let cleared = card.cleared();
        card.detach();
        let other = Loop { device: card.device.clone(), file: dir.path().join("other") };
        fs::write(&other.file, vec![7; usize::try_from(size).expect("small")]).expect("file");
        other.attach();
        other.refused(&cleared, "another device or card has taken its place");
        drop(other);
        card.attach();
    }
}
