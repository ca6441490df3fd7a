//! Linux as seen through a made-up `/sys`, `/proc` and `/dev`: whatever of a random computer is
//! mounted, swap, or part of something else is never cleared, and nothing is opened.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use bake::device::{Bus, Demand, Kind, Linux, Platform, Use, judge};
use proptest::prelude::*;

/// A disk and the folder of sysfs that its way leads through.
#[derive(Debug, Clone, Copy)]
struct Model {
    name: &'static str,
    way: &'static str,
    bus: Bus,
    removable: bool,
    part: &'static str,
}

const MODELS: [Model; 6] = [
    Model {
        name: "sda",
        way: "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0",
        bus: Bus::Other,
        removable: false,
        part: "",
    },
    Model {
        name: "sdb",
        way: "pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/host6/target6:0:0/6:0:0:0",
        bus: Bus::Usb,
        removable: true,
        part: "",
    },
    Model {
        name: "mmcblk0",
        way: "platform/soc/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa",
        bus: Bus::Mmc,
        removable: false,
        part: "p",
    },
    Model {
        name: "nvme0n1",
        way: "pci0000:00/0000:01:00.0/nvme/nvme0",
        bus: Bus::Other,
        removable: false,
        part: "p",
    },
    Model { name: "loop3", way: "virtual", bus: Bus::Loop, removable: false, part: "p" },
    Model { name: "dm-0", way: "virtual", bus: Bus::Other, removable: false, part: "p" },
];

/// How a part of a disk (0 is the disk itself) is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InUse {
    No,
    Mounted,
    /// By a file system that counts its own device numbers.
    MountedByName,
    /// Only in another process's view.
    MountedElsewhere,
    /// Through a link such as those in `/dev/disk`.
    MountedByLink,
    Swap,
    Held,
}

#[derive(Debug, Clone)]
struct Disk {
    model: Model,
    parts: Vec<InUse>,
    read_only: bool,
    gib: u64,
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("folder")).expect("folder");
    fs::write(path, text).expect("file");
}

fn add_line(path: &Path, line: &str) {
    let text = fs::read_to_string(path).unwrap_or_default();
    write(path, &format!("{text}{line}\n"));
}

/// Lays the computer out below `root`.
fn build(root: &Path, disks: &[Disk]) {
    write(&root.join("proc/self/mountinfo"), "22 1 0:21 / /proc rw - proc proc rw\n");
    write(&root.join("proc/4711/mountinfo"), "");
    write(&root.join("proc/swaps"), "Filename Type Size Used Priority\n");
    for folder in ["sys/block", "sys/class/block", "dev/disk/by-id"] {
        fs::create_dir_all(root.join(folder)).expect("folder");
    }
    for (index, disk) in disks.iter().enumerate() {
        let Model { name, way, removable, part, .. } = disk.model;
        let block = if way == "virtual" { "virtual/block".into() } else { format!("{way}/block") };
        let folder = root.join("sys/devices").join(block).join(name);
        let major = 8 + index;
        for (number, in_use) in disk.parts.iter().enumerate() {
            let (name, folder) = match number {
                0 => (name.to_owned(), folder.clone()),
                n => (format!("{name}{part}{n}"), folder.join(format!("{name}{part}{n}"))),
            };
            write(&folder.join("dev"), &format!("{major}:{number}\n"));
            write(&folder.join("size"), &format!("{}\n", disk.gib << 21));
            write(&folder.join("ro"), if disk.read_only { "1\n" } else { "0\n" });
            fs::create_dir_all(folder.join("holders")).expect("holders");
            if number > 0 {
                write(&folder.join("partition"), "1\n");
            }
            symlink(&folder, root.join("sys/class/block").join(&name)).expect("link");
            write(&root.join("dev").join(&name), "");
            use_it(root, &folder, &name, &format!("{major}:{number}"), *in_use);
        }
        write(&folder.join("removable"), if removable { "1\n" } else { "0\n" });
        write(&folder.join("queue/logical_block_size"), "512\n");
        symlink(&folder, root.join("sys/block").join(name)).expect("link");
    }
}

fn use_it(root: &Path, folder: &Path, name: &str, number: &str, in_use: InUse) {
    let table = |process: &str| root.join("proc").join(process).join("mountinfo");
    let line = |number: &str, source: &str| {
        format!("36 22 {number} / /mnt/a\\040{name} rw,relatime shared:1 - ext4 {source} rw")
    };
    match in_use {
        InUse::No => {}
        InUse::Mounted => add_line(&table("self"), &line(number, "/dev/root")),
        InUse::MountedByName => add_line(&table("self"), &line("0:44", &format!("/dev/{name}"))),
        InUse::MountedElsewhere => add_line(&table("4711"), &line(number, "/dev/root")),
        InUse::MountedByLink => {
            let link = root.join("dev/disk/by-id").join(format!("id-{name}"));
            symlink(format!("../../{name}"), link).expect("link");
            add_line(&table("self"), &line("0:45", &format!("/dev/disk/by-id/id-{name}")));
        }
        InUse::Swap => add_line(&root.join("proc/swaps"), &format!("/dev/{name} partition 1 0 -2")),
        InUse::Held => fs::create_dir_all(folder.join("holders/dm-7")).expect("holder"),
    }
}

fn in_use() -> impl Strategy<Value = InUse> {
    prop_oneof![
        8 => Just(InUse::No),
        1 => Just(InUse::Mounted),
        1 => Just(InUse::MountedByName),
        1 => Just(InUse::MountedElsewhere),
        1 => Just(InUse::MountedByLink),
        1 => Just(InUse::Swap),
        1 => Just(InUse::Held),
    ]
}

fn computer() -> impl Strategy<Value = Vec<Disk>> {
    let disk = |model| {
        (prop::collection::vec(in_use(), 1..4), prop::bool::weighted(0.1), 0..64_u64)
            .prop_map(move |(parts, read_only, gib)| Disk { model, parts, read_only, gib })
    };
    Vec::from(MODELS.map(disk))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_a_computer_uses_is_never_cleared(disks in computer(), gib in 1..40_u64, loops: bool) {
        let root = tempfile::tempdir().expect("dir");
        build(root.path(), &disks);
        let linux = Linux::below(root.path());
        let demand = Demand { bytes: gib << 30, loops };
        let listed = linux.list().expect("list");
        prop_assert_eq!(listed.len(), disks.len());
        for disk in &disks {
            let Model { name, bus, removable, .. } = disk.model;
            let device = linux.look(&root.path().join("dev").join(name)).expect("device");
            prop_assert!(listed.contains(&device));
            prop_assert_eq!((device.bus, device.kind.clone()), (bus, Kind::Whole));
            prop_assert_eq!(device.size, disk.gib << 30);
            let busy = disk.parts.iter().filter(|p| **p != InUse::No).count();
            prop_assert_eq!(device.uses.len(), busy, "{:?}", device.uses);
            let free = busy == 0;
            let card = matches!(bus, Bus::Usb | Bus::Mmc) || removable || (loops && bus == Bus::Loop);
            let fits = disk.gib >= gib && !disk.read_only;
            prop_assert_eq!(judge(device, demand).is_ok(), free && card && fits, "{:?}", disk);
            for number in 1..disk.parts.len() {
                let part = format!("{name}{}{number}", disk.model.part);
                let part = linux.look(&root.path().join("dev").join(part)).expect("partition");
                prop_assert!(judge(part, demand).is_err());
            }
        }
    }
}

#[test]
fn what_a_card_is_called_and_who_it_is() {
    let root = tempfile::tempdir().expect("dir");
    let free = |index: usize| Disk {
        model: MODELS[index],
        parts: vec![InUse::No; 2],
        read_only: false,
        gib: 32,
    };
    let mounted = Disk { parts: vec![InUse::No, InUse::Mounted], ..free(0) };
    build(root.path(), &[mounted, free(1), free(2)]);
    let sys = root.path().join("sys/devices");
    let usb = sys.join("pci0000:00/0000:00:14.0/usb1/1-3");
    write(&usb.join("idVendor"), "0bda\n");
    write(&usb.join("serial"), "20121112761000000\n");
    let scsi = usb.join("1-3:1.0/host6/target6:0:0/6:0:0:0");
    write(&scsi.join("vendor"), "Generic-\n");
    write(&scsi.join("model"), "SD/MMC/MS PRO   \n");
    symlink(&scsi, scsi.join("block/sdb/device")).expect("link");
    let mmc = sys.join("platform/soc/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa");
    write(&mmc.join("cid"), "035344534c3332478073ff26ba016b00\n");
    write(&mmc.join("name"), "SL32G\n");
    write(&mmc.join("serial"), "0x73ff26ba\n");
    symlink(&mmc, mmc.join("block/mmcblk0/device")).expect("link");
    let linux = Linux::below(root.path());
    let look = |name: &str| linux.look(&root.path().join("dev").join(name)).expect("device");
    assert_eq!(look("sdb").to_string(), "/dev/sdb (Generic- SD/MMC/MS PRO, USB, 32.0 GiB)");
    assert_eq!(look("sdb").identity.unique(), Some("20121112761000000"));
    assert_eq!(look("mmcblk0").to_string(), "/dev/mmcblk0 (SL32G, card slot, 32.0 GiB)");
    assert_eq!(look("mmcblk0").identity.unique(), Some("035344534c3332478073ff26ba016b00"));
    let mount = Use::Mounted { part: "sda1".into(), at: "/mnt/a sda1".into() };
    assert_eq!(look("sda").uses, [mount]);
}
