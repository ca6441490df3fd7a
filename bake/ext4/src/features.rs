//! Feature bits and the gate: what is edited, what is refused by name (kernel documentation, ext4
//! "Super Block": `s_feature_compat`, `s_feature_incompat`, `s_feature_ro_compat`).

use crate::error::{Error, Result, unsupported};

/// `s_feature_compat`.
pub(crate) mod compat {
    pub(crate) const HAS_JOURNAL: u32 = 0x4;
    pub(crate) const EXT_ATTR: u32 = 0x8;
    pub(crate) const RESIZE_INODE: u32 = 0x10;
    pub(crate) const DIR_INDEX: u32 = 0x20;
    pub(crate) const SPARSE_SUPER2: u32 = 0x200;
    pub(crate) const FAST_COMMIT: u32 = 0x400;
    pub(crate) const ORPHAN_FILE: u32 = 0x1000;
}

/// `s_feature_incompat`.
pub(crate) mod incompat {
    pub(crate) const FILETYPE: u32 = 0x2;
    pub(crate) const RECOVER: u32 = 0x4;
    pub(crate) const EXTENTS: u32 = 0x40;
    pub(crate) const IS_64BIT: u32 = 0x80;
    pub(crate) const FLEX_BG: u32 = 0x200;
    pub(crate) const CSUM_SEED: u32 = 0x2000;
    pub(crate) const LARGEDIR: u32 = 0x4000;
}

/// `s_feature_ro_compat`.
pub(crate) mod ro_compat {
    pub(crate) const SPARSE_SUPER: u32 = 0x1;
    pub(crate) const LARGE_FILE: u32 = 0x2;
    pub(crate) const HUGE_FILE: u32 = 0x8;
    pub(crate) const GDT_CSUM: u32 = 0x10;
    pub(crate) const DIR_NLINK: u32 = 0x20;
    pub(crate) const EXTRA_ISIZE: u32 = 0x40;
    pub(crate) const METADATA_CSUM: u32 = 0x400;
    pub(crate) const ORPHAN_PRESENT: u32 = 0x1_0000;
}

struct Word {
    names: &'static [(u32, &'static str)],
    supported: u32,
    label: &'static str,
}

const COMPAT: Word = Word {
    names: &[
        (0x1, "dir_prealloc"),
        (0x2, "imagic_inodes"),
        (compat::HAS_JOURNAL, "has_journal"),
        (compat::EXT_ATTR, "ext_attr"),
        (compat::RESIZE_INODE, "resize_inode"),
        (compat::DIR_INDEX, "dir_index"),
        (0x40, "lazy_bg"),
        (0x100, "exclude_bitmap"),
        (compat::SPARSE_SUPER2, "sparse_super2"),
        (compat::FAST_COMMIT, "fast_commit"),
        (0x800, "stable_inodes"),
        (compat::ORPHAN_FILE, "orphan_file"),
    ],
    supported: !(0x40 | 0x100),
    label: "compat",
};

const INCOMPAT: Word = Word {
    names: &[
        (0x1, "compression"),
        (incompat::FILETYPE, "filetype"),
        (incompat::RECOVER, "needs_recovery"),
        (0x8, "journal_dev"),
        (0x10, "meta_bg"),
        (incompat::EXTENTS, "extent"),
        (incompat::IS_64BIT, "64bit"),
        (0x100, "mmp"),
        (incompat::FLEX_BG, "flex_bg"),
        (0x400, "ea_inode"),
        (0x1000, "dirdata"),
        (incompat::CSUM_SEED, "metadata_csum_seed"),
        (incompat::LARGEDIR, "large_dir"),
        (0x8000, "inline_data"),
        (0x1_0000, "encrypt"),
        (0x2_0000, "casefold"),
    ],
    supported: incompat::FILETYPE
        | incompat::RECOVER
        | incompat::EXTENTS
        | incompat::IS_64BIT
        | incompat::FLEX_BG
        | incompat::CSUM_SEED
        | incompat::LARGEDIR,
    label: "incompat",
};

const RO_COMPAT: Word = Word {
    names: &[
        (ro_compat::SPARSE_SUPER, "sparse_super"),
        (ro_compat::LARGE_FILE, "large_file"),
        (0x4, "btree_dir"),
        (ro_compat::HUGE_FILE, "huge_file"),
        (ro_compat::GDT_CSUM, "uninit_bg"),
        (ro_compat::DIR_NLINK, "dir_nlink"),
        (ro_compat::EXTRA_ISIZE, "extra_isize"),
        (0x80, "snapshot"),
        (0x100, "quota"),
        (0x200, "bigalloc"),
        (ro_compat::METADATA_CSUM, "metadata_csum"),
        (0x800, "replica"),
        (0x1000, "read-only"),
        (0x2000, "project"),
        (0x4000, "shared_blocks"),
        (0x8000, "verity"),
        (ro_compat::ORPHAN_PRESENT, "orphan_present"),
    ],
    supported: ro_compat::SPARSE_SUPER
        | ro_compat::LARGE_FILE
        | ro_compat::HUGE_FILE
        | ro_compat::GDT_CSUM
        | ro_compat::DIR_NLINK
        | ro_compat::EXTRA_ISIZE
        | ro_compat::METADATA_CSUM
        | ro_compat::ORPHAN_PRESENT,
    label: "ro_compat",
};

/// Name of the bit `1 << n`, as `tune2fs -l` prints it where it has one.
fn name(word: &Word, n: u32) -> String {
    let named = word.names.iter().find(|(bit, _)| *bit == 1 << n);
    named.map_or_else(|| format!("{} bit {n}", word.label), |(_, name)| (*name).to_owned())
}

fn names(word: &Word, bits: u32) -> impl Iterator<Item = String> {
    (0..32).filter(move |n| bits >> n & 1 == 1).map(move |n| name(word, n))
}

/// Names of all features set.
pub(crate) fn list(compat: u32, incompat: u32, ro_compat: u32) -> Vec<String> {
    names(&COMPAT, compat)
        .chain(names(&INCOMPAT, incompat))
        .chain(names(&RO_COMPAT, ro_compat))
        .collect()
}

/// Refuses every file system that cannot be edited faithfully, naming all reasons at once.
///
/// # Errors
/// [`Error::Unsupported`].
pub(crate) fn gate(compat: u32, incompat: u32, ro_compat: u32) -> Result<(), Error> {
    let refused: Vec<String> = names(&COMPAT, compat & !COMPAT.supported)
        .chain(names(&INCOMPAT, incompat & !INCOMPAT.supported))
        .chain(names(&RO_COMPAT, ro_compat & !RO_COMPAT.supported))
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(unsupported(refused.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_every_feature() {
        let refused = gate(0x4, 0x8002 | 1 << 30, 0x200).unwrap_err().to_string();
        assert_eq!(refused, "feature inline_data, incompat bit 30, bigalloc is not supported");
        assert!(gate(0x3c | 1 << 28, 0x2c2, 0x46b).is_ok());
    }
}
