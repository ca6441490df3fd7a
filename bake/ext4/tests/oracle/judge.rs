//! The verdict on an edited image: e2fsck finds nothing, the kernel shows what the model says.

use std::path::Path;

use crate::host::{Mount, ask, copy_sparse, mounts};
use crate::scan::scan;
use crate::tree::Tree;

/// What e2fsck complains about; `None` where the file system is sound.
pub fn complaints(image: &Path) -> Option<String> {
    let said = ask("e2fsck", &["-f", "-n", &image.to_string_lossy()]);
    (said.status != 0).then_some(said.text)
}

/// What the kernel makes of an image: mounted once for writing, so that a journal is replayed and
/// orphans end, then read.
pub fn kernel_view(image: &Path) -> Tree {
    let scratch = crate::host::scratch();
    let copy = scratch.path().join("image");
    copy_sparse(image, &copy);
    Mount::new(&copy, "rw,noatime,init_itable=0").close();
    let mount = Mount::new(&copy, "ro,noatime");
    let tree = scan(&mount.root());
    mount.close();
    tree
}

/// Everything wrong with an edited image, in words; `Ok` when nothing is.
pub fn verdict(image: &Path, expected: &Tree) -> Result<(), String> {
    if let Some(text) = complaints(image) {
        return Err(format!("e2fsck -fn: {text}"));
    }
    if !mounts() {
        return Ok(());
    }
    // `noload` would hide a journal that was not left clean: plain `ro` replays it, which the
    // comparison of the bytes before and after would show, and e2fsck above has refused it.
    let mount = Mount::attempt(image, "ro,noatime").map_err(|e| format!("kernel: {e}"))?;
    let found = scan(&mount.root());
    mount.close();
    let mut expected = expected.clone();
    expected.count_links();
    let differences = expected.differences(&found);
    if differences.is_empty() {
        return Ok(());
    }
    let shown = differences.iter().take(12).cloned().collect::<Vec<_>>().join("\n  ");
    Err(format!("{} differences through the kernel:\n  {shown}", differences.len()))
}
