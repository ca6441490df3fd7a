//! Leaves a file system as a power cut would: by copying its image while it is mounted.

use std::fs::{self, File};
use std::path::Path;

use crate::host::{Mount, copy_sparse, run};
use crate::rng::Rng;

#[derive(Clone, Copy, Debug)]
pub enum Dirty {
    /// Committed and not yet checkpointed changes of metadata, with further mount options.
    Metadata(&'static str),
    /// Transactions written by debugfs with this version of journal checksums.
    Written(u8),
    /// Files unlinked or truncated while open.
    Orphans,
}

impl Dirty {
    pub fn inflict(self, image: &Path) {
        match self {
            Dirty::Metadata(options) => crash(image, options, |root| {
                changes(root);
                Vec::new()
            }),
            Dirty::Orphans => crash(image, "", orphans),
            Dirty::Written(version) => write_journal(image, version),
        }
    }
}

/// Mounts, works, and keeps the image as it is with the mount still there.
fn crash(image: &Path, options: &str, work: impl FnOnce(&Path) -> Vec<File>) {
    let live = image.with_extension("live");
    copy_sparse(image, &live);
    let mount = Mount::new(&live, &format!("rw,commit=600,init_itable=0{options}"));
    let held = work(&mount.root());
    let root = File::open(mount.root()).expect("opening the root");
    rustix::fs::syncfs(&root).expect("syncing");
    copy_sparse(&live, image);
    drop((held, root));
    mount.close();
    fs::remove_file(&live).expect("removing the mounted copy");
}

/// Several transactions: blocks journaled, freed (revoked) and used again for file content.
fn changes(root: &Path) {
    let mut rng = Rng::new(11);
    let sync = || rustix::fs::syncfs(File::open(root).expect("opening the root")).expect("syncing");
    for round in 0..3 {
        let directory = root.join(format!("round-{round}"));
        fs::create_dir(&directory).expect("making a directory");
        for i in 0..300 {
            File::create(directory.join(format!("an-entry-that-takes-some-room-{i}")))
                .expect("creating");
        }
        sync();
        for i in 0..(if round == 2 { 100 } else { 300 }) {
            fs::remove_file(directory.join(format!("an-entry-that-takes-some-room-{i}")))
                .expect("removing");
        }
        if round < 2 {
            fs::remove_dir(&directory).expect("removing");
        }
        sync();
        // Content that begins with the journal's own magic number must be escaped where data is
        // journaled too.
        let mut content = rng.bytes(90_000);
        for at in (0..content.len()).step_by(1024) {
            content[at..at + 4].copy_from_slice(&[0xC0, 0x3B, 0x39, 0x98]);
        }
        fs::write(root.join(format!("reuser-{round}")), content).expect("writing");
        sync();
        fs::rename(root.join(format!("etc/conf-00{round}")), root.join(format!("moved-{round}")))
            .expect("renaming");
    }
    fs::remove_file(root.join("comb")).expect("removing");
}

/// Unlinked and truncated files that somebody still holds open.
fn orphans(root: &Path) -> Vec<File> {
    changes(root);
    let mut held = Vec::new();
    for i in 0..30 {
        let path = root.join(format!("doomed-{i}"));
        fs::write(&path, vec![b'd'; 3000 * i]).expect("writing");
        if i % 5 == 0 {
            rustix::fs::lsetxattr(
                &path,
                "user.big",
                &vec![b'x'; 600],
                rustix::fs::XattrFlags::empty(),
            )
            .expect("setting an xattr");
        }
        held.push(File::open(&path).expect("opening"));
    }
    held.push(File::open(root.join("usr/bin/size-1200000")).expect("opening"));
    held.push(File::open(root.join("sparse")).expect("opening"));
    rustix::fs::syncfs(File::open(root).expect("opening the root")).expect("syncing");
    fs::remove_file(root.join("usr/bin/size-1200000")).expect("removing");
    fs::remove_file(root.join("sparse")).expect("removing");
    for i in 0..30 {
        fs::remove_file(root.join(format!("doomed-{i}"))).expect("removing");
    }
    held
}

/// A few transactions and an orphan, in a file system without much room.
pub fn tiny(image: &Path) {
    crash(image, "", |root| {
        let sync =
            || rustix::fs::syncfs(File::open(root).expect("opening the root")).expect("syncing");
        fs::create_dir(root.join("fresh")).expect("making a directory");
        for i in 0..40 {
            File::create(root.join(format!("fresh/entry-{i}"))).expect("creating");
        }
        sync();
        fs::remove_file(root.join("comb")).expect("removing");
        let held = File::open(root.join("etc/two")).expect("opening");
        fs::remove_file(root.join("etc/two")).expect("removing");
        sync();
        vec![held]
    });
}

/// A journal written by debugfs: the content of one file's block is replaced through it, another
/// block is revoked.
fn write_journal(image: &Path, version: u8) {
    let block = |path: &str| -> u64 {
        let request = format!("bmap {path} 0");
        let text = run("debugfs", &["-R", &request, &image.to_string_lossy()]);
        let number = text.lines().find_map(|line| line.trim().parse().ok());
        number.unwrap_or_else(|| panic!("bmap {path}: {text}"))
    };
    let (first, second) = (block("/usr/bin/size-4096"), block("/usr/bin/size-300000"));
    let content = image.with_extension("block");
    let mut bytes = vec![b'J'; 4096];
    bytes[..4].copy_from_slice(&[0xC0, 0x3B, 0x39, 0x98]);
    fs::write(&content, &bytes).expect("writing");
    let script = image.with_extension("script");
    let requests = format!(
        "jo -c -v {version}\njw -b {first},{second} {content}\njw -r {second}\njw -b {first} {content}\njc\n",
        content = content.display()
    );
    fs::write(&script, requests).expect("writing");
    run("debugfs", &["-w", "-f", &script.to_string_lossy(), &image.to_string_lossy()]);
    for leftover in [content, script] {
        fs::remove_file(leftover).expect("removing");
    }
}
