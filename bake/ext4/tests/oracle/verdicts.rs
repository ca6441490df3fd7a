//! Our own check against e2fsck's, on damaged and on sound file systems.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::apply::open;
use crate::host::{ask, copy_sparse};
use crate::judge::complaints;
use crate::kinds::{Kind, LARGE_DIRECTORIES, SMALL, by_name};
use crate::rng::Rng;

/// What we make of an image: findings, or the refusal to open it.
fn our_complaints(image: &Path) -> Option<String> {
    let fs = match open(image) {
        Ok(fs) => fs,
        Err(e) => return Some(format!("opening: {e}")),
    };
    let findings = fs.check().unwrap_or_else(|e| panic!("checking: {e}"));
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[test]
fn sound_file_systems_have_no_findings() {
    for kind in SMALL.iter().chain(LARGE_DIRECTORIES) {
        let found = our_complaints(&kind.image());
        assert_eq!(found, None, "{}", kind.name);
    }
}

/// Damage that debugfs does without breaking checksums.
const DAMAGE: &[&str] = &[
    "freeb 1200 40",
    "setb 9000 3",
    "freei /etc/conf-001",
    "seti <3000>",
    "clri /etc/conf-002",
    "unlink /etc/conf-003",
    "ln /etc/conf-004 /etc/extra-name",
    "sif /etc/conf-005 links_count 5",
    "sif /usr/bin/size-49153 size 100",
    "sif /usr/bin/size-49153 blocks 2",
    "sif /etc mode 0100644",
    "sif /etc/conf-006 mode 0040755",
    "sif /etc/conf-006 mode 0",
    "sif /many size 4096",
    "sif /etc/link-200 size 0",
    "sif /xattrs/file-0 file_acl 0",
    "sif /etc/conf-007 file_acl 1500",
    "set_bg 0 free_blocks_count 77",
    "set_bg 0 free_inodes_count 77",
    "set_bg 0 used_dirs_count 77",
    "ssv free_blocks_count 5",
    "ssv free_inodes_count 5",
    "ssv inodes_count 5",
    "kill_file /etc/conf-008",
    "unlink /etc",
    "ln /etc /var/second-name-of-etc",
];

#[test]
fn damage_by_debugfs_is_found() {
    let mut missed = Vec::new();
    for kind in ["debian", "pi-2022", "block-1k", "ext3", "gdt-csum", "inode-128"].map(by_name) {
        for request in DAMAGE {
            compare(&kind, request, &mut missed, |image| {
                ask("debugfs", &["-w", "-R", request, &image.to_string_lossy()]);
            });
        }
    }
    assert!(missed.is_empty(), "{} verdicts differ:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn flipped_bytes_are_found() {
    let mut missed = Vec::new();
    for kind in ["pi-2022", "debian", "ext3", "entries-5000-1k-legacy"].map(by_name) {
        let places = metadata(&kind.image());
        for seed in 0..40 {
            let mut rng = Rng::new(seed);
            let at = *rng.pick(&places) + rng.below(1024);
            let flip = 1_u8 << rng.below(8);
            compare(&kind, &format!("seed {seed}: byte {at} ^ {flip:#x}"), &mut missed, |image| {
                let file = File::options().read(true).write(true).open(image).expect("opening");
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).expect("reading");
                file.write_all_at(&[byte[0] ^ flip], at).expect("writing");
            });
        }
    }
    assert!(missed.is_empty(), "{} verdicts differ:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn a_stray_word_in_the_reserve_of_descriptor_blocks_is_found() {
    let mut missed = Vec::new();
    let kind = by_name("entries-5000-1k-legacy");
    // With 1 KiB blocks, block 2 holds the descriptors and block 3 is the first reserved one.
    compare(&kind, "stray word", &mut missed, |image| {
        let file = File::options().write(true).open(image).expect("opening");
        file.write_all_at(&[0, 2, 0, 0], 3 * 1024 + 640).expect("writing");
        assert!(complaints(image).is_some(), "e2fsck accepts it: the test proves nothing");
    });
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Byte offsets of kibibytes that hold metadata: superblock, descriptors, bitmaps and the first
/// inodes of group 0, and blocks that look like directories or extent trees.
fn metadata(image: &Path) -> Vec<u64> {
    let bytes = std::fs::read(image).expect("reading an image");
    let mut places = vec![1024, 1024, 4096];
    for (n, chunk) in bytes.chunks(1024).enumerate() {
        let begins_directory = chunk.len() > 24 && chunk[4..9] == [12, 0, 1, 2, b'.'];
        let begins_extents = chunk[..2] == [0x0A, 0xF3];
        let holds_inodes = chunk.len() > 256
            && n < 4096
            && [0x81, 0x41].contains(&chunk[1])
            && chunk[26] > 0
            && chunk[27] == 0;
        if begins_directory || begins_extents || holds_inodes {
            places.push(n as u64 * 1024);
        }
    }
    places
}

/// Damages a copy and notes where the verdicts differ.
fn compare(kind: &Kind, what: &str, missed: &mut Vec<String>, damage: impl FnOnce(&Path)) {
    let scratch = crate::host::scratch();
    let image = scratch.path().join("image");
    copy_sparse(&kind.image(), &image);
    damage(&image);
    let (theirs, ours) = (complaints(&image), our_complaints(&image));
    if theirs.is_some() != ours.is_some() {
        let both =
            format!("e2fsck: {}\nours: {}", theirs.unwrap_or_default(), ours.unwrap_or_default());
        missed.push(format!("{} {what}: {both}", kind.name));
    }
}
