//! Whether anybody else has a file open. One of the two places of this program with `unsafe`: no
//! safe function asks for a lease (fcntl(2), "Leases").
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "fcntl(2) has no type of its own"))]

use std::fs::File;

/// `F_SETSIG` (fcntl(2)), the same on all that Linux runs on.
#[cfg(target_os = "linux")]
const F_SETSIG: libc::c_int = 10;

/// Whether nobody but `file` itself has the file open or mapped, in whatever process; `false` also
/// where the system cannot tell, or this user may not ask.
#[cfg(target_os = "linux")]
#[must_use]
pub fn alone(file: &File) -> bool {
    use std::os::fd::AsRawFd;
    let fd = file.as_raw_fd();
    // SAFETY: these three take integers and touch no memory of ours; `file` keeps `fd` open.
    // Whoever opens the file in between is announced by a signal, which is to be one that does
    // nothing: the usual SIGIO would end the process.
    unsafe {
        libc::fcntl(fd, F_SETSIG, libc::SIGURG) == 0
            && libc::fcntl(fd, libc::F_SETLEASE, libc::F_WRLCK) == 0
            && libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) == 0
    }
}

/// Nobody can tell on this system.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn alone(_: &File) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn readers_writers_and_other_names_are_seen_and_gone_when_they_close() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("image");
        std::fs::write(&path, "image").expect("file");
        let file = File::open(&path).expect("open");
        assert!(alone(&file));
        let twin = file.try_clone().expect("the same opening once more");
        assert!(alone(&file) && alone(&twin));
        std::fs::hard_link(&path, dir.path().join("other")).expect("link");
        for name in ["image", "other"] {
            let other = dir.path().join(name);
            for write in [false, true] {
                let reader = File::options().read(true).write(write).open(&other).expect("open");
                assert!(!alone(&file) && !alone(&reader), "{name}, {write}");
                drop(reader);
                assert!(alone(&file));
            }
        }
    }
}
