//! Deltas: what their header says, whoever wrote it. What is accepted does to a golden image what
//! docs/delta-format.md says.
//!
//! An input is a header as JSON, a newline, and the bytes of the payload; digests that are empty in
//! the header are filled in. An input without a newline is a whole delta.
#![no_main]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use bake::delta::{Delta, Header};
use bake::store::{BlockStore, BytesSource, ReadAt};
use bake::sys::interrupt::Cancel;
use serde_json::Value;
use sha2::{Digest, Sha256};

const SEED: &[u8] = include_bytes!("../seeds/delta/one");
/// Golden images up to this size are made and compared.
const SMALL: u64 = 1 << 16;

libfuzzer_sys::fuzz_target!(
    init: { assert!(read(SEED), "the seed is no delta") },
    |input: &[u8]| { read(input); }
);

/// Whether it is one.
fn read(input: &[u8]) -> bool {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return Delta::read(input, "a stranger's").is_ok();
    };
    let (header, payload) = (&input[..end], &input[end + 1..]);
    let Ok(delta) = Delta::read(&packed(header, payload)[..], "a stranger's") else { return false };
    let len = delta.header().golden.len;
    if len <= SMALL {
        let golden: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let source: Arc<dyn ReadAt> = Arc::new(BytesSource::new(golden.clone()));
        let _ = delta.check(&*source, Path::new("golden"), &Cancel::new());
        let (image, used) = delta.onto(source).expect("a header that makes sense fits");
        let (wanted, wanted_used) = described(delta.header(), golden, payload);
        let mut found = vec![0; wanted.len()];
        image.read_at(0, &mut found).expect("the image is as long as the golden one");
        let mut in_use = vec![false; wanted.len()];
        for range in used.ranges() {
            in_use[range.start as usize..range.end as usize].fill(true);
        }
        assert!(in_use == wanted_used);
        let differ = |at: usize| in_use[at] && found[at] != wanted[at];
        assert!(!(0..wanted.len()).any(differ));
    }
    true
}

/// The node's image, and which of its bytes are in use, in the plainest way.
fn described(header: &Header, golden: Vec<u8>, mut payload: &[u8]) -> (Vec<u8>, Vec<bool>) {
    let (mut image, mut used) = (golden, vec![false; header.golden.len as usize]);
    for (start, end) in &header.golden.used {
        used[*start as usize..*end as usize].fill(true);
    }
    for extent in &header.extents {
        let range = extent.at as usize..(extent.at + extent.len) as usize;
        used[range.clone()].fill(extent.sha256.is_some());
        if extent.sha256.is_some() {
            let (bytes, rest) = payload.split_at(extent.len as usize);
            image[range].copy_from_slice(bytes);
            payload = rest;
        }
    }
    (image, used)
}

fn packed(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = zstd::bulk::compress(&filled_in(header, payload), 1).expect("compressing");
    let mut delta = b"BAKEDLT\n\x02\0\0\0".to_vec();
    delta.extend(u32::try_from(header.len()).expect("inputs are short").to_le_bytes());
    delta.extend(Sha256::digest(&header));
    delta.extend(header);
    let mut encoder = zstd::Encoder::new(&mut delta, 1).expect("compressing");
    encoder.include_checksum(true).expect("compressing");
    encoder.write_all(payload).expect("compressing");
    encoder.finish().expect("compressing");
    delta
}

/// The header with the digests that it left empty.
fn filled_in(header: &[u8], mut payload: &[u8]) -> Vec<u8> {
    let Ok(mut json) = serde_json::from_slice::<Value>(header) else { return header.to_vec() };
    let extents = json.get_mut("extents").and_then(Value::as_array_mut);
    for extent in extents.into_iter().flatten().filter(|extent| extent.get("sha256").is_some()) {
        let len = extent.get("len").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let Some((bytes, rest)) = len.and_then(|len| payload.split_at_checked(len)) else { break };
        payload = rest;
        if extent["sha256"] == "" {
            let digest = Sha256::digest(bytes);
            extent["sha256"] = digest.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
        }
    }
    json.to_string().into_bytes()
}
