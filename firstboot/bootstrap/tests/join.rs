//! Taking the slot, and starting with data.

use bootstrap::{
    Ballot, Card, Config, JoinStep, Joiner, Lack, Mode, Name, Nonce, Observed, Refusal, Reply,
    Request, Seen, SlotAction, StartVerdict, State, Verdict, start_with_data,
};

fn config() -> Config {
    let servers = ["node1", "node2", "node3"].map(Name::from).to_vec();
    Config { servers, mode: Mode::Majority, electorate: "e".into() }
}

fn card(name: &str, incarnation: u32) -> Card {
    Card::new(name, incarnation, Nonce(1))
}

fn answer(state: &mut State, request: &Request) -> Reply {
    let observed = Observed { now_ms: 0, has_data: true };
    let (next, reply) = state.on_request(&config(), request, &observed);
    *state = next;
    reply
}

/// Lets a joiner ask until it needs no more answers; `down` do not answer.
fn ask(witnesses: &mut [State], me: &Card, down: &[&str]) -> (Joiner, JoinStep, Vec<Name>) {
    let (mut joiner, mut step) = Joiner::begin(&config(), me);
    let mut asked = Vec::new();
    while let JoinStep::Ask(envelope) = &step {
        asked.push(envelope.to.clone());
        let up = !down.contains(&&*envelope.to);
        let witness = witnesses.iter_mut().find(|w| w.card().name == envelope.to);
        let reply = witness.filter(|_| up).map(|witness| answer(witness, &envelope.request));
        (joiner, step) = joiner.step(&config(), reply.as_ref());
    }
    (joiner, step, asked)
}

fn witnesses() -> [State; 3] {
    ["node1", "node2", "node3"].map(|name| State::new(card(name, 1), 0))
}

#[test]
fn a_majority_in_declared_order_lets_one_join() {
    let mut witnesses = witnesses();
    let (first, step, asked) = ask(&mut witnesses, &card("node3", 1), &[]);
    assert_eq!(step, JoinStep::Go);
    assert_eq!(asked, ["node1", "node2"].map(Name::from));

    let (_, step, asked) = ask(&mut witnesses, &card("node2", 1), &[]);
    let JoinStep::Wait { why, release, .. } = step else { panic!("{step:?}") };
    assert_eq!(why, Lack::SlotHeld { holder: Some("node3".into()) });
    // As soon as no majority is left.
    assert_eq!((asked.len(), release), (2, vec![]));

    for envelope in first.renewals() {
        let witness = witnesses.iter_mut().find(|w| w.card().name == envelope.to);
        let reply = answer(witness.expect("asked before"), &envelope.request);
        assert_eq!(reply.verdict, Verdict::Granted);
    }
    for envelope in first.releases() {
        let witness = witnesses.iter_mut().find(|w| w.card().name == envelope.to);
        answer(witness.expect("asked before"), &envelope.request);
    }
    let (_, step, _) = ask(&mut witnesses, &card("node2", 1), &[]);
    assert_eq!(step, JoinStep::Go);
}

/// node3 gave its slot back while it was cut off from node1, which has not heard of it.
#[test]
fn a_witness_with_a_stale_holder_is_passed_over() {
    let mut witnesses = witnesses();
    let (first, ..) = ask(&mut witnesses, &card("node3", 1), &[]);
    let release = &first.releases()[1];
    assert_eq!(&*release.to, "node2");
    answer(&mut witnesses[1], &release.request);
    let (_, step, asked) = ask(&mut witnesses, &card("node2", 1), &[]);
    assert_eq!((step, asked.len()), (JoinStep::Go, 3));
    // Nobody else is let join meanwhile.
    let (_, step, _) = ask(&mut witnesses, &card("node1", 1), &[]);
    assert!(matches!(step, JoinStep::Wait { .. }), "{step:?}");

    // Where no majority is left, what was granted is given back.
    let mut witnesses = self::witnesses();
    let (first, ..) = ask(&mut witnesses, &card("node3", 1), &[]);
    answer(&mut witnesses[1], &first.releases()[1].request);
    let (_, step, _) = ask(&mut witnesses, &card("node2", 1), &["node3"]);
    let JoinStep::Wait { why, release, .. } = step else { panic!("{step:?}") };
    assert_eq!(why, Lack::SlotHeld { holder: Some("node3".into()) });
    assert_eq!(release.iter().map(|e| &*e.to).collect::<Vec<_>>(), ["node2"]);
}

#[test]
fn a_dead_witness_is_passed_over_and_a_minority_given_back() {
    let mut witnesses = witnesses();
    let (_, step, asked) = ask(&mut witnesses, &card("node2", 1), &["node1"]);
    assert_eq!((step, asked.len()), (JoinStep::Go, 3));

    let (_, step, _) = ask(&mut self::witnesses(), &card("node2", 1), &["node1", "node3"]);
    let JoinStep::Wait { why, release, .. } = step else { panic!("{step:?}") };
    assert_eq!(why, Lack::SlotWitnesses { granted: 1, needed: 2 });
    let back = Request::Slot { from: card("node2", 1), action: SlotAction::Release };
    assert_eq!(release.len(), 1);
    assert_eq!((&*release[0].to, &release[0].request), ("node2", &back));
}

#[test]
fn witnesses_on_new_cards_are_unsure_for_a_while() {
    let mut witnesses = ["node1", "node2", "node3"].map(|name| State::new(card(name, 2), 0));
    let (_, step, asked) = ask(&mut witnesses, &card("node3", 2), &[]);
    let JoinStep::Wait { why, release, .. } = step else { panic!("{step:?}") };
    assert_eq!((why, asked.len()), (Lack::SlotHeld { holder: None }, 3));
    assert!(release.is_empty());
}

#[test]
fn an_earlier_card_does_not_join() {
    let mut witnesses = witnesses();
    let seen = Request::Ask { from: card("node2", 2), seen: Seen::default() };
    answer(&mut witnesses[0], &seen);
    let (_, step, _) = ask(&mut witnesses, &card("node2", 1), &[]);
    assert_eq!(step, JoinStep::Superseded { by: 2 });
}

#[test]
fn a_card_with_data_starts_unless_it_hears_that_it_was_replaced() {
    let me = card("node1", 1);
    let by = |founder: Card, round| Ballot { round, founder };
    let own = by(card("node1", 1), 1);
    assert_eq!(start_with_data(&me, Some(&own), &[]), StartVerdict::Start);

    let mut other = State::new(card("node2", 1), 0);
    let reply = answer(&mut other, &Request::Ask { from: me.clone(), seen: Seen::default() });
    assert_eq!(start_with_data(&me, Some(&own), &[reply]), StartVerdict::Start);

    let later = by(card("node2", 1), 4);
    let formed = Request::Formed {
        electorate: "e".into(),
        from: card("node2", 1),
        ballot: later.clone(),
        seen: Seen::default(),
    };
    let reply = answer(&mut other, &formed);
    let verdict = start_with_data(&me, Some(&own), &[reply]);
    assert_eq!(verdict, StartVerdict::OtherCluster { later: later.clone() });

    let reply = answer(&mut other, &Request::Ask { from: card("node1", 2), seen: Seen::default() });
    let verdict = start_with_data(&me, Some(&later), &[reply]);
    assert_eq!(verdict, StartVerdict::Superseded { by: 2 });
}

#[test]
fn what_was_meant_for_an_earlier_card_is_refused() {
    let mut witness = State::new(card("node1", 2), 0);
    let ballot = Ballot { round: 1, founder: card("node2", 1) };
    let seen = Seen::default();
    let prepare = Request::Prepare { electorate: "e".into(), to: card("node1", 1), ballot, seen };
    let observed = Observed { now_ms: 0, has_data: false };
    let (next, reply) = witness.on_request(&config(), &prepare, &observed);
    witness = next;
    assert_eq!(reply.verdict, Verdict::Refused { why: Refusal::OtherCard });
    assert_eq!(witness.view(&config(), &observed).promised, None);
}
