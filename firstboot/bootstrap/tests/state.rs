//! A witness's state: what may never be taken back, and that no request upsets it.

use bootstrap::{
    Ballot, Card, Config, Mode, Name, Nonce, Observed, Refusal, Request, SLOT_MS, Seen, SlotAction,
    State, StateError, Verdict,
};
use proptest::prelude::*;

fn config() -> Config {
    let servers = ["node1", "node2", "node3"].map(Name::from).to_vec();
    Config { servers, mode: Mode::Majority, electorate: "e".into() }
}

fn any_card() -> impl Strategy<Value = Card> {
    ("node[1-4]", 0..4_u32, 0..3_u64).prop_map(|(name, i, n)| Card::new(&name, i, Nonce(n)))
}

fn any_ballot() -> impl Strategy<Value = Ballot> {
    let round = prop_oneof![0..6_u64, Just(u64::MAX)];
    (round, any_card()).prop_map(|(round, founder)| Ballot { round, founder })
}

fn any_seen() -> impl Strategy<Value = Seen> {
    prop::collection::vec(any_card(), 0..4).prop_map(|cards| {
        let mut seen = Seen::default();
        cards.iter().for_each(|card| seen.note(card));
        seen
    })
}

fn any_request() -> impl Strategy<Value = Request> {
    let electorate = prop_oneof![4 => Just("e"), 1 => Just("other")];
    let action =
        prop_oneof![Just(SlotAction::Acquire), Just(SlotAction::Renew), Just(SlotAction::Release)];
    // Most are meant for the card that is asked.
    let to = prop_oneof![4 => Just(Card::new("node1", 1, Nonce(1))), 1 => any_card()];
    (0..5, electorate, any_card(), to, any_ballot(), any_seen(), action).prop_map(
        |(kind, electorate, from, to, ballot, seen, action)| {
            let electorate = electorate.into();
            match kind {
                0 => Request::Ask { from, seen },
                1 => Request::Prepare { electorate, to, ballot, seen },
                2 => Request::Accept { electorate, to, ballot, seen },
                3 => Request::Formed { electorate, from, ballot, seen },
                _ => Request::Slot { from, action },
            }
        },
    )
}

fn state() -> State {
    State::new(Card::new("node1", 1, Nonce(1)), 0)
}

fn observed() -> impl Strategy<Value = Observed> {
    let now = prop_oneof![0..300_000_u64, Just(u64::MAX)];
    (now, prop::bool::weighted(0.1)).prop_map(|(now_ms, has_data)| Observed { now_ms, has_data })
}

proptest! {
    /// Promises, votes, what was told of the cluster and what was seen only ever rise; a second
    /// copy of a request changes nothing; what is written reads back the same.
    #[test]
    fn nothing_is_taken_back(
        requests in prop::collection::vec((any_request(), observed()), 1..40),
    ) {
        let config = config();
        let mut state = state();
        for (request, observed) in requests {
            let before = state.view(&config, &observed);
            let (next, reply) = state.on_request(&config, &request, &observed);
            prop_assert!(reply.view.promised >= before.promised);
            prop_assert!(reply.view.accepted >= before.accepted);
            prop_assert!(reply.view.formed >= before.formed);
            prop_assert!(reply.view.promised >= reply.view.accepted);
            let mut seen = reply.view.seen.clone();
            seen.merge(&before.seen);
            prop_assert_eq!(&seen, &reply.view.seen);
            prop_assert_eq!(&reply.view.card, state.card());

            let (again, answer) = next.on_request(&config, &request, &observed);
            prop_assert_eq!(&again, &next);
            prop_assert_eq!(answer, reply);

            let read = State::from_json(next.to_json().as_bytes(), 0).expect("own file");
            prop_assert!(read.same_file(&next));
            prop_assert_eq!(read.to_json() == state.to_json(), next.same_file(&state));
            state = next;
        }
    }

    /// A promise or vote is given only to whom it may be given.
    #[test]
    fn promises_have_their_conditions(
        requests in prop::collection::vec((any_request(), observed()), 1..40),
    ) {
        let config = config();
        let mut state = state();
        for (request, observed) in requests {
            let before = state.view(&config, &observed);
            let (next, reply) = state.on_request(&config, &request, &observed);
            if let Request::Prepare { electorate, to, ballot, .. }
            | Request::Accept { electorate, to, ballot, .. } = &request
                && matches!(reply.verdict, Verdict::Promised | Verdict::Accepted)
            {
                prop_assert_eq!(electorate, &config.electorate);
                prop_assert_eq!(to, state.card());
                prop_assert!(before.promised.as_ref() <= Some(ballot));
                prop_assert!(!observed.has_data);
                prop_assert_eq!(reply.view.seen.replaced_by(&ballot.founder), None);
            } else {
                prop_assert_eq!(&reply.view.promised, &before.promised);
                prop_assert_eq!(&reply.view.accepted, &before.accepted);
            }
            state = next;
        }
    }

    /// Who heard what from whom in which order makes no difference.
    #[test]
    fn seen_is_a_lattice(a in any_seen(), b in any_seen(), c in any_seen()) {
        let join = |x: &Seen, y: &Seen| {
            let mut joined = x.clone();
            joined.merge(y);
            joined
        };
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&a, &join(&b, &c)), join(&join(&a, &b), &c));
        prop_assert_eq!(join(&a, &a), a);
    }

    /// Whatever parses as a request is answered; nothing makes the state grow without end.
    #[test]
    fn hostile_requests_do_no_harm(
        name in ".{0,40}", incarnation: u32, nonce: u64, round: u64, kind in 0..5_usize,
        electorate in ".{0,20}", now_ms: u64, has_data: bool,
    ) {
        let card = serde_json::json!({
            "name": name, "incarnation": incarnation, "nonce": format!("{nonce:016x}"),
        });
        let seen = serde_json::json!({
            &name: {"incarnation": incarnation, "nonce": format!("{nonce:016x}"), "reflashed": true},
        });
        let ballot = serde_json::json!({"round": round, "founder": card});
        let json = match kind {
            0 => serde_json::json!({"request": "ask", "from": card, "seen": seen}),
            1 | 2 => serde_json::json!({
                "request": if kind == 1 { "prepare" } else { "accept" },
                "electorate": electorate, "to": card, "ballot": ballot, "seen": seen,
            }),
            3 => serde_json::json!({
                "request": "formed", "electorate": electorate, "from": card, "ballot": ballot,
                "seen": seen,
            }),
            _ => serde_json::json!({"request": "slot", "from": card, "action": "acquire"}),
        };
        let request: Request = serde_json::from_value(json).expect("a request");
        let (next, _) =
            state().on_request(&config(), &request, &Observed { now_ms, has_data });
        prop_assert!(next.to_json().len() < 2_000);
    }

    /// Bytes that are no request or no state are errors, never panics.
    #[test]
    fn any_bytes_may_come(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = serde_json::from_slice::<Request>(&bytes);
        prop_assert!(State::from_json(&bytes, 0).is_err());
    }
}

#[test]
fn a_file_of_another_version_is_named() {
    let later = state().to_json().replace("\"version\": 1", "\"version\": 9");
    assert!(matches!(State::from_json(later.as_bytes(), 0), Err(StateError::Version(9))));
}

#[test]
fn the_slot_is_held_renewed_run_out_and_given_back() {
    let config = config();
    let slot = |state: &State, from: &Card, action, now_ms| {
        let request = Request::Slot { from: from.clone(), action };
        state.on_request(&config, &request, &Observed { now_ms, has_data: true })
    };
    let (second, third) = (Card::new("node2", 1, Nonce(2)), Card::new("node3", 1, Nonce(3)));
    let (state, reply) = slot(&state(), &second, SlotAction::Acquire, 1_000);
    assert_eq!(reply.verdict, Verdict::Granted);
    let (state, reply) = slot(&state, &third, SlotAction::Acquire, 2_000);
    let why = Refusal::SlotHeld { holder: Some(second.clone()) };
    assert_eq!(reply.verdict, Verdict::Refused { why });
    let (state, _) = slot(&state, &second, SlotAction::Renew, 100_000);
    let (state, reply) = slot(&state, &third, SlotAction::Acquire, 100_000 + SLOT_MS - 1);
    assert!(matches!(reply.verdict, Verdict::Refused { .. }), "renewed slots last");

    let restarted = State::from_json(state.to_json().as_bytes(), 5).expect("own file");
    let (_, reply) = slot(&restarted, &third, SlotAction::Acquire, SLOT_MS);
    assert!(matches!(reply.verdict, Verdict::Refused { .. }), "a restart renews");

    let (taken, reply) = slot(&state, &third, SlotAction::Acquire, 100_000 + SLOT_MS);
    assert_eq!(reply.verdict, Verdict::Granted, "it runs out");
    let (_, reply) = slot(&taken, &second, SlotAction::Renew, 100_001 + SLOT_MS);
    assert!(matches!(reply.verdict, Verdict::Refused { .. }), "what ran out is lost");
    let (free, _) = slot(&taken, &third, SlotAction::Release, 100_002 + SLOT_MS);
    let (_, reply) = slot(&free, &second, SlotAction::Acquire, 100_003 + SLOT_MS);
    assert_eq!(reply.verdict, Verdict::Granted, "it was given back");
}

#[test]
fn a_new_card_of_the_holder_takes_its_slot() {
    let config = config();
    let slot = |state: &State, from: Card| {
        let request = Request::Slot { from, action: SlotAction::Acquire };
        state.on_request(&config, &request, &Observed { now_ms: 10, has_data: true })
    };
    let (state, _) = slot(&state(), Card::new("node2", 1, Nonce(2)));
    let (state, reply) = slot(&state, Card::new("node2", 2, Nonce(9)));
    assert_eq!(reply.verdict, Verdict::Granted);
    let (_, reply) = slot(&state, Card::new("node2", 1, Nonce(2)));
    assert_eq!(reply.verdict, Verdict::Refused { why: Refusal::Replaced { by: 2 } });
}

#[test]
fn a_witness_made_anew_does_not_give_away_what_it_may_have_given() {
    let config = config();
    let new = State::new(Card::new("node1", 2, Nonce(1)), 1_000);
    let slot = |state: &State, name: &str, action, now_ms| {
        let request = Request::Slot { from: Card::new(name, 1, Nonce(2)), action };
        state.on_request(&config, &request, &Observed { now_ms, has_data: false })
    };
    let (_, reply) = slot(&new, "node3", SlotAction::Acquire, 2_000);
    assert_eq!(reply.verdict, Verdict::Refused { why: Refusal::SlotHeld { holder: None } });
    let (renewed, reply) = slot(&new, "node2", SlotAction::Renew, 30_000);
    assert_eq!(reply.verdict, Verdict::Granted);
    let (_, reply) = slot(&renewed, "node3", SlotAction::Acquire, 130_000);
    assert!(matches!(reply.verdict, Verdict::Refused { .. }), "{reply:?}");
    let (_, reply) = slot(&new, "node3", SlotAction::Acquire, 1_000 + SLOT_MS);
    assert_eq!(reply.verdict, Verdict::Granted);
}
