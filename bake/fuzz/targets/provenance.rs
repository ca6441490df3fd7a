//! What is said of how an image was made: attestations beside an output, and the record inside an
//! image. What is read is written so that it is read again.
#![no_main]

use std::sync::LazyLock;

use bake::provenance::{Attestation, Record};

static SEED: LazyLock<Attestation> = LazyLock::new(|| {
    Record::parse(include_bytes!("../seeds/provenance/record.json")).expect("the seed is a record");
    let seed = include_bytes!("../seeds/provenance/node1.intoto.json");
    Attestation::parse("the seed", seed).expect("the seed is an attestation")
});

libfuzzer_sys::fuzz_target!(
    init: { LazyLock::force(&SEED); },
    |json: &[u8]| {
        if let Ok(one) = Attestation::parse("a stranger's", json) {
            let again = Attestation::parse("ours", one.to_json().as_bytes());
            assert_eq!(again.expect("what we write is read"), one);
            let _ = (one.differences(&SEED), SEED.differences(&one));
        }
        if let Ok(record) = Record::parse(json) {
            let again = Record::parse(record.to_json().as_bytes());
            assert_eq!(again.expect("what we write is read"), record);
            let _ = Attestation::of_record(&record, &record.to_json());
        }
    }
);
