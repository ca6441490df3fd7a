//! The programs and the mounts of the machine under the test: mke2fs, e2fsck, debugfs, the kernel.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set to any value to run without kernel mounts; the tests then say what they did not see.
pub const WITHOUT_MOUNT: &str = "EXT4_EDIT_WITHOUT_MOUNT";

/// What a program said and how it ended.
pub struct Said {
    pub status: i32,
    pub text: String,
}

/// Runs a program to its end, whatever its status.
pub fn ask<S: AsRef<std::ffi::OsStr>>(program: &str, arguments: &[S]) -> Said {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("starting {program}: {e}; install e2fsprogs and util-linux"));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Said { status: output.status.code().unwrap_or(-1), text }
}

/// Runs a program that must succeed.
pub fn run<S: AsRef<std::ffi::OsStr> + std::fmt::Debug>(program: &str, arguments: &[S]) -> String {
    let said = ask(program, arguments);
    assert_eq!(said.status, 0, "{program} {arguments:?}: {}", said.text);
    said.text
}

/// Runs debugfs requests that must all succeed: debugfs itself exits 0 on errors, so anything it
/// says beyond its banner and the echo of the requests counts as one.
pub fn debugfs(image: &Path, requests: &[&str]) {
    for request in requests {
        let said = ask("debugfs", &["-w", "-R", request, &image.to_string_lossy()]);
        let complaint = said.text.lines().find(|l| !l.starts_with("debugfs ") && !l.is_empty());
        assert!(said.status == 0 && complaint.is_none(), "debugfs {request}: {}", said.text);
    }
}

/// Whether the tests may mount; panics where mounting fails without having been opted out of.
pub fn mounts() -> bool {
    if std::env::var_os(WITHOUT_MOUNT).is_some() {
        return false;
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests mount what they edited: run them as root with loop devices, or set \
         {WITHOUT_MOUNT}=1 to judge by e2fsck and our own reader alone"
    );
    true
}

/// A directory for images under test: in memory where the machine has room there, because an
/// unmount waits for the device below.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("making a directory")
}

/// A file system mounted through a loop device; unmounted on drop.
pub struct Mount {
    directory: tempfile::TempDir,
    mounted: bool,
}

impl Mount {
    /// Mounts `image` with `options` ("ro,noatime").
    pub fn new(image: &Path, options: &str) -> Self {
        Self::attempt(image, options).unwrap_or_else(|e| {
            panic!("mounting {} ({options}): {e}", image.display());
        })
    }

    /// As [`Mount::new`], with the refusal of the kernel as an error.
    pub fn attempt(image: &Path, options: &str) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("making a mount point");
        let arguments: [&std::ffi::OsStr; 6] = [
            "-t".as_ref(),
            "ext4".as_ref(),
            "-o".as_ref(),
            options.as_ref(),
            image.as_ref(),
            directory.path().as_ref(),
        ];
        let mut said = ask("mount", &arguments);
        // Two mounts at once may race for one free loop device.
        for _ in 0..20 {
            if said.status == 0 || !said.text.contains("loop") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
            said = ask("mount", &arguments);
        }
        if said.status == 0 { Ok(Self { directory, mounted: true }) } else { Err(said.text) }
    }

    /// Root of the mounted tree.
    pub fn root(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Unmounts, failing the test if that fails.
    pub fn close(mut self) {
        self.mounted = false;
        let mut said = ask("umount", &[self.directory.path()]);
        // A program that another thread is just starting holds our open files for a moment.
        for _ in 0..100 {
            if said.status == 0 || !said.text.contains("busy") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
            said = ask("umount", &[self.directory.path()]);
        }
        assert_eq!(said.status, 0, "umount: {}", said.text);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            ask("umount", &["-l".as_ref(), self.directory.path().as_os_str()]);
        }
    }
}

/// Copies a sparse file, by reference where the host's file system can.
pub fn copy_sparse(from: &Path, to: &Path) {
    run(
        "cp",
        &["--reflink=auto".as_ref(), "--sparse=always".as_ref(), from.as_os_str(), to.as_os_str()],
    );
}
