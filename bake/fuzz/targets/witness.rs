//! What a server of the cluster posts to a witness: JSON to a request, to what the witness keeps and
//! answers. Both must be read back as they were written, whatever was asked.
#![no_main]

use std::sync::LazyLock;

use bootstrap::{Card, Config, Mode, Nonce, Observed, Reply, Request, State};

static CONFIG: LazyLock<Config> = LazyLock::new(|| Config {
    servers: ["node1", "node2", "node3"].map(Into::into).to_vec(),
    mode: Mode::Majority,
    electorate: "e".into(),
});

libfuzzer_sys::fuzz_target!(|requests: &[u8]| {
    let mut state = State::new(Card::new("node1", 1, Nonce(1)), 0);
    for (at, json) in requests.split(|byte| *byte == b'\n').enumerate() {
        let Ok(request) = serde_json::from_slice::<Request>(json) else { continue };
        let observed = Observed { now_ms: at as u64 * 60_000, has_data: at % 5 == 4 };
        let (next, reply) = state.on_request(&CONFIG, &request, &observed);
        let kept = State::from_json(next.to_json().as_bytes(), observed.now_ms);
        assert!(kept.is_ok_and(|kept| kept.same_file(&next)));
        let said = serde_json::to_vec(&reply).expect("a reply is plain data");
        assert_eq!(serde_json::from_slice::<Reply>(&said).expect("a reply is read"), reply);
        state = next;
    }
});
