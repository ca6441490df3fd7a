//! The kinds of file systems that edits are judged on, and how each is made.

use std::path::{Path, PathBuf};

use crate::host::{debugfs, run};
use crate::{cache, damage, populate};

/// What fills a fresh file system, by a mounted root or by what it does to the image.
#[derive(Clone, Copy)]
pub enum Fill {
    /// A little of everything a Linux tree can hold.
    Assorted,
    /// The same, then filled up with interleaved small files of which every second is removed.
    NearlyFull,
    /// Directories with so many entries.
    Entries(u32),
    /// A copy of part of this machine's own `/usr`.
    Real,
    /// A little of what matters to readers, in a few hundred kilobytes.
    Tiny,
    /// The same, with a journal that awaits replay and orphans.
    TinyDirty,
    /// The same as `Assorted`, with a journal that awaits replay.
    Dirty(damage::Dirty),
}

/// A recipe for a file system.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub mib: u64,
    /// Features after `-O none,`.
    pub features: &'static str,
    /// Further options of mke2fs.
    pub options: &'static [&'static str],
    /// debugfs requests after mke2fs and before the first mount.
    pub adjust: &'static [&'static str],
    pub fill: Fill,
}

const DEBIAN: &str = "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
                      sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
const PI_2022: &str = "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,\
                       sparse_super,large_file,dir_nlink,extra_isize";
const PI_2023: &str = "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,\
                       sparse_super,large_file,dir_nlink,extra_isize,metadata_csum";
const ORPHAN_FILE: &str = "has_journal,ext_attr,resize_inode,dir_index,orphan_file,filetype,extent,\
                           64bit,flex_bg,metadata_csum_seed,sparse_super,large_file,huge_file,\
                           dir_nlink,extra_isize,metadata_csum";
const SEED: &str = "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
                    metadata_csum_seed,sparse_super,large_file,huge_file,dir_nlink,extra_isize,\
                    metadata_csum";
const EXT3: &str = "has_journal,ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file";
const GDT_CSUM: &str = "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,\
                        sparse_super,large_file,huge_file,uninit_bg,dir_nlink,extra_isize";

const BASIC: Kind = Kind {
    name: "debian",
    mib: 48,
    features: DEBIAN,
    options: &["-b", "4096", "-I", "256"],
    adjust: &[],
    fill: Fill::Assorted,
};

/// Small kinds: each random script runs on one of them.
pub const SMALL: &[Kind] = &[
    BASIC,
    Kind { name: "pi-2022", features: PI_2022, ..BASIC },
    Kind { name: "pi-2023", features: PI_2023, ..BASIC },
    Kind { name: "block-1k", mib: 40, options: &["-b", "1024", "-I", "256"], ..BASIC },
    Kind {
        name: "block-1k-pi-2022",
        mib: 40,
        features: PI_2022,
        options: &["-b", "1024", "-I", "256"],
        ..BASIC
    },
    Kind { name: "block-2k", options: &["-b", "2048", "-I", "256"], ..BASIC },
    Kind { name: "orphan-file", features: ORPHAN_FILE, ..BASIC },
    Kind {
        name: "csum-seed",
        features: SEED,
        adjust: &["ssv uuid 00112233-4455-6677-8899-aabbccddeeff"],
        ..BASIC
    },
    Kind { name: "inode-128", options: &["-b", "4096", "-I", "128"], ..BASIC },
    Kind { name: "inode-512", options: &["-b", "4096", "-I", "512"], ..BASIC },
    Kind { name: "ext3", features: EXT3, options: &["-b", "1024", "-I", "128"], mib: 40, ..BASIC },
    Kind { name: "ext3-4k", features: EXT3, options: &["-b", "4096", "-I", "256"], ..BASIC },
    Kind { name: "gdt-csum", features: GDT_CSUM, ..BASIC },
    Kind {
        name: "no-journal",
        features: "ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum",
        ..BASIC
    },
    Kind { name: "plain", features: "filetype,extent,sparse_super,large_file", ..BASIC },
    Kind {
        name: "small-groups",
        mib: 48,
        options: &["-b", "1024", "-I", "256", "-g", "1024"],
        ..BASIC
    },
    Kind { name: "nearly-full", mib: 40, fill: Fill::NearlyFull, ..BASIC },
    Kind {
        name: "nearly-full-1k",
        mib: 24,
        features: PI_2022,
        options: &["-b", "1024", "-I", "128"],
        fill: Fill::NearlyFull,
        ..BASIC
    },
    Kind {
        name: "nearly-full-ext3",
        mib: 24,
        features: EXT3,
        options: &["-b", "1024", "-I", "128"],
        fill: Fill::NearlyFull,
        ..BASIC
    },
];

/// Kinds whose journal awaits replay, or whose orphans await their end.
pub const DIRTY: &[Kind] = &[
    Kind { name: "dirty-csum-v3-64bit", fill: Fill::Dirty(damage::Dirty::Metadata("")), ..BASIC },
    Kind {
        name: "dirty-csum-v3-32bit",
        features: PI_2023,
        fill: Fill::Dirty(damage::Dirty::Metadata("")),
        ..BASIC
    },
    Kind {
        name: "dirty-no-csum",
        features: PI_2022,
        fill: Fill::Dirty(damage::Dirty::Metadata("")),
        ..BASIC
    },
    Kind {
        name: "dirty-csum-v1",
        features: PI_2022,
        fill: Fill::Dirty(damage::Dirty::Metadata(",journal_checksum")),
        ..BASIC
    },
    Kind {
        name: "dirty-async",
        features: PI_2022,
        fill: Fill::Dirty(damage::Dirty::Metadata(",journal_async_commit,data=writeback")),
        ..BASIC
    },
    Kind {
        name: "dirty-async-csum",
        fill: Fill::Dirty(damage::Dirty::Metadata(",journal_async_commit,data=writeback")),
        ..BASIC
    },
    Kind {
        name: "dirty-escaped",
        fill: Fill::Dirty(damage::Dirty::Metadata(",data=journal")),
        ..BASIC
    },
    Kind {
        name: "dirty-escaped-no-csum",
        features: PI_2022,
        fill: Fill::Dirty(damage::Dirty::Metadata(",data=journal")),
        ..BASIC
    },
    Kind {
        name: "dirty-1k",
        mib: 40,
        options: &["-b", "1024", "-I", "256"],
        fill: Fill::Dirty(damage::Dirty::Metadata("")),
        ..BASIC
    },
    Kind {
        name: "dirty-ext3",
        features: EXT3,
        mib: 40,
        options: &["-b", "1024", "-I", "128"],
        fill: Fill::Dirty(damage::Dirty::Metadata("")),
        ..BASIC
    },
    Kind {
        name: "dirty-written-v2",
        features: PI_2022,
        fill: Fill::Dirty(damage::Dirty::Written(2)),
        ..BASIC
    },
    Kind { name: "dirty-written-v3", fill: Fill::Dirty(damage::Dirty::Written(3)), ..BASIC },
    Kind { name: "orphans-list", fill: Fill::Dirty(damage::Dirty::Orphans), ..BASIC },
    Kind {
        name: "orphans-list-pi-2022",
        features: PI_2022,
        fill: Fill::Dirty(damage::Dirty::Orphans),
        ..BASIC
    },
    Kind {
        name: "orphans-list-ext3",
        features: EXT3,
        mib: 40,
        options: &["-b", "1024", "-I", "128"],
        fill: Fill::Dirty(damage::Dirty::Orphans),
        ..BASIC
    },
    Kind {
        name: "orphans-file",
        features: ORPHAN_FILE,
        fill: Fill::Dirty(damage::Dirty::Orphans),
        ..BASIC
    },
];

/// Kinds with large indexed directories.
pub const LARGE_DIRECTORIES: &[Kind] = &[
    Kind {
        name: "entries-5000",
        mib: 64,
        options: &["-b", "4096", "-I", "256", "-N", "20000"],
        fill: Fill::Entries(5_000),
        ..BASIC
    },
    Kind {
        name: "entries-20000",
        mib: 96,
        options: &["-b", "4096", "-I", "256", "-N", "40000"],
        fill: Fill::Entries(20_000),
        ..BASIC
    },
    Kind {
        name: "entries-20000-1k-tea",
        mib: 96,
        options: &["-b", "1024", "-I", "256", "-N", "40000"],
        adjust: &["ssv def_hash_version tea"],
        fill: Fill::Entries(20_000),
        ..BASIC
    },
    Kind {
        name: "entries-5000-1k-legacy",
        mib: 64,
        features: PI_2022,
        options: &["-b", "1024", "-I", "128", "-N", "20000"],
        adjust: &["ssv def_hash_version legacy"],
        fill: Fill::Entries(5_000),
    },
    Kind {
        name: "entries-5000-unsigned",
        mib: 64,
        options: &["-b", "1024", "-I", "256", "-N", "20000"],
        adjust: &["ssv flags 2"],
        fill: Fill::Entries(5_000),
        ..BASIC
    },
    Kind {
        name: "entries-5000-tea-unsigned",
        mib: 64,
        features: PI_2022,
        options: &["-b", "1024", "-I", "256", "-N", "20000"],
        adjust: &["ssv flags 2", "ssv def_hash_version tea"],
        fill: Fill::Entries(5_000),
    },
    Kind {
        name: "entries-5000-legacy-unsigned",
        mib: 64,
        options: &["-b", "1024", "-I", "256", "-N", "20000"],
        adjust: &["ssv flags 2", "ssv def_hash_version legacy"],
        fill: Fill::Entries(5_000),
        ..BASIC
    },
];

const TINY_ONE: Kind = Kind {
    name: "tiny",
    mib: 2,
    features: "ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,\
               dir_nlink,extra_isize",
    options: &["-b", "1024", "-I", "256", "-N", "512"],
    adjust: &[],
    fill: Fill::Tiny,
};

/// Kinds small enough to be mutated by the thousand.
pub const TINY: &[Kind] = &[
    TINY_ONE,
    Kind {
        name: "tiny-ext2",
        features: "ext_attr,dir_index,filetype,sparse_super,large_file",
        options: &["-b", "1024", "-I", "128", "-N", "512"],
        ..TINY_ONE
    },
    Kind { name: "tiny-groups", options: &["-b", "1024", "-g", "512", "-N", "512"], ..TINY_ONE },
    Kind {
        name: "tiny-csum",
        features: "ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,\
                   huge_file,dir_nlink,extra_isize,metadata_csum",
        ..TINY_ONE
    },
    Kind {
        name: "tiny-dirty",
        mib: 5,
        features: "has_journal,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super,\
                   large_file,dir_nlink,extra_isize",
        fill: Fill::TinyDirty,
        ..TINY_ONE
    },
];

/// A 4 GB file system with real content.
pub const REAL: Kind = Kind { name: "real-4g", mib: 4096, fill: Fill::Real, ..BASIC };

/// Any kind by its name.
pub fn by_name(name: &str) -> Kind {
    *[SMALL, DIRTY, LARGE_DIRECTORIES, TINY, &[REAL]]
        .into_iter()
        .flatten()
        .find(|k| k.name == name)
        .unwrap_or_else(|| panic!("no kind of file system is called {name}"))
}

impl Kind {
    /// Path of the generated image in the cache: to be copied, never written.
    pub fn image(&self) -> PathBuf {
        let recipe = format!(
            "{} {} {} {:?} {:?} {}",
            self.name,
            self.mib,
            self.features,
            self.options,
            self.adjust,
            populate::VERSION
        );
        cache::image(self.name, &recipe, |path| self.make(path))
    }

    /// An empty file system of this kind.
    pub fn format(&self, path: &Path) {
        let file = std::fs::File::create(path).expect("creating an image");
        file.set_len(self.mib << 20).expect("sizing an image");
        let features = format!("none,{}", self.features.replace(' ', ""));
        let mut arguments = vec!["-q", "-F", "-t", "ext4", "-O", &features, "-m", "0"];
        arguments.extend(["-U", "12345678-9abc-4def-8123-456789abcdef"]);
        // Without it mke2fs leaves the zeroing of inode tables to a kernel thread.
        arguments
            .extend(["-E", "lazy_itable_init=1,hash_seed=0f1e2d3c-4b5a-4968-8776-655443322110"]);
        arguments.extend(self.options);
        let path_text = path.to_string_lossy();
        arguments.push(&path_text);
        run("mke2fs", &arguments);
        debugfs(path, self.adjust);
    }

    fn make(&self, path: &Path) {
        self.format(path);
        match self.fill {
            Fill::Assorted => populate::through_mount(path, populate::assorted),
            Fill::NearlyFull => populate::through_mount(path, |root| {
                populate::assorted(root);
                populate::fragments(root);
            }),
            Fill::Entries(count) => populate::through_mount(path, |root| {
                populate::assorted(root);
                populate::entries(root, count);
            }),
            Fill::Real => populate::through_mount(path, populate::real),
            Fill::Tiny => populate::through_mount(path, populate::tiny),
            Fill::TinyDirty => {
                populate::through_mount(path, populate::tiny);
                damage::tiny(path);
            }
            Fill::Dirty(dirty) => {
                populate::through_mount(path, populate::assorted);
                dirty.inflict(path);
            }
        }
    }
}
