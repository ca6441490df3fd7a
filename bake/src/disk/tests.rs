//! Judged by sfdisk, sgdisk and blkid on tables those tools made.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::store::{BytesSource, FileSource};
use crate::units::MIB;

fn run(program: &str, args: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("script");
    let out = child.wait_with_output().expect("output");
    let text =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {args:?}: {text}");
    text
}

/// An image file of `len` bytes that sfdisk divided by `script`.
fn divided(dir: &Path, len: u64, script: &str) -> std::path::PathBuf {
    let path = dir.join("disk.img");
    std::fs::File::create(&path).and_then(|f| f.set_len(len)).expect("image file");
    run("sfdisk", &["-q", &path.to_string_lossy()], script);
    path
}

fn open(path: &Path) -> Image {
    Image::new(Arc::new(FileSource::open(path).expect("image")))
}

fn save(image: &Image, path: &Path) {
    let mut bytes = vec![0; usize::try_from(image.len()).expect("small")];
    image.read_at(0, &mut bytes).expect("image");
    std::fs::write(path, bytes).expect("output");
}

/// What sfdisk reads: `node : start= S, size= N, …` lines, by number.
fn as_sfdisk_reads(path: &Path) -> Vec<(u32, u64, u64)> {
    let text = run("sfdisk", &["-d", &path.to_string_lossy()], "");
    let field = |line: &str, key: &str| -> Option<u64> {
        let rest = line.split_once(key)?.1.trim_start();
        rest.split(',').next()?.trim().parse().ok()
    };
    text.lines()
        .filter(|l| l.contains("start=") && !l.contains("type=5") && !l.contains("type=f"))
        .map(|l| {
            let node = l.split(" :").next().unwrap_or_default();
            let digits = node.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            let (start, size) = (field(l, "start="), field(l, "size="));
            (digits.parse().expect("number"), start.expect("start"), size.expect("size"))
        })
        .collect()
}

fn as_we_read(table: &Table) -> Vec<(u32, u64, u64)> {
    table.partitions.iter().map(|p| (p.number, p.start / SECTOR, p.len / SECTOR)).collect()
}

const PI: &str =
    "label: dos\nlabel-id: 0x4f1a2b3c\nstart=8192, size=65536, type=c\nstart=73728, type=83\n";
const CHAIN: &str = "label: dos\nlabel-id: 0x00c0ffee\nstart=2048, size=8192, type=c, bootable\n\
start=10240, type=f\nstart=12288, size=8192, type=83\nstart=22528, size=8192, type=82\nstart=32768, type=83\n";
const CLOUD: &str = "label: gpt\n1: start=40960, name=\"cloudimg-rootfs\"\n\
14: start=2048, size=8192, type=21686148-6449-6E6F-744E-656564454649\n\
15: start=10240, size=20480, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n";

#[test]
fn tables_read_as_sfdisk_and_blkid_read_them() {
    for script in [PI, CHAIN, CLOUD] {
        let dir = tempfile::tempdir().expect("dir");
        let path = divided(dir.path(), 64 * MIB, script);
        let table = read(&open(&path)).expect("table");
        let mut ours = as_we_read(&table);
        let mut theirs = as_sfdisk_reads(&path);
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{script}");
        let dump = run("sfdisk", &["-d", &path.to_string_lossy()], "").to_lowercase();
        for p in &table.partitions {
            let uuid = p.partuuid.as_deref().expect("partuuid");
            match table.scheme {
                Scheme::Gpt(disk) => {
                    assert!(dump.contains(&format!("uuid={uuid}")), "{uuid}\n{dump}");
                    assert!(dump.contains(&disk.to_string()));
                }
                _ => assert!(dump.contains(&format!("label-id: 0x{}", &uuid[..8])), "{uuid}"),
            }
        }
    }
}

#[test]
fn partuuids_count_in_hexadecimal() {
    let mut script = String::from("label: dos\nlabel-id: 0xabcdef01\nstart=2048, type=f\n");
    for i in 0..8 {
        script += &format!("start={}, size=2048, type=83\n", 4096 + 4096 * i);
    }
    let dir = tempfile::tempdir().expect("dir");
    let table = read(&open(&divided(dir.path(), 64 * MIB, &script))).expect("table");
    let last = table.last().expect("partition");
    assert_eq!((last.number, last.partuuid.as_deref()), (12, Some("abcdef01-0c")));
}

/// Grows the last partition and returns which bytes of the old image changed.
fn grown(script: &str, number: u32, by: u64) -> (Table, Vec<usize>) {
    let dir = tempfile::tempdir().expect("dir");
    let path = divided(dir.path(), 64 * MIB, script);
    let mut boot = std::fs::read(&path).expect("image");
    boot[..440].copy_from_slice(&[0xfa; 440]);
    std::fs::write(&path, &boot).expect("boot code");
    let mut image = open(&path);
    let before = read(&image).expect("table");
    let old = before.partition(number).expect("partition").clone();
    grow_last(&mut image, number, old.len + by).expect("growing");
    let out = dir.path().join("out.img");
    save(&image, &out);
    let after = read(&open(&out)).expect("grown table");
    let new = after.partition(number).expect("partition");
    assert_eq!((new.start, new.len, &new.partuuid), (old.start, old.len + by, &old.partuuid));
    for p in before.partitions.iter().filter(|p| p.number != number) {
        assert_eq!(after.partition(p.number), Some(p));
    }
    let verdict = run("sfdisk", &["-V", &out.to_string_lossy()], "");
    assert!(verdict.contains("No errors detected"), "{verdict}");
    if matches!(after.scheme, Scheme::Gpt(_)) {
        let verdict = run("sgdisk", &["-v", &out.to_string_lossy()], "");
        assert!(verdict.contains("No problems found"), "{verdict}");
    }
    let mut ours = as_we_read(&after);
    let mut theirs = as_sfdisk_reads(&out);
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    let new = std::fs::read(&out).expect("output");
    // Block by block first: byte by byte takes a second for an image.
    let blocks = (0..boot.len()).step_by(4096).map(|at| at..boot.len().min(at + 4096));
    let changed = blocks.filter(|block| boot[block.clone()] != new[block.clone()]);
    (after, changed.flatten().filter(|&i| boot[i] != new[i]).collect())
}

#[test]
fn an_mbr_grows_by_its_sector_count_alone() {
    let (_, changed) = grown(PI, 2, 128 * MIB);
    let field = 446 + 16 + 12;
    assert!(!changed.is_empty());
    assert!(changed.iter().all(|at| (field..field + 4).contains(at)), "{changed:?}");
}

#[test]
fn a_logical_partition_grows_with_its_extended_one() {
    let (table, changed) = grown(CHAIN, 7, 16 * MIB);
    assert_eq!(table.partitions.len(), 4);
    assert!(changed.len() <= 12, "three counts, not {changed:?}");
}

#[test]
fn a_sparse_gpt_keeps_its_numbers() {
    for by in [0, SECTOR, 100 * MIB] {
        let (table, _) = grown(CLOUD, 1, by);
        let numbers: Vec<u32> = table.partitions.iter().map(|p| p.number).collect();
        assert_eq!(numbers, [1, 14, 15]);
        assert_eq!(table.partition(1).and_then(|p| p.name.as_deref()), Some("cloudimg-rootfs"));
    }
}

#[test]
fn only_the_last_partition_grows_and_none_shrinks() {
    let dir = tempfile::tempdir().expect("dir");
    let mut image = open(&divided(dir.path(), 64 * MIB, PI));
    for (number, len) in [(1, 60 * MIB), (2, MIB), (3, MIB)] {
        let error = grow_last(&mut image, number, len).expect_err("must refuse");
        assert_eq!(error.exit(), crate::error::Exit::Usage, "{error}");
    }
    let error = grow_last(&mut image, 2, 3 << 40).expect_err("MBR limit");
    assert!(error.to_string().contains("2 TiB"), "{error}");
    assert!(image.changed().is_empty(), "a refused growth changes nothing");
}

fn bytes_of(script: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("dir");
    std::fs::read(divided(dir.path(), 64 * MIB, script)).expect("image")
}

fn fault(bytes: Vec<u8>) -> String {
    read(&Image::new(Arc::new(BytesSource::new(bytes)))).expect_err("must be refused").to_string()
}

#[test]
fn hostile_mbrs_are_refused_by_name() {
    let good = bytes_of(PI);
    let patched = |changes: &[(usize, &[u8])]| {
        let mut bytes = good.clone();
        for (at, data) in changes {
            bytes[*at..*at + data.len()].copy_from_slice(data);
        }
        fault(bytes)
    };
    let second = 446 + 16;
    for (changes, words) in [
        (&[(second + 8, &[0, 0x21, 0, 0][..])][..], "partition 2 overlaps partition 1"),
        (&[(second + 12, &[0xff, 0xff, 0xff, 0xff])], "is it truncated?"),
        (&[(second + 12, &[0; 4])], "with 0 sectors"),
        (&[(second, &[0x13])], "flag 0x13"),
        (&[(446 + 32 + 4, &[0xee]), (446 + 32 + 12, &[1])], "hybrid MBR"),
    ] {
        let message = patched(changes);
        assert!(message.contains(words) && message.contains("byte "), "{message}");
    }
    assert!(fault(good[..10 << 20].to_vec()).contains("truncated"));
    assert!(fault(vec![0; 100]).contains("only 100 bytes"));
}

#[test]
fn a_looped_chain_is_refused() {
    let mut bytes = bytes_of(CHAIN);
    let ebr = 22528 - 2048;
    let at = ebr * 512;
    assert_eq!(bytes[at + 510..at + 512], [0x55, 0xaa], "sfdisk puts the EBR 1 MiB ahead");
    // The link of the second EBR now points to itself.
    let relative = u32::try_from(ebr - 10240).expect("small");
    bytes[at + 446 + 16 + 8..at + 446 + 16 + 12].copy_from_slice(&relative.to_le_bytes());
    let message = fault(bytes);
    assert!(message.contains("is a loop") && message.contains(&at.to_string()), "{message}");
}

#[test]
fn hostile_gpts_are_refused_by_name() {
    let good = bytes_of(CLOUD);
    let mut bytes = good.clone();
    bytes[1024 + 40] ^= 1;
    assert!(fault(bytes).contains("GPT entries should have CRC"));
    let mut bytes = good.clone();
    bytes[512 + 48] ^= 1;
    assert!(fault(bytes).contains("GPT header should have CRC"));
    let mut bytes = good.clone();
    bytes[446..512].fill(0);
    assert!(fault(bytes).contains("no protective MBR"));
    let mut bytes = good.clone();
    bytes[512..520].fill(0);
    assert!(fault(bytes).contains("no GPT header"));
    let mut bytes = good;
    let entry = 1024;
    bytes[entry + 40..entry + 48].copy_from_slice(&u64::MAX.to_le_bytes());
    reseal(&mut bytes);
    assert!(fault(bytes).contains("partition 1 has sectors 40960 to 18446744073709551615"));
}

/// Makes the checksums right again, so that the values behind them are looked at.
fn reseal(bytes: &mut [u8]) {
    let size = u32_at(bytes, 512 + 80) as usize * u32_at(bytes, 512 + 84) as usize;
    if let Some(entries) = bytes.get(1024..1024 + size) {
        let crc = crc32fast::hash(entries);
        bytes[512 + 88..512 + 92].copy_from_slice(&crc.to_le_bytes());
    }
    bytes[528..532].fill(0);
    let crc = crc32fast::hash(&bytes[512..512 + 92]);
    bytes[528..532].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn mutated_tables_never_panic_and_never_leave_the_image() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).expect("31 bits")
    };
    // Small, so that thousands of copies cost little: 200 KiB, the chain at sector 128.
    let mbr = "label: dos\nstart=64, size=32, type=c\nstart=96, type=83\n";
    let chain = "label: dos\nstart=64, size=32, type=c\nstart=128, type=f\n\
                 start=160, size=32, type=83\nstart=224, size=32, type=83\n";
    let gpt = "label: gpt\n2: start=64, size=32\n14: start=128, size=32\n";
    let ebrs = |at: usize| (at * 512 + 446)..(at * 512 + 512);
    for (script, spots) in [
        (mbr, (440..512).collect::<Vec<_>>()),
        (chain, (446..512).chain(ebrs(128)).chain(ebrs(192)).collect()),
        (gpt, (446..604).chain(1024 + 128..1024 + 256).collect()),
    ] {
        let dir = tempfile::tempdir().expect("dir");
        let good = std::fs::read(divided(dir.path(), 200 << 10, script)).expect("image");
        let mut accepted = 0;
        for _ in 0..1000 {
            let mut bytes = good.clone();
            for _ in 0..=next() % 4 {
                let value = [0, 1, 0x7f, 0xff, next() as u8][next() % 5];
                bytes[spots[next() % spots.len()]] = value;
            }
            if script == gpt && next() % 4 != 0 {
                reseal(&mut bytes);
            }
            accepted += u32::from(exercise(&bytes));
        }
        assert!((1..1000).contains(&accepted), "{accepted} of 1000 accepted: {script}");
    }
}
