//! What people read while a cluster does not form.

use bootstrap::{
    Ballot, Card, Config, Evidence, Lack, Mode, Name, Next, Nonce, Observed, Proposer, Reply, State,
};

fn config(mode: Mode) -> Config {
    let servers = ["node1", "node2", "node3"].map(Name::from).to_vec();
    Config { servers, mode, electorate: "e".into() }
}

fn witness(name: &str, incarnation: u32) -> State {
    State::new(Card::new(name, incarnation, Nonce(7)), 0)
}

/// One attempt of the first of `servers`, reached by all of them, until it needs no more answers.
fn attempt(config: &Config, servers: &mut [State], has_data: &[&str]) -> Next {
    let me = servers[0].card().clone();
    let (mut proposer, mut next) = Proposer::begin(config, &me);
    while let Next::Send(envelopes) = &next {
        let mut replies: Vec<Reply> = Vec::new();
        for envelope in envelopes {
            let Some(at) = servers.iter().position(|s| s.card().name == envelope.to) else {
                continue;
            };
            let has_data = has_data.contains(&&*envelope.to);
            let observed = Observed { now_ms: 0, has_data };
            let (state, reply) = servers[at].on_request(config, &envelope.request, &observed);
            servers[at] = state;
            replies.push(reply);
        }
        (proposer, next) = proposer.step(config, &replies, &Evidence::default());
    }
    next
}

fn why(next: Next) -> String {
    match next {
        Next::Wait { why, .. } => why.to_string(),
        other => panic!("expected a reason to wait: {other:?}"),
    }
}

#[test]
fn alone() {
    let next = attempt(&config(Mode::Majority), &mut [witness("node1", 1)], &[]);
    assert_eq!(
        why(next),
        "node2 and node3 do not answer yet; 1 of 3 servers is here, 2 are needed"
    );
}

#[test]
fn two_of_three_suffice_and_the_third_hears_of_it() {
    let majority = config(Mode::Majority);
    let mut servers = [witness("node1", 1), witness("node2", 1)];
    let next = attempt(&majority, &mut servers, &[]);
    assert!(
        matches!(&next, Next::Found(ballot, _) if *ballot.founder.name == *"node1"),
        "{next:?}"
    );
    let [_, second] = servers;
    let next = attempt(&majority, &mut [witness("node3", 1), second], &[]);
    assert_eq!(
        why(next),
        "node1 may have founded the cluster and does not answer; power it on, or replace its card \
         (bake --replace node1) and power on every server"
    );
}

#[test]
fn two_of_three_where_one_was_made_anew() {
    let next =
        attempt(&config(Mode::Majority), &mut [witness("node1", 1), witness("node2", 2)], &[]);
    assert_eq!(
        why(next),
        "node3 does not answer yet; 2 of 3 servers are here, but node2 cannot vouch for what its \
         earlier card promised; needed are 2 servers with their first cards, or all 3"
    );
}

#[test]
fn all_made_anew_found_together() {
    let mut servers = [witness("node1", 2), witness("node2", 5), witness("node3", 2)];
    let next = attempt(&config(Mode::Majority), &mut servers, &[]);
    assert!(matches!(next, Next::Found(..)), "{next:?}");
}

#[test]
fn unanimity_waits_for_everybody() {
    let next = attempt(&config(Mode::All), &mut [witness("node1", 1), witness("node2", 1)], &[]);
    assert_eq!(why(next), "node3 does not answer yet; 2 of 3 servers are here, 3 are needed");
}

#[test]
fn only_the_designated_server_founds() {
    let designated = config(Mode::Designated { server: "node2".to_owned() });
    let next = attempt(&designated, &mut [witness("node1", 1)], &[]);
    assert_eq!(why(next), "the profile has node2 found the cluster, and it has not yet");
    let next = attempt(&designated, &mut [witness("node2", 1)], &[]);
    assert!(matches!(next, Next::Found(..)), "{next:?}");
    let next = attempt(&designated, &mut [witness("node2", 2)], &[]);
    assert_eq!(
        why(next),
        "node1 and node3 do not answer yet; 1 of 3 servers is here, 3 are needed"
    );
}

#[test]
fn data_anywhere_means_waiting_for_the_api() {
    let mut servers = [witness("node1", 1), witness("node2", 1), witness("node3", 1)];
    let next = attempt(&config(Mode::Majority), &mut servers, &["node3"]);
    assert_eq!(why(next), "node3 has the cluster's data, but its API does not answer yet");
}

#[test]
fn a_card_that_was_replaced_stops() {
    let mut old = witness("node1", 1);
    let majority = config(Mode::Majority);
    let heard = attempt(&majority, &mut [witness("node1", 3), old.clone()], &[]);
    assert!(matches!(heard, Next::Wait { .. }), "{heard:?}");
    let mut second = witness("node2", 1);
    attempt(&majority, std::slice::from_mut(&mut old), &[]);
    let mut newer = [witness("node1", 3), second.clone()];
    attempt(&majority, &mut newer, &[]);
    [_, second] = newer;
    let next = attempt(&majority, &mut [old, second], &[]);
    assert_eq!(next, Next::Superseded { by: 3 });
}

#[test]
fn lacks_read_well() {
    let names = |names: &[&str]| names.iter().map(|n| Name::from(*n)).collect::<Vec<_>>();
    for (lack, text) in [
        (Lack::OwnWitness, "this server's own witness does not answer yet"),
        (
            Lack::OldCards { servers: names(&["node2"]) },
            "node2 answers from a card that was replaced; put in the newest",
        ),
        (
            Lack::OtherProfile { servers: names(&["node2", "node3"]) },
            "node2 and node3 were baked from a profile with other servers, addresses or bootstrap \
             mode; bake all servers from one profile",
        ),
        (
            Lack::Chosen { founder: "node2".into(), answers: true },
            "node2 is to found the cluster and is about to",
        ),
        (
            Lack::Formed { founder: "node2".into() },
            "node2 founded the cluster, whose API does not answer yet; power on the servers that \
             belong to it",
        ),
        (Lack::Outbid, "another server tries to found at this moment"),
        (
            Lack::SlotHeld { holder: Some("node3".into()) },
            "node3 is joining the cluster; one server joins at a time",
        ),
        (
            Lack::SlotWitnesses { granted: 1, needed: 2 },
            "1 of the 2 witnesses that are needed let this server join; power on more servers",
        ),
    ] {
        assert_eq!(lack.to_string(), text);
    }
    let later = Lack::Outbid.retry_ms(2) > Lack::Outbid.retry_ms(0);
    assert!(later, "servers that got in each other's way wait differently long");
}

#[test]
fn the_newest_ballot_wins_whoever_proposes() {
    let older = Ballot { round: 1, founder: Card::new("node9", 1, Nonce(1)) };
    let newer = Ballot { round: 2, founder: Card::new("node1", 1, Nonce(1)) };
    assert!(newer > older);
}
