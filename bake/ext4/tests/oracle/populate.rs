//! Fills mounted file systems with what real ones hold, corners included.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Mode, Timespec, Timestamps, XattrFlags, fallocate,
    lsetxattr, mknodat, utimensat,
};

use crate::host::{Mount, run};
use crate::rng::Rng;

/// Part of every image's cache key: raise it whenever this file changes what it makes.
pub const VERSION: u32 = 1;

/// Mounts, fills, unmounts.
pub fn through_mount(image: &Path, fill: impl FnOnce(&Path)) {
    let mount = Mount::new(image, "rw,noatime,init_itable=0");
    fill(&mount.root());
    mount.close();
}

/// A little of everything.
pub fn assorted(root: &Path) {
    ghosts(root);
    let mut rng = Rng::new(7);
    for directory in ["etc", "etc/systemd", "usr", "usr/bin", "var", "var/lib", "deep/a/b/c/d/e"] {
        fs::create_dir_all(root.join(directory)).expect("making a directory");
    }
    for size in [
        0, 1, 59, 60, 61, 159, 160, 1023, 1024, 1025, 4095, 4096, 4097, 49_152, 49_153, 300_000,
        1_200_000,
    ] {
        fs::write(root.join(format!("usr/bin/size-{size}")), rng.bytes(size)).expect("writing");
    }
    for i in 0..60 {
        let len = usize::try_from(rng.below(3000)).expect("small");
        fs::write(root.join(format!("etc/conf-{i:03}")), rng.bytes(len)).expect("writing");
    }
    for len in [1, 30, 58, 59, 60, 61, 200, 900] {
        symlink("x".repeat(len), root.join(format!("etc/link-{len}"))).expect("linking");
    }
    for i in 0..4 {
        fs::hard_link(root.join("usr/bin/size-4097"), root.join(format!("etc/hard-{i}")))
            .expect("linking");
    }
    fs::create_dir(root.join("many")).expect("making a directory");
    for i in 0..400 {
        let name = format!("many/a-rather-long-name-that-fills-directory-blocks-{i:04}");
        File::create(root.join(name)).expect("creating");
    }
    odd_names(root);
    holes(root);
    ownership(root);
    attributes(root);
    specials(root);
}

/// Inodes freed with everything on them, for later edits to reuse: nothing of them may show.
fn ghosts(root: &Path) {
    for i in 0..40 {
        let path = root.join(format!("ghost-{i}"));
        fs::write(&path, vec![0xAA; 5000]).expect("writing");
        xattr(&path, "security.capability", CAPABILITY);
        xattr(&path, "user.ghost", &[b'g'; 40]);
    }
    rustix::fs::syncfs(File::open(root).expect("opening the root")).expect("syncing");
    for i in 0..40 {
        fs::remove_file(root.join(format!("ghost-{i}"))).expect("removing");
    }
}

/// `cap_net_raw=ep` as `struct vfs_cap_data`, revision 2.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// `user::rw-,user:1000:rwx,group::r--,mask::rwx,other::r--` in the kernel's xattr form.
const ACL: &[u8] = &[
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 7, 0, 232, 3, 0, 0, 4, 0, 4, 0, 255, 255,
    255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255,
];

fn xattr(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty())
        .unwrap_or_else(|e| panic!("setting {name} on {}: {e}", path.display()));
}

fn odd_names(root: &Path) {
    let directory = root.join("odd");
    fs::create_dir(&directory).expect("making a directory");
    for name in [
        &b"\xff\xfe not utf-8"[..],
        "größe-日本語".as_bytes(),
        b" ",
        b"-rf",
        b"new\nline",
        &[b'n'; 255],
    ] {
        fs::write(directory.join(std::ffi::OsStr::from_bytes(name)), name).expect("writing");
    }
    // Bytes above 127 tell signed from unsigned hashes; enough of them to be indexed.
    for i in 0_u8..120 {
        let name = [
            b"\xc3\xa4\xff\x80-long-enough-to-need-more-blocks-".as_slice(),
            &[b'a' + i % 26, b'0' + i / 26],
        ]
        .concat();
        File::create(directory.join(std::ffi::OsStr::from_bytes(&name))).expect("creating");
    }
}

fn holes(root: &Path) {
    let sparse = File::create(root.join("sparse")).expect("creating");
    sparse.set_len(900_000).expect("sizing");
    for at in [0, 100_000, 400_001, 800_000] {
        sparse.write_all_at(b"island", at).expect("writing");
    }
    let reserved = File::create(root.join("reserved")).expect("creating");
    // Block-mapped files cannot hold unwritten ranges; the kernel refuses there, which is fine.
    let _ = fallocate(&reserved, FallocateFlags::empty(), 0, 500_000);
    reserved.write_all_at(b"written", 200_000).expect("writing");
    let beyond = File::create(root.join("beyond-the-end")).expect("creating");
    beyond.write_all_at(b"short", 0).expect("writing");
    let _ = fallocate(&beyond, FallocateFlags::KEEP_SIZE, 0, 64 << 10);
    // Many extents: every second block, so that the extent tree has leaves of its own.
    let comb = File::create(root.join("comb")).expect("creating");
    for i in 0..700_u64 {
        comb.write_all_at(&[7; 512], i * 8192).expect("writing");
        if i % 100 == 0 {
            comb.sync_all().expect("syncing");
        }
    }
}

fn ownership(root: &Path) {
    for (i, (uid, gid, mode, at)) in [
        (0, 0, 0o4755, 0),
        (1000, 1000, 0o600, -1),
        (65_536, 4_000_000_000, 0o2755, 1_700_000_000),
        (u32::MAX - 1, 70_000, 0o1777, 2_147_483_648),
    ]
    .into_iter()
    .enumerate()
    {
        let path = root.join(format!("var/owned-{i}"));
        fs::write(&path, b"owned").expect("writing");
        lchown(&path, Some(uid), Some(gid)).expect("changing the owner");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changing the mode");
        let time = Timespec { tv_sec: at, tv_nsec: 123_456_789 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("setting times");
    }
}

fn attributes(root: &Path) {
    let directory = root.join("xattrs");
    fs::create_dir(&directory).expect("making a directory");
    for i in 0..12_u8 {
        let path = directory.join(format!("file-{i}"));
        fs::write(&path, [i]).expect("writing");
        xattr(&path, "user.small", b"1");
        if i % 2 == 0 {
            // Equal on all of these: they share one block.
            xattr(&path, "user.shared", &[b's'; 400]);
            xattr(&path, "trusted.shared", &[b't'; 200]);
        }
        if i == 3 {
            xattr(&path, "user.large", &[b'l'; 700]);
        }
        if i == 5 {
            xattr(&path, "security.capability", CAPABILITY);
        }
        if i >= 8 {
            xattr(&path, "system.posix_acl_access", ACL);
        }
    }
    xattr(&directory, "user.on-a-directory", b"yes");
    symlink("file-0", directory.join("link")).expect("linking");
    xattr(&directory.join("link"), "trusted.on-a-link", b"yes");
}

fn specials(root: &Path) {
    let device = rustix::fs::makedev(4, 300);
    for (name, kind) in [
        ("fifo", FileType::Fifo),
        ("tty", FileType::CharacterDevice),
        ("disk", FileType::BlockDevice),
        ("socket", FileType::Socket),
    ] {
        mknodat(CWD, root.join("var").join(name), kind, Mode::from_raw_mode(0o640), device)
            .expect("making a special file");
    }
}

/// Fills the space with pairs of small files and frees one of each pair, until about an eighth
/// is free, none of it in one piece.
pub fn fragments(root: &Path) {
    let directory = root.join("fragments");
    fs::create_dir(&directory).expect("making a directory");
    let fill =
        |name: String, len: usize| File::create(directory.join(name))?.write_all(&vec![b'f'; len]);
    let mut count = 0;
    while count < 6000 && fill(format!("{count}"), 9000).is_ok() {
        count += 1;
    }
    rustix::fs::syncfs(File::open(root).expect("opening the root")).expect("syncing");
    for i in (0..count).filter(|i| i % 8 == 0) {
        fs::remove_file(directory.join(format!("{i}"))).expect("removing");
    }
    rustix::fs::syncfs(File::open(root).expect("opening the root")).expect("syncing");
}

/// Two directories of many entries, one with holes where entries were removed again.
pub fn entries(root: &Path, count: u32) {
    for (name, step) in [("large", 0), ("thinned", 3)] {
        let directory = root.join(name);
        fs::create_dir(&directory).expect("making a directory");
        let mut rng = Rng::new(u64::from(count));
        let count = if step == 0 { count } else { count / 4 };
        for i in 0..count {
            let len = usize::try_from(rng.below(30)).expect("small");
            let tail = rng.bytes(len);
            let tail: Vec<u8> =
                tail.into_iter().map(|b| if b == 0 || b == b'/' { 0x81 } else { b }).collect();
            let name = [format!("{i:05}-").as_bytes(), &tail].concat();
            let path = directory.join(std::ffi::OsStr::from_bytes(&name));
            if i == 0 {
                File::create(&path).expect("creating");
            } else {
                // Links keep the count of inodes low; 60,000 links an inode are within the limit.
                let first = root.join(".first");
                if !first.exists() {
                    File::create(&first).expect("creating");
                }
                fs::hard_link(first, &path).expect("linking");
            }
            if step != 0 && i % step == 0 {
                fs::remove_file(&path).expect("removing");
            }
        }
    }
}

/// Trees, maps, an index, links and attributes, as small as they come.
pub fn tiny(root: &Path) {
    fs::create_dir_all(root.join("etc/deep")).expect("making a directory");
    fs::write(root.join("etc/file"), vec![1; 30_000]).expect("writing");
    let comb = File::create(root.join("comb")).expect("creating");
    for i in 0..90_u64 {
        comb.write_all_at(&[7; 512], i * 2048).expect("writing");
    }
    fs::create_dir(root.join("many")).expect("making a directory");
    for i in 0..90 {
        fs::hard_link(
            root.join("etc/file"),
            root.join(format!("many/name-of-middling-length-{i}")),
        )
        .expect("linking");
    }
    symlink("short", root.join("short")).expect("linking");
    symlink("l".repeat(300), root.join("long")).expect("linking");
    for name in ["etc/one", "etc/two"] {
        fs::write(root.join(name), name).expect("writing");
        xattr(&root.join(name), "user.shared", &[b's'; 300]);
        xattr(&root.join(name), "user.small", b"1");
    }
}

/// A copy of what this machine itself runs: programs, configuration, time zones, documentation.
pub fn real(root: &Path) {
    for directory in [
        "etc",
        "usr/bin",
        "usr/sbin",
        "usr/share/zoneinfo",
        "usr/share/doc",
        "usr/lib/systemd",
        "usr/share/perl",
    ] {
        let from = Path::new("/").join(directory);
        if from.exists() {
            let to = root.join(directory);
            fs::create_dir_all(to.parent().expect("a parent")).expect("making a directory");
            run("cp", &["-a".as_ref(), from.as_os_str(), to.as_os_str()]);
        }
    }
}
