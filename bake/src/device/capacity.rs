//! Finding cards that claim more than they hold, before anything is trusted to them.
//!
//! Such cards either lose what is written beyond their real end, or write it over their
//! beginning. Marks that name their own place are written over the whole length, then all are
//! read: a lost one is not there, and one that landed elsewhere says so.

use std::collections::BTreeSet;

use super::{Fault, Transport, read_all, write_all};
use crate::sys::aligned::{ALIGN, Buffer};
use crate::sys::interrupt::Cancel;

/// Bytes of one mark: a few flash pages, so that a reader's own memory does not hold them all.
const MARK: usize = 64 << 10;
/// Marks spread evenly, besides those at powers of two.
const SPREAD: u64 = 128;

/// Writes and reads marks over the whole card. Its content is lost.
///
/// # Errors
/// [`Fault::Capacity`], whatever else goes wrong, [`Fault::Interrupted`].
pub fn check_capacity(
    card: &mut dyn Transport,
    nonce: u64,
    cancel: &Cancel,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), Fault> {
    let claimed = card.len();
    let places = places(claimed);
    let total = 2 * places.len() as u64;
    let mut buffer = Buffer::zeroed(MARK);
    let mut done = 0;
    // Upwards: on a card that wraps, a later mark overwrites an earlier one.
    for &at in &places {
        cancel.check().map_err(|_| Fault::Interrupted)?;
        fill(&mut buffer, at, nonce);
        match write_all(card, at, &buffer) {
            // Beyond the real end some cards refuse instead of losing.
            Err(Fault::Full { at } | Fault::Failing { at, .. }) if at > 0 && card.present() => {
                return Err(Fault::Capacity { claimed, holds: at });
            }
            written => written?,
        }
        done += 1;
        progress(done, total);
    }
    card.sync().map_err(|e| Fault::of_write(card, 0, e))?;
    let mut expected = Buffer::zeroed(MARK);
    for &at in &places {
        cancel.check().map_err(|_| Fault::Interrupted)?;
        read_all(card, at, &mut buffer)?;
        fill(&mut expected, at, nonce);
        if *buffer != *expected {
            return Err(Fault::Capacity { claimed, holds: holds(card, at, nonce) });
        }
        done += 1;
        progress(done, total);
    }
    Ok(())
}

/// What a card may hold whose mark at `at` was lost: up to there, or up to where it starts over.
fn holds(card: &mut dyn Transport, at: u64, nonce: u64) -> u64 {
    let mut mark = Buffer::zeroed(MARK);
    let mut found = Buffer::zeroed(MARK);
    // It is told apart from the marks before.
    let nonce = !nonce;
    let claimed = card.len();
    for place in (MARK.ilog2()..64)
        .map(|bit| 1_u64 << bit)
        .take_while(|place| *place + MARK as u64 <= claimed)
    {
        fill(&mut mark, place, nonce);
        let starts_over = write_all(card, place, &mark)
            .and_then(|()| read_all(card, 0, &mut found))
            .is_ok_and(|()| *found == *mark);
        if starts_over {
            return place;
        }
    }
    at
}

/// Where marks are: zero and every power of two, since cards wrap at those; evenly over the
/// length; and at the very end. Ascending, none overlaps another.
fn places(len: u64) -> Vec<u64> {
    let align = |at: u64| at / ALIGN as u64 * ALIGN as u64;
    let Some(last) = len.checked_sub(MARK as u64).map(align) else { return Vec::new() };
    let powers = (MARK.ilog2()..64).map(|bit| 1_u64 << bit).take_while(|at| *at <= last);
    let part = |i: u64| u128::from(last) * u128::from(i) / u128::from(SPREAD);
    let spread = (1..SPREAD).map(|i| align(u64::try_from(part(i)).unwrap_or(0)));
    let mut all = BTreeSet::from([0]);
    for at in std::iter::once(last).chain(powers).chain(spread) {
        let near = at.saturating_sub(MARK as u64 - 1)..at + MARK as u64;
        if all.range(near).next().is_none() {
            all.insert(at);
        }
    }
    all.into_iter().collect()
}

/// Bytes that nothing but a write to `at` in this run leaves behind (SplitMix64).
fn fill(mark: &mut [u8], at: u64, nonce: u64) {
    let mut state = nonce ^ at.wrapping_mul(0xD134_2543_DE82_EF95);
    for word in mark.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_cover_the_length_and_never_overlap() {
        for len in [0, 4096, 65536, 65537, 1 << 20, 31_914_983_424, (1 << 35) + 512] {
            let places = places(len);
            assert_eq!(places.is_empty(), len < MARK as u64, "{len}");
            assert!(places.windows(2).all(|w| w[0] + MARK as u64 <= w[1]), "{len}: {places:?}");
            assert!(places.iter().all(|at| at % ALIGN as u64 == 0 && at + MARK as u64 <= len));
        }
        let large = places(1 << 35);
        assert!(large.contains(&0) && large.contains(&(1 << 34)) && large.len() > 130);
    }
}
