//! Not a byte is written to a device that is refused, whatever it is refused for and however it was
//! asked for.

use std::collections::BTreeSet;

use bake::device::{Bus, Demand, Device, Kind, Reason, Use, judge};
use bake::error::Exit;
use bake::job::flash::{Options, Order, Places, look, removable, watch};
use bake::sys::interrupt::Cancel;
use proptest::prelude::*;

use crate::card::FaultyCard;
use crate::shelf::{self, LEN, Same, Shelf, card};

/// Names the reasons there are to refuse a device. One that is new does not compile before it is
/// here, and what is here needs a case below.
macro_rules! reasons {
    ($($pattern:pat => $name:literal,)*) => {
        const REASONS: &[&str] = &[$($name),*];
        fn name(reason: &Reason) -> &'static str {
            match reason { $($pattern => $name,)* }
        }
    };
}

reasons! {
    Reason::Partition(_) => "partition",
    Reason::Area => "area",
    Reason::BuiltIn => "built in",
    Reason::Loop => "loop",
    Reason::Used(Use::Mounted { .. }) => "mounted",
    Reason::Used(Use::Swap { .. }) => "swap",
    Reason::Used(Use::Held { .. }) => "held",
    Reason::ReadOnly => "read-only",
    Reason::Empty => "empty",
    Reason::Small { .. } => "small",
    Reason::Blocks(_) => "blocks",
}

fn mounted(part: &str, at: &str) -> Use {
    Use::Mounted { part: part.into(), at: at.into() }
}

fn used(what: Use) -> Device {
    Device { uses: vec![what], ..card('b') }
}

/// Devices that are refused, each for a reason alone.
fn cases() -> Vec<(Device, &'static str)> {
    let held = |by: &str| used(Use::Held { part: "sdb2".into(), by: by.into() });
    let built_in = Device { bus: Bus::Other, removable: false, ..card('b') };
    vec![
        (Device { kind: Kind::PartitionOf("/dev/sdc".into()), ..card('b') }, "partition"),
        (Device { kind: Kind::Area, bus: Bus::Mmc, ..card('b') }, "area"),
        (built_in.clone(), "built in"),
        (Device { bus: Bus::Loop, ..card('b') }, "loop"),
        (used(mounted("sdb1", "/media/me/boot")), "mounted"),
        (used(mounted("sdb", "/")), "mounted"),
        (used(Use::Swap { part: "sdb3".into() }), "swap"),
        // LVM and encryption, RAID, bcache.
        (held("dm-0"), "held"),
        (held("md127"), "held"),
        (held("bcache0"), "held"),
        (Device { read_only: true, ..card('b') }, "read-only"),
        (Device { size: 0, ..card('b') }, "empty"),
        (Device { size: LEN - 512, ..card('b') }, "small"),
        (Device { block: 8192, ..card('b') }, "blocks"),
        (Device { block: 0, ..card('b') }, "blocks"),
    ]
}

/// Tries to have `device` written in every way there is; the exits of what refused it, which all
/// must.
fn try_all(device: &Device, loops: bool) -> (Shelf, Vec<Exit>) {
    let shelf = Shelf::of([(device.clone(), FaultyCard::new(device.size, &[]))]);
    let (supply, cancel) = (Same::default(), Cancel::new());
    let flasher =
        shelf::flasher(&shelf, &supply, None, Options { loops, ..Options::default() }, &cancel);
    let order = Order { device: device.clone(), node: None };
    let mut exits = Vec::new();
    let mut write = |order: Order| {
        let outcome = flasher.one(&order);
        exits.extend(outcome.result.err().map(|e| e.exit()));
    };
    // By name, among all that is removable, and though nobody had judged it before.
    for device in look(&shelf, std::slice::from_ref(&device.path), loops).unwrap_or_default() {
        write(Order { device, node: None });
    }
    for device in removable(&shelf, loops).expect("list") {
        write(Order { device, node: None });
    }
    write(order);
    (shelf, exits)
}

fn assert_untouched(shelf: &Shelf, device: &Device) {
    let (_, card) = shelf.slots.iter().find(|(d, _)| d == device).expect("the device");
    let inside = card.inside();
    assert!(!shelf.is_opened(device), "opened: {device:?}");
    assert_eq!((inside.writes, inside.written, inside.discards), (0, 0, 0), "{device:?}");
    assert!(!inside.announced);
}

#[test]
fn every_reason_there_is_leaves_the_device_untouched() {
    let mut seen = BTreeSet::new();
    for (device, reason) in cases() {
        let demand = Demand { bytes: LEN, loops: false };
        let refusal = judge(device.clone(), demand).expect_err(reason);
        let named: Vec<&str> = refusal.reasons.iter().map(name).collect();
        assert_eq!(named, [reason], "{device:?}");
        seen.insert(reason);
        let (shelf, exits) = try_all(&device, false);
        assert!(!exits.is_empty() && exits.iter().all(|e| *e == Exit::Refused), "{reason}");
        assert_untouched(&shelf, &device);
    }
    assert_eq!(seen, REASONS.iter().copied().collect(), "a reason without a case");
}

#[test]
fn a_wrong_one_among_several_that_are_named_stops_them_all() {
    for (wrong, reason) in cases() {
        if reason == "small" {
            continue; // Nobody knows what is to be written yet.
        }
        let both = [card('c'), wrong];
        let cards = both.clone().map(|device| {
            let card = FaultyCard::new(device.size, &[]);
            (device, card)
        });
        let shelf = Shelf::of(cards);
        let paths = both.clone().map(|device| device.path);
        let error = look(&shelf, &paths, false).expect_err(reason);
        assert_eq!(error.exit(), Exit::Refused, "{reason}");
        let twice = [paths[0].clone(), paths[0].clone()];
        assert_eq!(look(&shelf, &twice, false).expect_err("twice").exit(), Exit::Usage);
        both.iter().for_each(|device| assert_untouched(&shelf, device));
    }
}

fn any_use() -> impl Strategy<Value = Use> {
    let part = || prop_oneof![Just("sdb"), Just("sdb1"), Just("sdb2")].prop_map(str::to_owned);
    prop_oneof![
        (part(), "/[a-z]{0,3}").prop_map(|(part, at)| Use::Mounted { part, at }),
        part().prop_map(|part| Use::Swap { part }),
        (part(), "(dm-|md)[0-9]").prop_map(|(part, by)| Use::Held { part, by }),
    ]
}

prop_compose! {
    /// Two in three have nothing wrong with one thing, so that many have one thing wrong.
    fn any_device()(
        kind in prop_oneof![
            6 => Just(Kind::Whole), 1 => Just(Kind::Area),
            1 => Just(Kind::PartitionOf("/dev/sdz".into())),
        ],
        bus in prop_oneof![
            2 => Just(Bus::Usb), 2 => Just(Bus::Mmc), 1 => Just(Bus::Loop), 1 => Just(Bus::Other)
        ],
        removable: bool,
        read_only in prop::bool::weighted(0.1),
        size in prop_oneof![
            1 => Just(0), 1 => 1..LEN / 512, 6 => LEN / 512..16 << 11
        ].prop_map(|blocks: u64| blocks * 512),
        block in prop_oneof![6 => Just(512), 1 => Just(4096), 1 => any::<u32>()],
        uses in prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(any_use(), 1..3)],
    ) -> Device {
        Device { kind, bus, removable, read_only, size, block, uses, ..card('b') }
    }
}

/// Whether the device may be written, in other words than the guard's.
fn may_be_lost(device: &Device, loops: bool) -> bool {
    let unused = device.uses.is_empty() && !device.read_only && device.kind == Kind::Whole;
    let medium = device.bus == Bus::Usb
        || device.bus == Bus::Mmc
        || (device.bus == Bus::Loop && loops)
        || (device.bus == Bus::Other && device.removable);
    unused && medium && device.size >= LEN && [512, 1024, 2048, 4096].contains(&device.block)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_state_devices_are_in_only_free_cards_are_written(
        devices in prop::collection::vec(any_device(), 1..6), loops: bool,
        watching in prop::bool::weighted(0.1),
    ) {
        let slot = |(at, device): (usize, Device)| {
            let letter = char::from(b'b' + u8::try_from(at).expect("few"));
            let Device { path, number, identity, .. } = card(letter);
            let card = FaultyCard::new(device.size, &[]);
            (Device { path, number, identity, ..device }, card)
        };
        let shelf = Shelf::of(devices.into_iter().enumerate().map(slot));
        let (supply, cancel) = (Same::default(), Cancel::new());
        let options = Options { loops, ..Options::default() };
        let flasher = shelf::flasher(&shelf, &supply, None, options, &cancel);
        let free: Vec<Device> =
            shelf.list_of(|device| may_be_lost(device, loops)).cloned().collect();
        if watching {
            let nodes: Vec<String> = (0..free.len()).map(|n| format!("node{n}")).collect();
            let paths = shelf.list_of(|_| true).map(|device| device.path.clone()).collect();
            // Too small ones are taken by the watch, and refused once their image is there.
            let places = Places { only: paths, present: true };
            let outcomes = watch(&flasher, &nodes, &places, &|_| Ok(true), &|_| {}).expect("watch");
            prop_assert_eq!(outcomes.iter().filter(|o| o.result.is_ok()).count(), free.len());
        } else {
            let orders = shelf.list_of(|_| true);
            let orders = orders.map(|device| Order { device: device.clone(), node: None });
            for outcome in flasher.all(orders.collect(), &|_| {}) {
                let refused = outcome.result.err().map(|e| e.exit());
                let wanted = (!free.contains(&outcome.device)).then_some(Exit::Refused);
                prop_assert_eq!(refused, wanted, "{:?}", outcome.device);
            }
        }
        for (device, card) in &shelf.slots {
            match free.contains(device) {
                true => prop_assert!(shelf::is_whole(card), "{device:?}"),
                false => assert_untouched(&shelf, device),
            }
        }
    }
}
