//! Whatever is missing ends in a stated condition, which heals when its cause goes away or halts.

mod fake;

use std::path::Path;
use std::time::Duration;

use fake::{Fake, Led, Loss};
use firstboot::exit::Exit;
use firstboot::ledger::Ledger;
use firstboot::machine::StepId;
use firstboot::report::load_status;
use firstboot::sys::Space;
use nodeconf::paths;
use nodeconf::status::{State, Status};

fn step(name: &str) -> StepId {
    StepId::ALL.into_iter().find(|step| step.name() == name).expect("the name of a step")
}

fn status(fake: &Fake) -> Status {
    load_status(fake).expect("a run leaves a status")
}

/// What the last run stopped at, in the status, the journal and the log on the boot partition.
fn stopped_at(fake: &Fake, step: &str, what: &str) {
    let status = status(fake);
    let trouble = status.trouble.expect("the status tells the trouble");
    assert_eq!(trouble.step, step);
    assert!(trouble.what.contains(what), "{trouble:?}");
    assert!(!trouble.remedy.is_empty());
    assert!(fake.said(what), "the journal tells it");
    let log = fake.file("/boot/firmware/bake-firstboot.log").expect("there is a log");
    assert!(log.contains(what), "the log on the boot partition tells it: {log}");
}

fn heals(fake: &Fake) {
    assert_eq!(fake.run_as_unit(3), Exit::Converged);
    let status = status(fake);
    assert_eq!(status.state, State::Done);
    assert_eq!(status.trouble, None);
}

#[test]
fn a_full_disk_is_waited_out() {
    let fake = Fake::with(|world| world.disk.full = true);
    assert_eq!(fake.run_as_unit(4), Exit::TryAgain);
    assert!(fake.said("free some space"));
    fake.world.borrow_mut().disk.full = false;
    heals(&fake);
}

#[test]
fn a_disk_that_fills_in_the_middle_is_waited_out() {
    for seconds in [9, 12, 16, 20, 26] {
        let fake = Fake::with(|world| world.network_at = Some(Duration::from_secs(1000)));
        assert_eq!(fake.run(), Exit::TryAgain);
        fake.world.borrow_mut().network_at = Some(Duration::from_secs(seconds));
        fake.world.borrow_mut().disk.full = true;
        assert_eq!(fake.run_as_unit(2), Exit::TryAgain);
        fake.world.borrow_mut().disk.full = false;
        heals(&fake);
    }
}

#[test]
fn too_little_room_is_told_with_its_size() {
    let fake = Fake::with(|world| {
        world.space = Space { total: 2 << 30, free: 100 << 20 };
        world.card_sectors = 5 << 20;
    });
    assert_eq!(fake.run(), Exit::TryAgain);
    stopped_at(&fake, "storage", "100 MiB are free");
    fake.world.borrow_mut().space.free = 1 << 30;
    heals(&fake);
}

#[test]
fn root_may_still_be_growing() {
    let fake = Fake::with(|world| world.space = Space { total: 2 << 30, free: 100 << 20 });
    assert_eq!(fake.run(), Exit::TryAgain);
    stopped_at(&fake, "storage", "100 MiB are free");
    assert!(fake.said("still to grow"));
    assert!(fake.world.borrow().uptime > Duration::from_secs(60), "it was waited for");
    fake.world.borrow_mut().space = Space { total: 8 << 30, free: 6 << 30 };
    heals(&fake);
}

#[test]
fn a_missing_memory_cgroup_halts_until_a_reboot_brings_it() {
    let fake = Fake::with(|world| world.memory_cgroup = false);
    assert_eq!(fake.run(), Exit::ConfigWrong);
    stopped_at(&fake, "storage", "memory cgroup");
    let log = fake.file("/boot/firmware/bake-firstboot.log").unwrap();
    assert!(log.contains("cgroup_enable=memory to /boot/firmware/cmdline.txt"), "{log}");
    fake.world.borrow_mut().memory_cgroup = true;
    fake.reboot(Loss::Nothing);
    heals(&fake);
}

#[test]
fn a_clock_in_the_past_is_set_to_the_floor() {
    let fake = Fake::new();
    assert_eq!(fake.run(), Exit::Converged);
    assert!(fake.world.borrow().clock.as_secs() >= fake::FLOOR);
    assert!(fake.said("the clock says 1970-01-12"));
    let notes = status(&fake).notes;
    assert!(notes.contains(&"the clock is not synchronised; going on without".to_owned()));
}

#[test]
fn a_clock_that_is_synchronised_is_not_waited_for() {
    let fake = Fake::with(|world| {
        world.synchronises = true;
        world.clock = Duration::from_secs(fake::FLOOR + 1000);
    });
    assert_eq!(fake.run(), Exit::Converged);
    assert!(!fake.said("not synchronised"));
    assert!(fake.world.borrow().clock.as_secs() > fake::FLOOR + 1000);
}

#[test]
fn a_clock_that_cannot_be_set_is_told() {
    let fake = Fake::with(|world| world.clock_can_be_set = false);
    assert_eq!(fake.run(), Exit::TryAgain);
    stopped_at(&fake, "clock", "setting the clock");
    fake.world.borrow_mut().clock_can_be_set = true;
    heals(&fake);
}

#[test]
fn no_network_is_waited_for_and_told() {
    let fake = Fake::with(|world| world.network_at = None);
    assert_eq!(fake.run(), Exit::TryAgain);
    stopped_at(&fake, "network", "192.168.24.11 is not on eth0");
    assert!(fake.world.borrow().effects.iter().all(|e| !e.contains("k3s")), "K3s has to wait");
    fake.world.borrow_mut().network_at = Some(Duration::ZERO);
    heals(&fake);
    let error = status(&fake).last_error.expect("what went wrong is remembered");
    assert!(error.what.contains("is not on eth0"));
}

#[test]
fn a_duplicate_address_is_suspected() {
    let fake = Fake::with(|world| {
        world.network_at = None;
        world.arping_answers = true;
    });
    assert_eq!(fake.run(), Exit::TryAgain);
    stopped_at(&fake, "network", "another machine uses 192.168.24.11");
}

#[test]
fn a_k3s_that_dies_is_quoted_and_waited_for() {
    let fake = Fake::with(|world| world.k3s_dies = true);
    assert_eq!(fake.run(), Exit::TryAgain);
    stopped_at(&fake, "confirm", "disk is on fire");
    assert!(fake.world.borrow().uptime < Duration::from_secs(100), "no need to wait it out");
    fake.world.borrow_mut().k3s_dies = false;
    heals(&fake);
    let starts = fake.world.borrow().effects.iter().filter(|e| e.starts_with("start")).count();
    assert_eq!(starts, 1);
}

#[test]
fn a_wrong_configuration_halts() {
    for (from, to, told) in [
        ("\"version\": 1,", "\"version\": 9,", "version 9 is not supported"),
        ("\"swap\"", "\"swop\"", "swop"),
        ("192.168.24.11\", \"prefix\"", "0.0.0.0\", \"prefix\"", "node.address"),
        ("}", "", "line"),
    ] {
        let edited = fake::CONFIG.replacen(from, to, 1);
        assert_ne!(edited, fake::CONFIG);
        let fake =
            Fake::with(|world| world.disk.place(paths::NODE_CONFIG, edited.as_bytes(), 0o644));
        assert_eq!(fake.run(), Exit::ConfigWrong);
        stopped_at(&fake, "identity", told);
        assert!(fake.world.borrow().effects.is_empty());
    }
}

#[test]
fn a_release_image_that_is_nobodys_says_so() {
    let record = |name: &str| {
        format!(r#"{{"version": 1, "node": {{"profile": "edge", {name} "role": "server"}}}}"#)
    };
    let card = |record: &str| {
        Fake::with(|world| {
            world.disk.remove(Path::new(paths::NODE_CONFIG)).unwrap();
            world.disk.place(paths::RECORD, record.as_bytes(), 0o644);
            world.led = Some(Led::default());
        })
    };
    let fake = card(&record(""));
    assert_eq!(fake.run(), Exit::ConfigWrong);
    stopped_at(&fake, "identity", "holds a release image, profile edge, role server");
    assert!(fake.said("bake personalise IMAGE --profile edge --node NAME"));
    assert!(fake.world.borrow().effects.is_empty());
    let led = fake.world.borrow().led.clone().unwrap();
    assert_eq!(led.shown.last().map(String::as_str), Some("100/100"), "somebody must help");
    // Of a node whose configuration got lost, and of no bake at all, that would be wrong.
    for record in [record(r#""name": "node1","#), "{".into()] {
        let fake = card(&record);
        assert_eq!(fake.run(), Exit::ConfigWrong);
        stopped_at(&fake, "identity", "reading /etc/bake/node.json");
    }
}

#[test]
fn missing_pieces_of_the_image_halt() {
    for path in [paths::K3S, paths::K3S_CONFIG, "/etc/systemd/system/k3s.service"] {
        let fake = Fake::with(|world| world.disk.place(path, b"", 0o755));
        assert_eq!(fake.run(), Exit::ConfigWrong);
        stopped_at(&fake, "k3s", path);
    }
    let fake = Fake::with(|world| world.disk.place(paths::K3S, b"binary", 0o644));
    assert_eq!(fake.run(), Exit::ConfigWrong);
    stopped_at(&fake, "k3s", "not executable");
}

#[test]
fn a_machine_without_an_id_waits_for_systemd() {
    let fake = Fake::with(|world| world.disk.place("/etc/machine-id", b"uninitialized\n", 0o444));
    assert_eq!(fake.run(), Exit::TryAgain);
    stopped_at(&fake, "identity", "machine id");
    let id = b"0123456789abcdef0123456789abcdef\n";
    fake.world.borrow_mut().disk.place("/etc/machine-id", id, 0o444);
    heals(&fake);
}

#[test]
fn a_damaged_or_newer_ledger_halts_as_broken() {
    for text in ["", "{\"version\": 1", "{\"version\": 2, \"new\": true}"] {
        let fake = Fake::with(|world| world.disk.place(paths::LEDGER, text.as_bytes(), 0o600));
        assert_eq!(fake.run(), Exit::Broken, "{text}");
        stopped_at(&fake, "identity", paths::LEDGER);
        assert_eq!(fake.file(paths::LEDGER).as_deref(), Some(text), "left as evidence");
    }
}

/// A finished board whose card then carries `CONFIG` with this change.
fn rebaked(from: &str, to: &str) -> Fake {
    let fake = Fake::new();
    assert_eq!(fake.run(), Exit::Converged);
    let other = fake::CONFIG.replace(from, to);
    assert_ne!(other, fake::CONFIG);
    fake.reboot(Loss::Nothing);
    {
        let disk = &mut fake.world.borrow_mut().disk;
        disk.place(paths::NODE_CONFIG, other.as_bytes(), 0o644);
        disk.place(paths::NODE_SECRETS, fake::SECRETS.as_bytes(), 0o600);
    }
    fake
}

#[test]
fn another_nodes_configuration_on_a_finished_card_halts() {
    for (from, to) in
        [("2f4a1b0c9e77", "2f4a1b0c9e78"), ("\"name\": \"node1\"", "\"name\": \"node2\"")]
    {
        let fake = rebaked(from, to);
        assert_eq!(fake.run(), Exit::ConfigWrong);
        stopped_at(&fake, "identity", "set up as node1");
    }
}

#[test]
fn a_finished_card_that_was_baked_anew_begins_anew() {
    let fake = rebaked("\"incarnation\": 1", "\"incarnation\": 2");
    assert_eq!(fake.run(), Exit::Converged);
    assert!(fake.said("was incarnation 1 of the node and was baked anew as 2"));
    assert_eq!(fake.file(paths::NODE_SECRETS), None, "what was baked anew is erased again");
    let ledger = Ledger::load(&fake).unwrap().unwrap();
    assert!(ledger.incarnation == 2 && ledger.sealed());

    let earlier = fake::CONFIG.as_bytes();
    fake.world.borrow_mut().disk.place(paths::NODE_CONFIG, earlier, 0o644);
    assert_eq!(fake.run(), Exit::ConfigWrong);
    stopped_at(&fake, "identity", "incarnation 2)");
}

#[test]
fn two_runs_at_a_time_do_not_meet() {
    let fake = Fake::with(|world| world.locked_elsewhere = true);
    assert_eq!(fake.run(), Exit::TryAgain);
    assert!(fake.said("already running"));
    assert_eq!(fake.writes.get(), 0, "the other run's status is not touched");
}

#[test]
fn swap_that_comes_back_on_a_finished_node_is_noted_not_changed() {
    let fake = Fake::new();
    assert_eq!(fake.run(), Exit::Converged);
    let effects = fake.world.borrow().effects.len();
    fake.reboot(Loss::Nothing);
    fake.world.borrow_mut().swap = true;
    assert_eq!(fake.run(), Exit::Converged);
    assert!(fake.said("note: storage: swap is on: /var/swap"));
    assert_eq!(fake.world.borrow().effects.len(), effects);
}

#[test]
fn nothing_told_holds_a_secret() {
    let fake = Fake::new();
    assert_eq!(fake.run(), Exit::Converged);
    let world = fake.world.borrow();
    let told = world.said.iter().map(|(_, line)| line).chain(&world.notified);
    assert!(told.into_iter().all(|line| !line.contains("s3cret")));
    for (path, content) in world.disk.content() {
        let content = String::from_utf8_lossy(&content);
        assert!(!content.contains("s3cret"), "{} is left", path.display());
    }
}

#[test]
fn the_status_has_the_times_of_the_papers_table() {
    let fake = Fake::new();
    assert_eq!(fake.run(), Exit::Converged);
    let status = status(&fake);
    let sum = |installation: bool| -> f64 {
        let steps = status.steps.iter().filter(|s| step(&s.name).is_installation() == installation);
        steps.map(|step| step.seconds.unwrap()).sum()
    };
    // Waiting for the network (until 15 s) and the clock (5 s); K3s is Ready 9 s after its start.
    let configuration = status.configuration_seconds.unwrap();
    let installation = status.installation_seconds.unwrap();
    assert!((5.0..10.0).contains(&configuration), "{configuration}");
    assert!((9.0..12.0).contains(&installation), "{installation}");
    assert!((sum(false) - configuration).abs() < 0.1 && (sum(true) - installation).abs() < 0.1);
    let told = &fake.world.borrow().notified;
    assert_eq!(told.last().map(String::as_str), Some("STATUS=done: the node is Ready"));
}

#[test]
fn the_led_shows_how_it_goes() {
    let fake = Fake::with(|world| {
        world.led = Some(Led::default());
        world.network_at = None;
    });
    let shown =
        |fake: &Fake| std::mem::take(&mut fake.world.borrow_mut().led.as_mut().unwrap().shown);
    assert_eq!(fake.run(), Exit::TryAgain);
    assert_eq!(
        shown(&fake),
        ["heartbeat", "timer", "1000/1000", "heartbeat", "timer", "1000/1000"]
    );
    fake.world.borrow_mut().network_at = Some(Duration::ZERO);
    heals(&fake);
    assert_eq!(shown(&fake).last().map(String::as_str), Some("mmc0"), "the image's own is back");
    fake.reboot(Loss::Nothing);
    assert_eq!(fake.run(), Exit::Converged);
    assert_eq!(shown(&fake), [""; 0], "a finished board's is left alone");

    let fake = Fake::with(|world| {
        world.led = Some(Led::default());
        world.memory_cgroup = false;
    });
    assert_eq!(fake.run(), Exit::ConfigWrong);
    assert_eq!(shown(&fake).last().map(String::as_str), Some("100/100"));
}
