//! Generated images, kept by the digest of their recipe outside the checkout.

use std::path::{Path, PathBuf};

use crate::tree;

/// Overrides where generated images are kept.
pub const CACHE: &str = "EXT4_EDIT_CACHE";

fn directory() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is not set")).join(".cache");
    let base = || std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    std::env::var_os(CACHE).map_or_else(|| base().join("ext4-edit"), PathBuf::from)
}

/// The image made by `make` under this recipe; made once, whoever asks first.
pub fn image(name: &str, recipe: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let directory = directory();
    std::fs::create_dir_all(&directory).expect("making the cache of images");
    let digest: String =
        tree::digest(recipe.as_bytes())[..8].iter().map(|b| format!("{b:02x}")).collect();
    let path = directory.join(format!("{name}-{digest}.img"));
    let lock = std::fs::File::create(path.with_extension("lock")).expect("making a lock file");
    lock.lock().expect("locking the cache of images");
    if !path.exists() {
        let unfinished = path.with_extension("part");
        make(&unfinished);
        std::fs::rename(&unfinished, &path).expect("naming a finished image");
    }
    path
}
