//! Deltas of random images, whole and damaged.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::{Delta, Golden, Subject, identity, write};
use crate::emit::InUse;
use crate::error::{Error, Exit};
use crate::store::{BlockStore, BytesSource, FileSource, Image, Payload, ReadAt};
use crate::sys::interrupt::Cancel;

const BLOCK: u64 = 4096;
const BLOCKS: u64 = 24;
const LEN: u64 = BLOCKS * BLOCK;

fn subject() -> Subject {
    let role = nodeconf::Role::Agent;
    Subject { cluster: "edge".into(), name: "rack1-07".into(), role, incarnation: 3 }
}

/// Bytes that compress badly and differ everywhere.
fn noise(len: u64, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..len).map(next).collect()
}

fn golden_of(bytes: &[u8], used: &InUse) -> Golden {
    let identity = described(bytes, used);
    let used = used.ranges().iter().map(|r| (r.start, r.end)).collect();
    Golden { len: bytes.len() as u64, identity, used }
}

/// The identity as docs/delta-format.md has it.
fn described(bytes: &[u8], used: &InUse) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(&(bytes.len() as u64).to_le_bytes());
    for range in used.ranges() {
        hash.update(&range.start.to_le_bytes()).update(&range.end.to_le_bytes());
        hash.update(&bytes[range.start as usize..range.end as usize]);
    }
    hash.finalize().to_hex().to_string()
}

/// A golden image, its delta, and what must come out.
struct Case {
    golden: Vec<u8>,
    delta: Vec<u8>,
    used: InUse,
    wanted: Vec<u8>,
}

/// `golden_used` and `node_used` are blocks, `writes` a place and a length each.
fn case(golden_used: &[bool], node_used: &[bool], writes: &[(u64, u64)]) -> Case {
    let set = |bits: &[bool]| {
        let on = |(i, bit): (usize, &bool)| bit.then_some(i as u64 * BLOCK..(i as u64 + 1) * BLOCK);
        InUse::of(bits.iter().enumerate().filter_map(on), LEN)
    };
    let (golden_used, node_used) = (set(golden_used), set(node_used));
    let base = noise(LEN, 7);
    let mut image = Image::new(Arc::new(BytesSource::new(base.clone())));
    for (i, (at, len)) in writes.iter().enumerate() {
        let len = (*len).min(LEN - at);
        image.write_at(*at, &noise(len, 1000 + i as u64)).unwrap();
    }
    // As emitted: what is not in use reads as zero.
    let emitted = |image: &Image, used: &InUse| {
        let mut bytes = vec![0; LEN as usize];
        for range in used.ranges() {
            image
                .read_at(range.start, &mut bytes[range.start as usize..range.end as usize])
                .unwrap();
        }
        bytes
    };
    let golden = emitted(&Image::new(Arc::new(BytesSource::new(base))), &golden_used);
    let mut delta = Vec::new();
    write(subject(), golden_of(&golden, &golden_used), &image, &node_used, &mut delta).unwrap();
    Case { golden, delta, wanted: emitted(&image, &node_used), used: node_used }
}

fn simple() -> &'static Case {
    static CASE: LazyLock<Case> = LazyLock::new(make_simple);
    &CASE
}

fn make_simple() -> Case {
    let golden: Vec<bool> = (0..BLOCKS).map(|i| i % 5 != 0).collect();
    let node: Vec<bool> = (0..BLOCKS).map(|i| i % 7 != 0).collect();
    case(&golden, &node, &[(5000, 300), (10 * BLOCK, 9 * BLOCK), (LEN - 10, 10)])
}

fn source(bytes: &[u8]) -> Arc<dyn ReadAt> {
    Arc::new(BytesSource::new(bytes.to_vec()))
}

fn check(delta: &Delta, golden: &[u8]) -> Result<(), Error> {
    delta.check(&*source(golden), Path::new("golden.img"), &Cancel::new())
}

fn applied(delta: &Delta, golden: &[u8]) -> (Vec<u8>, InUse) {
    let (image, used) = delta.onto(source(golden)).unwrap();
    let mut bytes = vec![0; image.len() as usize];
    for range in used.ranges() {
        image.read_at(range.start, &mut bytes[range.start as usize..range.end as usize]).unwrap();
    }
    (bytes, used)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What comes out is the node's image, whatever was freed, used anew and written.
    #[test]
    fn golden_and_delta_are_the_image(
        golden in prop::collection::vec(any::<bool>(), BLOCKS as usize),
        node in prop::collection::vec(any::<bool>(), BLOCKS as usize),
        writes in prop::collection::vec((0..LEN, 1..40_000_u64), 0..20),
    ) {
        let case = case(&golden, &node, &writes);
        let delta = Delta::read(&case.delta[..], "node.delta").unwrap();
        prop_assert_eq!(&delta.header().node, &subject());
        check(&delta, &case.golden).unwrap();
        let (bytes, used) = applied(&delta, &case.golden);
        prop_assert_eq!(used, case.used);
        prop_assert!(bytes == case.wanted);
    }

    /// A changed byte, wherever it is, is found before anything is made of it.
    #[test]
    fn a_damaged_delta_is_refused(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = simple().delta.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let error = Delta::read(&bytes[..], "node.delta").expect_err("damage");
        let version = (8..12).contains(&at) && matches!(error, Error::Unsupported { .. });
        prop_assert!(version || error.exit() == Exit::Verification, "byte {}: {}", at, error);
    }

    #[test]
    fn a_delta_that_is_cut_short_is_refused(at in any::<prop::sample::Index>()) {
        let bytes = &simple().delta;
        let error = Delta::read(&bytes[..at.index(bytes.len())], "node.delta").expect_err("cut");
        prop_assert_eq!(error.exit(), Exit::Verification, "{}", error);
    }

    /// Nothing that is no delta is taken for one, or makes the reader panic.
    #[test]
    fn any_bytes_are_read_calmly(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        keep in 0..80_usize,
    ) {
        let mut all = simple().delta[..keep].to_vec();
        all.extend(bytes);
        prop_assert!(Delta::read(&all[..], "node.delta").is_err());
    }
}

/// In layers or in a file, with holes or without: one image, one identity.
#[test]
fn an_image_is_the_same_in_layers_and_in_a_file() {
    const LONG: u64 = 3 << 20;
    let dir = tempfile::tempdir().unwrap();
    let (base, whole) = (dir.path().join("base"), dir.path().join("whole"));
    let file = std::fs::File::create(&base).unwrap();
    file.set_len(LONG).unwrap();
    crate::sys::file::write_all_at(&file, &noise(900_000, 5), 500_000).unwrap();
    let mut image = Image::new(Arc::new(FileSource::open(&base).unwrap()));
    image.grow(LONG + 5000).unwrap();
    let payload = Payload::bytes(noise(700_000, 6));
    image.write_at(700, b"from memory").unwrap();
    image.freeze();
    image.place(1_200_000, &payload, 9, 600_001).unwrap();
    image.zero(800_000, 9000).unwrap();
    image.write_at(LONG + 100, b"behind the base").unwrap();
    let used = InUse::of([10..400_000, 450_000..LONG - 7, LONG + 50..LONG + 5000], LONG + 5000);
    let mut bytes = vec![0; image.len() as usize];
    image.read_at(0, &mut bytes).unwrap();
    std::fs::write(&whole, &bytes).unwrap();
    let (name, cancel) = (Path::new("golden.img"), Cancel::new());
    let wanted = described(&bytes, &used);
    assert_eq!(identity::of_image(&image, &used, name, &cancel).unwrap(), wanted);
    let source = FileSource::open(&whole).unwrap();
    assert_eq!(identity::of_source(&source, &used, name, &cancel).unwrap(), wanted);
    let fewer = InUse::of(std::iter::once(10..400_000), LONG + 5000);
    assert_ne!(identity::of_source(&source, &fewer, name, &cancel).unwrap(), wanted);
}

#[test]
fn nothing_may_stand_behind_a_delta() {
    let mut bytes = simple().delta.clone();
    bytes.push(0);
    let error = Delta::read(&bytes[..], "node.delta").expect_err("longer");
    assert!(error.to_string().contains("behind its end"), "{error}");
    assert_eq!(error.exit(), Exit::Verification);
}

#[test]
fn another_golden_image_is_refused_and_what_is_not_in_use_does_not_count() {
    let case = simple();
    let delta = Delta::read(&case.delta[..], "node.delta").unwrap();
    let mut other = case.golden.clone();
    other[3] ^= 1;
    check(&delta, &other).expect("block 0 is not in use");
    other[BLOCK as usize + 3] ^= 1;
    let error = check(&delta, &other).expect_err("another image");
    assert_eq!(error.exit(), Exit::Verification);
    assert!(error.hints()[0].contains("node.delta"), "{error}");
    let error = check(&delta, &case.golden[..case.golden.len() - 4096]).expect_err("shorter");
    assert_eq!(error.exit(), Exit::Verification);
}

/// The digest that guards a header is no secret: numbers that make no sense are refused by
/// themselves.
#[test]
fn a_header_that_makes_no_sense_is_refused() {
    use super::header::{Extent, Header};
    let good = Delta::read(&simple().delta[..], "node.delta").unwrap().header().clone();
    let extent = |at, len| Extent { at, len, sha256: Some("0".repeat(64)) };
    let bad = [
        Header { extents: vec![extent(LEN, 1)], ..good.clone() },
        Header { extents: vec![extent(u64::MAX, 2)], ..good.clone() },
        Header { extents: vec![extent(0, 0)], ..good.clone() },
        Header { extents: vec![extent(0, 10), extent(5, 10)], ..good.clone() },
        Header { extents: vec![extent(0, (1 << 20) + 1)], ..good.clone() },
        Header { golden: Golden { used: vec![(5, 5)], ..good.golden.clone() }, ..good.clone() },
        Header {
            golden: Golden { used: vec![(0, LEN + 1)], ..good.golden.clone() },
            ..good.clone()
        },
        Header { golden: Golden { used: vec![(9, 12), (10, 20)], ..good.golden.clone() }, ..good },
    ];
    for header in bad {
        let error = Delta::read(&header.encode().unwrap()[..], "node.delta").expect_err("sense");
        assert_eq!(error.exit(), Exit::Verification, "{error}");
    }
}
