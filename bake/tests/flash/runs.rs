//! Several cards at a time: what fails is said of that card alone, counts as no card of its node,
//! and makes the whole end with a status that is not 0.

use bake::device::Device;
use bake::error::{Error, Exit};
use bake::job::flash::{Ledger, Options, Order, Outcome, Places, State, conclude, watch};
use bake::sys::interrupt::Cancel;

use crate::card::{FaultyCard, Trouble};
use crate::shelf::{self, LEN, Same, Shelf, card};

const AT: u64 = 2 << 20;

fn shelf(troubles: &[Option<Trouble>]) -> Shelf {
    let slot = |(at, trouble): (usize, &Option<Trouble>)| {
        let device = card(char::from(b'b' + u8::try_from(at).expect("few")));
        let card = FaultyCard::new(device.size, trouble.as_slice());
        (device, card)
    };
    Shelf::of(troubles.iter().enumerate().map(slot))
}

fn exit(outcome: &Outcome) -> Exit {
    outcome.result.as_ref().err().map_or(Exit::Done, Error::exit)
}

#[test]
fn one_that_fails_stops_no_other_and_is_no_card_of_its_node() {
    let check = Options { check_capacity: true, ..Options::default() };
    for (trouble, options, failure) in [
        (Trouble::CannotWrite(AT), Options::default(), Exit::Failed),
        (Trouble::CannotRead(AT), Options::default(), Exit::Failed),
        (Trouble::ShortForever(AT), Options::default(), Exit::Failed),
        (Trouble::Lies(AT), Options::default(), Exit::Verification),
        (Trouble::ReadsWrong(AT), Options::default(), Exit::Verification),
        (Trouble::VanishesAfter(3), Options::default(), Exit::Failed),
        (Trouble::VanishesReading(1), Options::default(), Exit::Failed),
        (Trouble::LockedAfter(2), Options::default(), Exit::Failed),
        (Trouble::CannotSync, Options::default(), Exit::Failed),
        // The image fits in what they hold: only looking for their true capacity finds them.
        (Trouble::Wraps(LEN + AT), check, Exit::Verification),
        (Trouble::Forgets(LEN + AT), check, Exit::Verification),
        (Trouble::Full(LEN + AT), check, Exit::Verification),
    ] {
        let dir = tempfile::tempdir().expect("dir");
        let ledger = Ledger::at(dir.path().join("edge.flashed.json"), "id").expect("ledger");
        let shelf = shelf(&[None, Some(trouble), None]);
        let (supply, cancel) = (Same::default(), Cancel::new());
        let flasher = shelf::flasher(&shelf, &supply, Some(&ledger), options, &cancel);
        let order = |(at, (device, _)): (usize, &(Device, FaultyCard))| Order {
            device: device.clone(),
            node: Some(format!("node{at}")),
        };
        let orders = shelf.slots.iter().enumerate().map(order).collect();
        let outcomes = flasher.all(orders, &|_| {});
        let exits: Vec<Exit> = outcomes.iter().map(exit).collect();
        assert_eq!(exits, [Exit::Done, failure, Exit::Done], "{trouble:?}");
        for (at, (_, card)) in shelf.slots.iter().enumerate() {
            let node = format!("node{at}");
            let whole = at != 1;
            assert_eq!(ledger.is_done(&node).expect("ledger"), whole, "{trouble:?}, {node}");
            assert_eq!(card.inside().announced, whole, "{trouble:?}, {node}");
            assert!(!whole || shelf::is_whole(card), "{trouble:?}, {node}");
        }
        let cards = ledger.cards("node1").expect("ledger");
        let state = match trouble {
            // Nothing of the node was written to it.
            _ if options.check_capacity => None,
            // It may hold anything.
            Trouble::VanishesAfter(_) | Trouble::VanishesReading(_) | Trouble::LockedAfter(_) => {
                Some(State::Begun)
            }
            _ => Some(State::Failed),
        };
        let states: Vec<State> = cards.iter().map(|card| card.state).collect();
        assert_eq!(states, state.as_slice(), "{trouble:?}");
        let error = conclude(outcomes).expect_err("one failed");
        assert_eq!(error.exit(), failure, "{trouble:?}");
        assert_eq!(error.to_string(), "1 of 3 cards failed: /dev/sdc");
    }
}

#[test]
fn waiting_goes_on_after_a_failure_and_ends_with_its_status() {
    // Two that fail and one too many that is sound: the nodes of the first two need both others.
    let shelf = shelf(&[Some(Trouble::Lies(AT)), Some(Trouble::Lies(AT)), None, None]);
    let (supply, cancel) = (Same::default(), Cancel::new());
    let flasher = shelf::flasher(&shelf, &supply, None, Options::default(), &cancel);
    let nodes = ["one".to_owned(), "two".to_owned()];
    let places = Places { only: Vec::new(), present: true };
    let outcomes = watch(&flasher, &nodes, &places, &|_| Ok(true), &|_| {}).expect("watch");
    let mut whole: Vec<(&str, u32)> = outcomes
        .iter()
        .filter(|o| o.result.is_ok())
        .map(|o| (o.node.as_deref().expect("node"), o.incarnation.expect("incarnation")))
        .collect();
    whole.sort_unstable();
    assert_eq!(whole, [("one", 2), ("two", 2)], "each got another card");
    for (device, card) in &shelf.slots[2..] {
        assert!(shelf::is_whole(card), "{device}");
    }
    let error = conclude(outcomes).expect_err("two failed");
    assert_eq!(error.exit(), Exit::Verification);
    assert!(error.to_string().starts_with("2 of 4 cards failed: /dev/sd"), "{error}");
    let sound = self::shelf(&[None]);
    let flasher = shelf::flasher(&sound, &supply, None, Options::default(), &cancel);
    let outcomes = watch(&flasher, &nodes[..1], &places, &|_| Ok(true), &|_| {}).expect("watch");
    conclude(outcomes).expect("no card failed");
}
