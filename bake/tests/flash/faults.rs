//! Every kind of failing card is found, by its own error, and none is reported as whole.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bake::device::{Fault, check_capacity};
use bake::emit::InUse;
use bake::emit::card::{Content, HEAD, Unfinished, Written, write};
use bake::error::Exit;
use bake::store::{BlockStore, BytesSource, Image, Payload};
use bake::sys::interrupt::Cancel;
use proptest::prelude::*;

use crate::card::{FaultyCard, OLD, Trouble};

const MIB: u64 = 1 << 20;
const CARD: u64 = 24 * MIB;

/// An image of 16 MiB and a bit with free space, zeros, changes and a payload.
fn image() -> (Image, InUse, Vec<Range<u64>>) {
    let len = 16 * MIB + 512;
    static BASE: OnceLock<Arc<[u8]>> = OnceLock::new();
    let base = BASE.get_or_init(|| (0..len).map(|i| ((i * 31 + i / 4096) % 251) as u8).collect());
    let mut image = Image::new(Arc::new(BytesSource::new(base.clone())));
    image.write_at(3 * MIB + 5, b"changed").expect("write");
    image.zero(6 * MIB, 3 * MIB).expect("zero");
    image.place(10 * MIB, &Payload::bytes(vec![9; 70_000]), 0, 70_000).expect("payload");
    let mut used = InUse::everything(len);
    used.limit(2 * MIB, 10 * MIB, &[0..5 * MIB, 6 * MIB..9 * MIB]);
    (image, used, std::iter::once(2 * MIB..12 * MIB).collect())
}

fn expected(image: &Image, used: &InUse) -> Vec<(Range<u64>, Vec<u8>)> {
    let read = |range: &Range<u64>| {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        image.read_at(range.start, &mut bytes).expect("read");
        (range.clone(), bytes)
    };
    used.ranges().iter().map(read).collect()
}

fn flash(card: &FaultyCard, cancel: &Cancel) -> Result<Written, Unfinished> {
    let (image, used, partitions) = image();
    let content = Content { image: &image, used: &used, partitions: &partitions };
    write(content, &mut card.clone(), cancel, &mut |_, _, _| {})
}

fn is_whole(card: &FaultyCard) -> bool {
    static EXPECTED: OnceLock<Vec<(Range<u64>, Vec<u8>)>> = OnceLock::new();
    let expected = EXPECTED.get_or_init(|| {
        let (image, used, _) = image();
        expected(&image, &used)
    });
    expected.iter().all(|(range, bytes)| card.reads(range.clone()) == *bytes)
}

fn has_no_table(card: &FaultyCard) -> bool {
    // As it was before, zeros, or the filling that is no table: one byte, over and over.
    let head = card.stored(0..HEAD);
    head.iter().all(|b| *b == head[0])
}

#[test]
fn a_sound_card_holds_what_is_in_use_and_nothing_of_before() {
    for able in [true, false] {
        let card = FaultyCard { able, ..FaultyCard::new(CARD, &[]) };
        let written = flash(&card, &Cancel::new()).expect("flash");
        assert!(is_whole(&card) && card.inside().announced);
        assert_eq!(card.stored(CARD - MIB..CARD), vec![0; MIB as usize], "old marks at the end");
        assert_eq!(
            card.stored(7 * MIB + 4096..7 * MIB + 8192),
            vec![OLD; 4096],
            "free: left alone"
        );
        // 2 MiB that are free, less the end of the partition, which is not: it has marks.
        let used = 16 * MIB - MIB - MIB + 512;
        assert!(written.verified >= used && written.verified < used + 600_000, "{written:?}");
        assert_eq!(written.zeroed > 2 * MIB, able, "{written:?}");
        assert_eq!(written.discarded > 5 * MIB, able, "{written:?}");
    }
}

#[test]
fn each_trouble_has_its_own_error_and_leaves_no_partition_table() {
    let at = 4 * MIB + 512 * 9;
    for (trouble, message, exit) in [
        (Trouble::CannotWrite(at), "writing block 8200 (byte 4198400) failed", Exit::Failed),
        (Trouble::CannotRead(at), "reading block", Exit::Failed),
        (Trouble::ShortForever(at), "too little at byte 4198912", Exit::Failed),
        (Trouble::Lies(at), "read back as something else", Exit::Verification),
        (Trouble::ReadsWrong(at), "bytes 4194304 to 6291455 read back", Exit::Verification),
        (Trouble::VanishesAfter(7), "not there any more", Exit::Failed),
        (Trouble::VanishesReading(2), "not there any more", Exit::Failed),
        (Trouble::Wraps(8 * MIB), "read back as something else", Exit::Verification),
        // Behind its end is only what shares its place with the partition table.
        (Trouble::Wraps(16 * MIB), "bytes 16777216 to 16777727 read back", Exit::Verification),
        (Trouble::Forgets(8 * MIB), "read back as something else", Exit::Verification),
        (Trouble::Full(CARD - 2 * MIB), "it is full", Exit::Failed),
        (Trouble::LockedAfter(5), "takes no writes", Exit::Failed),
        (Trouble::CannotSync, "failed", Exit::Failed),
    ] {
        let card = FaultyCard::new(CARD, &[trouble]);
        let unfinished = flash(&card, &Cancel::new()).expect_err("found");
        let gone = matches!(unfinished.fault, Fault::Gone);
        assert_eq!(unfinished.blank, !gone && trouble != Trouble::LockedAfter(5), "{trouble:?}");
        assert!(
            unfinished.touched && has_no_table(&card) && !card.inside().announced,
            "{trouble:?}"
        );
        let error = unfinished.fault.into_error("/dev/sdx");
        assert_eq!((error.exit(), error.hints().len()), (exit, 1), "{trouble:?}");
        let text = error.to_string();
        assert!(text.contains(message) && text.contains("/dev/sdx"), "{trouble:?}: {text}");
    }
}

#[test]
fn a_short_write_that_is_made_good_is_no_fault() {
    let card = FaultyCard::new(CARD, &[Trouble::ShortOnce(5 * MIB + 100 * 512)]);
    flash(&card, &Cancel::new()).expect("flash");
    assert!(is_whole(&card));
}

#[test]
fn the_partition_table_comes_last_and_a_lie_about_it_is_found() {
    let card = FaultyCard::new(CARD, &[Trouble::Lies(512)]);
    let unfinished = flash(&card, &Cancel::new()).expect_err("found");
    assert!(matches!(unfinished.fault, Fault::Different { range } if range == (0..HEAD)));
    // Every write between the first and the last found the head empty: see the property below.
    let stored = card.stored(0..HEAD);
    assert_eq!(stored.iter().filter(|b| **b != 0).count(), 1, "the lie alone");
}

#[test]
fn stopping_leaves_a_card_without_a_partition_table() {
    let card = FaultyCard::new(CARD, &[]);
    let cancel = Cancel::new();
    let (image, used, partitions) = image();
    let content = Content { image: &image, used: &used, partitions: &partitions };
    let mut steps = 0;
    let unfinished = write(content, &mut card.clone(), &cancel, &mut |_, _, _| {
        steps += 1;
        if steps == 6 {
            cancel.cancel();
        }
    })
    .expect_err("stopped");
    assert!(matches!(unfinished.fault, Fault::Interrupted) && unfinished.blank);
    assert_eq!(card.stored(0..HEAD), vec![0; HEAD as usize]);
    let before = FaultyCard::new(CARD, &[]);
    let unfinished = flash(&before, &cancel).expect_err("stopped before it began");
    assert!(!unfinished.touched && before.inside().writes == 0);
}

#[test]
fn an_image_larger_than_the_card_is_not_begun() {
    let card = FaultyCard::new(16 * MIB, &[]);
    let unfinished = flash(&card, &Cancel::new()).expect_err("too small");
    assert!(!unfinished.touched && card.inside().writes == 0);
}

#[test]
fn cards_that_claim_too_much_are_found_with_what_they_hold() {
    let claimed = 512 * MIB;
    let check = |trouble: &[Trouble]| {
        let mut card = FaultyCard::new(claimed, trouble);
        check_capacity(&mut card, 77, &Cancel::new(), |_, _| {})
    };
    check(&[]).expect("an honest card");
    for real in [8 * MIB, 64 * MIB, 256 * MIB] {
        match check(&[Trouble::Wraps(real)]) {
            Err(Fault::Capacity { claimed: 536_870_912, holds }) => assert_eq!(holds, real),
            other => panic!("wrapping at {real}: {other:?}"),
        }
    }
    for real in [5 * MIB, 100 * MIB, claimed - MIB / 16] {
        for trouble in [Trouble::Forgets(real), Trouble::Full(real)] {
            match check(&[trouble]) {
                Err(Fault::Capacity { holds, .. }) => {
                    assert!(
                        holds >= real - MIB / 16 && holds <= real + 5 * MIB,
                        "{trouble:?}: {holds}"
                    );
                }
                other => panic!("{trouble:?}: {other:?}"),
            }
        }
    }
    let gone = check(&[Trouble::VanishesAfter(20)]);
    assert!(matches!(gone, Err(Fault::Gone)), "{gone:?}");
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let place = || (0..CARD / 512).prop_map(|block| block * 512);
    let size = || (1..CARD / MIB).prop_map(|n| n * MIB);
    prop_oneof![
        place().prop_map(Trouble::CannotWrite),
        place().prop_map(Trouble::CannotRead),
        place().prop_map(Trouble::ShortOnce),
        place().prop_map(Trouble::ShortForever),
        place().prop_map(Trouble::Lies),
        place().prop_map(Trouble::ReadsWrong),
        (0..30_u64).prop_map(Trouble::VanishesAfter),
        (0..30_u64).prop_map(Trouble::VanishesReading),
        size().prop_map(Trouble::Wraps),
        size().prop_map(Trouble::Forgets),
        size().prop_map(Trouble::Full),
        (0..30_u64).prop_map(Trouble::LockedAfter),
        Just(Trouble::CannotSync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever fails, wherever: a card reported as whole is whole, and one that is not has no
    /// partition table that anybody could boot or mount, as far as it can still be written.
    #[test]
    fn success_is_never_claimed_of_a_card_that_is_not_whole(
        troubles in prop::collection::vec(trouble(), 0..3), able: bool,
    ) {
        let card = FaultyCard { able, ..FaultyCard::new(CARD, &troubles) };
        match flash(&card, &Cancel::new()) {
            Ok(_) => prop_assert!(is_whole(&card), "{troubles:?}"),
            Err(unfinished) => {
                prop_assert!(!card.inside().announced, "{troubles:?}");
                if unfinished.blank && !troubles.iter().any(|t| matches!(t, Trouble::Lies(_))) {
                    prop_assert!(has_no_table(&card), "{troubles:?}");
                }
            }
        }
    }
}
