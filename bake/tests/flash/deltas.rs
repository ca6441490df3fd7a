//! A golden image and a node's delta become that node's card, without an image between.

use std::fs;

use bake::emit::InUse;
use bake::event::Silent;
use bake::fetch::{Cache, Fetcher, Options as Fetching};
use bake::job::flash::{Flasher, FromImage, Options, Order, Origin, State, conclude};
use bake::sys::interrupt::Cancel;

use crate::card::FaultyCard;
use crate::shelf::{Shelf, card};
use crate::support::bench::Bench;

const PROFILE: &str = "\
version: 1
cluster: {name: edge, topology: single, load_balancer: {provider: none}}
image: ./base.img
k3s: {version: v1.36.5+k3s1, airgap: false}
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1, dns: [192.168.24.1]}
nodes:
  - {name: node1, role: server, address: 192.168.24.11}
  - {name: rack1, role: agent, address: 192.168.24.12}
";

fn good(out: &std::process::Output) {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn golden_image_and_delta_are_the_nodes_card() {
    let bench = Bench::new(PROFILE);
    let fixed = ["fleet", "--profile", "./edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"];
    good(&bench.run(&[&fixed[..], &["--deltas", "--out-dir", "d", "--nodes", "rack1"]].concat()));
    good(&bench.bake("rack1", &["--out", "rack1.img"]));

    let cache = Cache::open(Some(&bench.path("cache"))).expect("cache");
    let fetcher = Fetcher::new(cache, Fetching::default(), &Silent);
    let (golden, delta) = (bench.path("d/golden-agent.img"), bench.path("d/rack1.delta"));
    let (secrets, cancel) = (bench.path("edge.secrets.json"), Cancel::new());
    let from = Origin { delta: Some(&delta), secrets: Some(&secrets), ..Origin::default() };
    let supply = FromImage::open(&golden, &from, &fetcher, &cancel).expect("both fit");
    assert_eq!(supply.node(), Some("rack1"));
    let baked = fs::read(bench.path("rack1.img")).expect("image");
    let size = baked.len() as u64 + (8 << 20);
    let device = bake::device::Device { size, ..card('b') };
    let shelf = Shelf::of([(device.clone(), FaultyCard::new(size, &[]))]);
    let ledger = supply.ledger().expect("a node of ours has one");
    let flasher = Flasher {
        platform: &shelf,
        supply: &supply,
        ledger: Some(ledger),
        options: Options::default(),
        sink: &Silent,
        cancel: &cancel,
    };
    let order = Order { device, node: Some("rack1".into()) };
    conclude(vec![flasher.one(&order)]).expect("a card");
    assert_eq!(ledger.cards("rack1").expect("ledger")[0].state, State::Done);

    let on_card = shelf.slots[0].1.stored(0..baked.len() as u64);
    fs::write(bench.path("card.img"), &on_card).expect("copy");
    bench.judge("card.img");
    for file in ["etc/bake/node.json", "etc/bake/record.json", "etc/hostname"] {
        let cat = |image: &str| {
            let out = bench.run(&["cat", &format!("{image}:/{file}")]);
            good(&out);
            out.stdout
        };
        assert_eq!(cat("card.img"), cat("rack1.img"), "{file}");
    }
    let used = used(&bench);
    let differs = |range: &std::ops::Range<u64>| {
        let range = range.start as usize..range.end as usize;
        on_card[range.clone()] != baked[range]
    };
    assert!(used.bytes() > 4 << 20 && used.bytes() < baked.len() as u64);
    assert_eq!(used.ranges().iter().find(|range| differs(range)), None);
}

/// What of the baked image is in use, as its block map tells (`bake --bmap`).
fn used(bench: &Bench) -> InUse {
    good(&bench.bake("rack1", &["--out", "mapped.img", "--bmap"]));
    let map = fs::read_to_string(bench.path("mapped.img.bmap")).expect("map");
    let len = fs::metadata(bench.path("mapped.img")).expect("image").len();
    let ranges = map.lines().filter_map(|line| {
        let range = line.split_once("<Range")?.1.split_once('>')?.1.split_once('<')?.0.trim();
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let block = |text: &str| text.trim().parse::<u64>().expect("a block") * 4096;
        Some(block(first)..(block(last) + 4096).min(len))
    });
    InUse::of(ranges, len)
}
