//! The oracles themselves: every generated image is sound and of the kind it claims to be.

use crate::damage::Dirty;
use crate::judge::{complaints, kernel_view, verdict};
use crate::kinds::{DIRTY, Fill, LARGE_DIRECTORIES, SMALL};

#[test]
fn clean_kinds_are_sound() {
    for kind in SMALL.iter().chain(LARGE_DIRECTORIES) {
        let said = complaints(&kind.image());
        assert!(said.is_none(), "{}: {}", kind.name, said.unwrap_or_default());
    }
}

#[test]
fn dirty_kinds_await_recovery() {
    for kind in DIRTY {
        let image = kind.image();
        let said = crate::host::ask("dumpe2fs", &["-h", &image.to_string_lossy()]);
        assert!(said.text.contains("needs_recovery"), "{}: {}", kind.name, said.text);
        let tree = kernel_view(&image);
        if let Fill::Dirty(Dirty::Metadata(_)) = kind.fill {
            assert!(tree.get(b"/reuser-2").is_some(), "{}: nothing to replay", kind.name);
        }
        if let Fill::Dirty(Dirty::Orphans) = kind.fill {
            assert!(tree.get(b"/doomed-3").is_none(), "{}: no orphans", kind.name);
        }
    }
}

/// A judge that cannot convict is worth nothing.
#[test]
fn the_judge_sees_every_kind_of_difference() {
    let kind = crate::kinds::by_name("debian");
    let base = kernel_view(&kind.image());
    for request in [
        "sif /etc/conf-001 mtime 5",
        "sif /etc/conf-001 atime 5",
        "sif /etc/conf-001 ctime 5",
        "sif /etc/conf-001 crtime 5",
        "sif /etc/conf-001 uid 5",
        "sif /etc/conf-001 gid 5",
        "sif /etc/conf-001 mode 0100600",
        "ea_set /etc/conf-001 user.added value",
        "ea_rm /xattrs/file-2 user.small",
        "write /proc/self/cmdline /etc/added",
        "symlink /etc/added elsewhere",
        "unlink /etc/hard-1",
        "zap_block -f /etc/conf-001 0",
    ] {
        let scratch = crate::host::scratch();
        let image = scratch.path().join("image");
        crate::host::copy_sparse(&kind.image(), &image);
        assert_eq!(verdict(&image, &base), Ok(()));
        crate::host::ask("debugfs", &["-w", "-R", request, &image.to_string_lossy()]);
        assert!(verdict(&image, &base).is_err(), "unseen: {request}");
    }
}
