//! A server and the others that come and leave: what its files, its services and its firewall make
//! of it, whenever the power goes.

mod fake;
mod street;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use fake::Loss;
use firstboot::witness::{List, Progress};
use nodeconf::paths;
use nodeconf::servers::Changes;
use street::{Peer, Street};

const LOSSES: [Loss; 3] = [Loss::Nothing, Loss::Everything, Loss::Data];

fn came() -> Changes {
    Changes(BTreeMap::from([("node4".into(), Some(Ipv4Addr::new(192, 168, 24, 14)))]))
}

fn says_held(street: &Street, part: &str) {
    let held = Progress::read(&street.board).held.unwrap_or_default();
    assert!(held.contains(part), "{part}: {held:?}");
    assert!(!street.runs("keepalived.service"), "{part}");
}

#[test]
fn servers_of_one_profile_let_each_other_in_at_once() {
    let street = Street::baked(&["node1", "node2", "node3"], "node1");
    street.keep(2);
    assert!(street.runs("keepalived.service") && street.board.file(paths::VIP_ADMITTED).is_some());
    assert_eq!(street.reloads(), 0);
    assert!(street.board.file(paths::SERVERS_KNOWN).unwrap().contains("node3"));
}

#[test]
fn a_newcomer_waits_until_everybody_who_answers_knows_it() {
    let street = Street::baked(&["node1", "node2", "node3", "node4"], "node4");
    street.peers(&[("node1", Peer::Knows), ("node2", Peer::Learns), ("node3", Peer::Off)]);
    street.keep(60);
    says_held(&street, "node2 does not know this server yet: keepalived.service is activating");
    street.peers(&[("node2", Peer::Knows)]);
    street.keep(4);
    assert!(street.runs("keepalived.service"), "three of four are enough");
    // The fourth comes back from a card that never heard of this server.
    street.peers(&[("node3", Peer::Learns)]);
    let asked = street.asked("node3");
    street.keep(10);
    assert!(street.asked("node3") > asked, "it is asked as long as it does not know us");
    assert!(street.runs("keepalived.service"), "what runs is not stopped for that");
}

#[test]
fn a_newcomer_that_reaches_nobody_takes_its_time() {
    let street = Street::baked(&["node1", "node2", "node3", "node4"], "node4");
    street.peers(&[("node1", Peer::Off), ("node2", Peer::Off), ("node3", Peer::Off)]);
    street.keep(4);
    says_held(&street, "node1, node2, node3 do not answer yet; 1 of 4");
    street.keep(20);
    assert!(street.runs("keepalived.service"), "it may be all that is left");
}

#[test]
fn a_witness_that_refuses_or_is_down_on_a_machine_that_is_there_holds_it() {
    let street = Street::baked(&["node1", "node2"], "node2");
    street.peers(&[("node1", Peer::Refuses)]);
    street.keep(200);
    says_held(&street, "node1 does not know this server yet: its witness answers 404");
    street.peers(&[("node1", Peer::Mute)]);
    street.keep(200);
    says_held(&street, "node1 is on the network, but its witness does not answer");
}

#[test]
fn an_address_in_unknown_hands_holds_it() {
    let street = Street::baked(&["node1", "node2", "node3"], "node1");
    street.held_by(Some("02:00:00:00:00:99"));
    street.keep(100);
    says_held(&street, "02:00:00:00:00:99");
    street.held_by(Some("02:00:00:00:00:02"));
    street.keep(4);
    assert!(street.runs("keepalived.service"), "node2 has it, and sends its adverts here");
}

#[test]
fn without_its_own_address_nothing_is_decided() {
    let street = Street::baked(&["node1", "node2"], "node1");
    street.board.world.borrow_mut().network_at = None;
    street.peers(&[("node2", Peer::Off)]);
    street.keep(200);
    says_held(&street, "does not have 192.168.24.11 yet");
}

#[test]
fn who_comes_is_in_every_file_and_who_leaves_in_none() {
    let street = Street::baked(&["node1", "node2", "node3"], "node1");
    street.keep(2);
    let baked = street.configs();
    street.note(&came());
    street.keep(2);
    let [haproxy, keepalived] = street.configs();
    assert!(haproxy.contains("    server node4 192.168.24.14:6443\n"), "{haproxy}");
    assert!(keepalived.contains("        192.168.24.13\n        192.168.24.14\n"), "{keepalived}");
    assert_eq!(street.loaded(), [haproxy, keepalived]);
    let rules = street.rules();
    assert!(rules.contains("192.168.24.14"), "{rules}");
    street.note(&Changes::default());
    street.keep(2);
    assert_eq!((street.configs(), street.loaded()), (baked.clone(), baked));
    assert!(!street.rules().contains("192.168.24.14"), "{}", street.rules());
    assert_eq!(street.reloads(), 4, "each service twice, and no more");
}

#[test]
fn a_configuration_that_is_refused_changes_nothing_and_is_told() {
    let street = Street::baked(&["node1", "node2", "node3"], "node1");
    street.keep(2);
    let (baked, loaded) = (street.configs(), street.loaded());
    street.refuse("keepalived");
    street.note(&came());
    street.keep(10);
    assert_eq!((street.configs(), street.loaded()), (baked, loaded));
    let progress = Progress::read(&street.board);
    assert!(!progress.has_applied(&List::read(&street.board).unwrap()));
    assert!(progress.trouble.unwrap().starts_with("keepalived refuses /run/bake/keepalived.new"));
    street.refuse("nobody");
    street.keep(10);
    assert!(street.configs()[0].contains("node4"));
    assert_eq!(Progress::read(&street.board).trouble, None);
}

#[test]
fn a_server_that_was_taken_out_gives_the_address_up_and_stays_away() {
    let street = Street::baked(&["node1", "node2"], "node2");
    street.keep(2);
    street.note(&Changes(BTreeMap::from([("node2".into(), None)])));
    street.keep(4);
    says_held(&street, "this server was taken out of the cluster");
    assert!(!street.runs("haproxy.service"));
    let asked = street.asked("node1");
    street.reboot(Loss::Nothing);
    street.keep(100);
    says_held(&street, "this server was taken out of the cluster");
    assert_eq!(street.asked("node1"), asked, "it does not introduce itself again");
}

/// Whatever call the power goes at: then the files, what runs and what is told agree.
#[test]
fn taking_a_server_in_survives_a_cut_at_every_call() {
    let mut points = 0;
    for loss in LOSSES {
        for call in 1.. {
            let street = Street::baked(&["node1", "node2", "node3"], "node1");
            street.keep(2);
            street.note(&came());
            let ended = street.cut(call, 3);
            street.assert_no_false_word(&format!("call {call}"));
            if ended {
                break;
            }
            points += 1;
            let context = format!("cut at call {call}, {loss:?} lost");
            // systemd starts the process again, or the board boots again.
            if call % 2 == 0 {
                street.reboot(loss);
            }
            street.keep(8);
            street.assert_no_false_word(&context);
            let [haproxy, keepalived] = street.configs();
            assert!(haproxy.contains("node4") && keepalived.contains("192.168.24.14"), "{context}");
            assert_eq!(street.loaded(), [haproxy, keepalived], "{context}");
            assert!(Progress::read(&street.board).applied, "{context}");
            assert!(street.runs("keepalived.service"), "{context}");
        }
    }
    assert!(points > 60, "{points}");
}

/// The same for a newcomer's own first boot: keepalived never runs before the others know it.
#[test]
fn coming_survives_a_cut_at_every_call() {
    for loss in LOSSES {
        for call in 1.. {
            let street = Street::baked(&["node1", "node2", "node3", "node4"], "node4");
            street.peers(&[("node2", Peer::Learns)]);
            street.keep(1);
            assert!(!street.runs("keepalived.service"));
            street.peers(&[("node2", Peer::Knows)]);
            if street.cut(call, 4) {
                break;
            }
            street.peers(&[("node2", Peer::Learns)]);
            street.reboot(loss);
            street.keep(6);
            let context = format!("cut at call {call}, {loss:?} lost");
            assert!(!street.runs("keepalived.service"), "{context}: node2 has forgotten it");
            street.peers(&[("node2", Peer::Knows)]);
            street.pass(Duration::from_secs(1));
            street.keep(4);
            assert!(street.runs("keepalived.service"), "{context}");
        }
    }
}
