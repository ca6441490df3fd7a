//! The oracles themselves: every generated image is sound and of the kind it claims to be.

use crate::damage::Dirty;
use crate::judge::{complaints, kernel_view};
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
