use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::device::Identity;
use crate::error::Exit;

fn card() -> Device {
    Device {
        path: PathBuf::from("/dev/sdb"),
        number: (8, 16),
        sequence: Some(7),
        kind: Kind::Whole,
        bus: Bus::Usb,
        removable: true,
        read_only: false,
        size: 32 << 30,
        block: 512,
        identity: Identity { model: "Generic Reader".into(), ..Identity::default() },
        uses: Vec::new(),
    }
}

#[test]
fn a_card_is_cleared_and_everything_else_is_refused_with_a_remedy() {
    let demand = Demand { bytes: 4 << 30, loops: false };
    judge(card(), demand).expect("a card");
    judge(Device { bus: Bus::Mmc, removable: false, ..card() }, demand).expect("a card slot");
    let mounted = Use::Mounted { part: "sdb1".into(), at: "/media/me/boot".into() };
    for (wrong, reason) in [
        (
            Device { kind: Kind::PartitionOf("/dev/sdb".into()), ..card() },
            "a partition of /dev/sdb",
        ),
        (Device { kind: Kind::Area, ..card() }, "a hardware area"),
        (Device { bus: Bus::Other, removable: false, ..card() }, "a built-in disk"),
        (Device { bus: Bus::Loop, removable: false, ..card() }, "a loop device"),
        (Device { uses: vec![mounted], ..card() }, "sdb1 is mounted at /media/me/boot"),
        (Device { uses: vec![Use::Swap { part: "sdb".into() }], ..card() }, "sdb is swap space"),
        (Device { read_only: true, ..card() }, "write-protected"),
        (Device { size: 0, read_only: true, ..card() }, "there is no card in it"),
        (Device { size: 1 << 30, ..card() }, "4.0 GiB are needed, and it has 1.0 GiB"),
        (Device { block: 8192, ..card() }, "blocks of 8192 bytes"),
    ] {
        let refusal = judge(wrong, demand).expect_err(reason);
        let error = Error::from(refusal);
        assert!(error.to_string().contains(reason), "{error}, not {reason}");
        assert_eq!((error.exit(), error.hints().len()), (Exit::Refused, 1));
    }
}

fn any_use() -> impl Strategy<Value = Use> {
    prop_oneof![
        "[a-z]{1,3}".prop_map(|at| Use::Mounted { part: "sdb1".into(), at: format!("/{at}") }),
        Just(Use::Mounted { part: "sdb2".into(), at: "/".into() }),
        Just(Use::Swap { part: "sdb3".into() }),
        Just(Use::Held { part: "sdb".into(), by: "dm-0".into() }),
    ]
}

prop_compose! {
    fn any_device()(
        kind in prop_oneof![
            4 => Just(Kind::Whole), 1 => Just(Kind::Area), 1 => Just(Kind::PartitionOf("/dev/sdb".into()))
        ],
        bus in prop_oneof![Just(Bus::Mmc), Just(Bus::Usb), Just(Bus::Loop), Just(Bus::Other)],
        removable: bool,
        read_only in prop::bool::weighted(0.2),
        size in prop_oneof![1 => Just(0), 4 => 0..64_u64 << 30],
        block in prop_oneof![4 => Just(512_u32), 1 => Just(4096), 1 => any::<u32>()],
        uses in prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(any_use(), 0..3)],
    ) -> Device {
        Device { kind, bus, removable, read_only, size, block, uses, ..card() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    /// Said once more in other words, so that a slip in one of the two is seen.
    #[test]
    fn nothing_in_use_or_built_in_is_ever_cleared(
        device in any_device(), bytes in 0..64_u64 << 30, loops: bool,
    ) {
        let may_be_lost = device.uses.is_empty()
            && device.kind == Kind::Whole
            && match device.bus {
                Bus::Loop => loops,
                Bus::Mmc | Bus::Usb => true,
                Bus::Other => device.removable,
            };
        let works = device.size >= bytes.max(1)
            && !device.read_only
            && [512, 1024, 2048, 4096].contains(&device.block);
        match judge(device.clone(), Demand { bytes, loops }) {
            Ok(cleared) => {
                prop_assert!(may_be_lost && works);
                prop_assert_eq!(cleared.device(), &device);
            }
            Err(refusal) => {
                prop_assert!(!(may_be_lost && works));
                prop_assert!(!refusal.reasons.is_empty());
            }
        }
    }
}
