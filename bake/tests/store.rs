//! The layered image against a plain vector: random writes, payloads, zeros, growth and layers.

mod support;

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use bake::store::{BlockStore, BytesSource, Cached, Image, Payload, Window};
use support::Random;

fn noise(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// One random change to both.
fn change(random: &mut Random, store: &mut dyn BlockStore, model: &mut [u8]) {
    let at = random.below(model.len());
    let most = [3, 500, 40_000, 200_000][random.below(4)];
    let len = random.below(most).min(model.len() - at);
    match random.below(4) {
        0 | 1 => {
            let data = noise(random, len);
            store.write_at(at as u64, &data).expect("write");
            model[at..at + len].copy_from_slice(&data);
        }
        2 => {
            let skip = random.below(100);
            let data = noise(random, len + skip);
            let payload = Payload::bytes(data.clone());
            // In two pieces, which become one extent again.
            let (half, rest) = (len / 2, len - len / 2);
            store.place(at as u64, &payload, skip as u64, half as u64).expect("place");
            store
                .place((at + half) as u64, &payload, (skip + half) as u64, rest as u64)
                .expect("place");
            model[at..at + len].copy_from_slice(&data[skip..]);
        }
        _ => {
            store.zero(at as u64, len as u64).expect("zero");
            model[at..at + len].fill(0);
        }
    }
}

fn compared(random: &mut Random, store: &dyn BlockStore, model: &[u8]) {
    let at = random.below(model.len());
    let len = random.below(model.len() - at + 1);
    let mut bytes = vec![0xaa; len];
    store.read_at(at as u64, &mut bytes).expect("read");
    assert!(bytes == model[at..at + len], "{at}+{len}");
}

#[test]
fn layers_read_as_what_was_written_last() {
    for seed in 0..12 {
        let mut random = Random(seed);
        let base = noise(&mut random, 300_000);
        let mut image = Image::new(Arc::new(BytesSource::new(base.clone())));
        image.grow(500_000).expect("growth");
        image.grow(400_000).expect_err("no shrinking");
        let mut model = base.clone();
        model.resize(500_000, 0);
        for _ in 0..4 {
            for _ in 0..40 {
                change(&mut random, &mut image, &mut model);
                compared(&mut random, &image, &model);
            }
            image.freeze();
        }
        // A fork goes its own way; what both share stays.
        let (mut fork, mut other) = (image.fork(), model.clone());
        for _ in 0..20 {
            change(&mut random, &mut fork, &mut other);
            change(&mut random, &mut image, &mut model);
        }
        for (image, model) in [(&fork, &other), (&image, &model)] {
            let mut bytes = vec![0; model.len()];
            image.read_at(0, &mut bytes).expect("read");
            assert!(bytes == *model);
            let covered: u64 =
                image.segments(0..u64::MAX).iter().map(|s| s.range.end - s.range.start).sum();
            assert_eq!(covered, 500_000);
            let mut at = 0;
            for changed in image.changed() {
                let (start, end) = (changed.start as usize, changed.end as usize);
                assert!(
                    bytes[at..start.min(300_000).max(at)] == base[at..start.min(300_000).max(at)]
                );
                at = end.min(300_000);
            }
        }
    }
}

#[test]
fn held_back_changes_are_seen_above_and_not_below_until_commit() {
    for seed in 0..8 {
        let mut random = Random(seed);
        let base = noise(&mut random, 2_500_000);
        let image = Image::new(Arc::new(BytesSource::new(base.clone())));
        let shared = Arc::new(Mutex::new(image));
        let window = Window::new(shared.clone(), 700, 2_000_000).expect("window");
        let mut cached = Cached::new(window);
        let mut model = base[700..2_000_700].to_vec();
        for round in 0..3 {
            for _ in 0..30 {
                change(&mut random, &mut cached, &mut model);
                compared(&mut random, &cached, &model);
            }
            let mut below = vec![0; base.len()];
            if round == 0 {
                shared.lock().expect("image").read_at(0, &mut below).expect("read");
                assert!(below == base, "nothing came through");
            }
            cached.commit().expect("commit");
            assert!(!cached.is_dirty());
            compared(&mut random, &cached, &model);
            shared.lock().expect("image").read_at(0, &mut below).expect("read");
            assert!(below[700..2_000_700] == model && below[..700] == base[..700]);
        }
    }
}

#[test]
fn nothing_leaves_its_store() {
    let shared = Arc::new(Mutex::new(Image::new(Arc::new(BytesSource::new(vec![1; 10_000])))));
    let window = Window::new(shared.clone(), 1000, 500).expect("window");
    Window::new(shared.clone(), 9_900, 101).expect_err("beyond the image");
    Window::new(shared.clone(), u64::MAX, 2).expect_err("overflow");
    let mut cached = Cached::new(window.clone());
    let mut window = window;
    let payload = Payload::bytes(vec![2; 100]);
    for store in [&mut window as &mut dyn BlockStore, &mut cached] {
        let mut buffer = [0; 2];
        for (at, len) in [(499, 2), (u64::MAX, 2), (501, 1)] {
            let data = &vec![0; len as usize];
            let outcomes = [
                store.read_at(at, &mut buffer[..len as usize]),
                store.write_at(at, data),
                store.place(at, &payload, 0, len),
                store.zero(at, len),
            ];
            for outcome in outcomes {
                assert_eq!(outcome.expect_err("outside").kind(), ErrorKind::UnexpectedEof);
            }
        }
        store.place(0, &payload, 50, 51).expect_err("beyond the payload");
    }
    cached.commit().expect("nothing to do");
    assert!(shared.lock().expect("image").changed().is_empty());
}

#[test]
fn payloads_cost_no_memory() {
    let mut image = Image::new(Arc::new(BytesSource::new(vec![1; 4096])));
    image.grow(1 << 33).expect("growth");
    let payload = Payload::bytes(vec![5; 1 << 20]);
    for i in 0..4000 {
        image.place(i << 20, &payload, 0, 1 << 20).expect("place");
    }
    image.zero(1 << 32, 1 << 32).expect("zero");
    assert_eq!(image.memory(), 0);
    image.write_at(5 << 20, &[7; 100]).expect("write");
    assert_eq!(image.memory(), 100);
}
