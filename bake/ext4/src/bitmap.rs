//! Bits of a block or inode bitmap: bit n is bit `n % 8` of byte `n / 8`; set means in use.

/// Whether bit `n` is set.
pub(crate) fn get(map: &[u8], n: u32) -> bool {
    map[n as usize / 8] >> (n % 8) & 1 == 1
}

/// Sets or clears `len` bits from `start`.
pub(crate) fn fill(map: &mut [u8], start: u32, len: u32, value: bool) {
    let (mut n, end) = (start, start + len);
    while n < end {
        if n.is_multiple_of(8) && end - n >= 8 {
            map[n as usize / 8] = if value { 0xFF } else { 0 };
            n += 8;
        } else {
            let bit = 1 << (n % 8);
            if value {
                map[n as usize / 8] |= bit;
            } else {
                map[n as usize / 8] &= !bit;
            }
            n += 1;
        }
    }
}

/// First bit in `from..end` with the given value, else `end`.
pub(crate) fn find(map: &[u8], from: u32, end: u32, value: bool) -> u32 {
    let flip = if value { 0 } else { u64::MAX };
    let mut n = from;
    while n < end {
        let byte = n as usize / 8 / 8 * 8;
        let mut word = [if value { 0 } else { 0xFF }; 8];
        let have = map.len().min(byte + 8) - byte;
        word[..have].copy_from_slice(&map[byte..byte + have]);
        let hits = (u64::from_le_bytes(word) ^ flip) & (u64::MAX << (n % 64));
        if hits != 0 {
            return (n / 64 * 64 + hits.trailing_zeros()).min(end);
        }
        n = n / 64 * 64 + 64;
    }
    end
}

/// Runs of clear bits in `0..end`, ascending.
pub(crate) fn clear_runs(map: &[u8], from: u32, end: u32) -> impl Iterator<Item = (u32, u32)> {
    let mut n = from;
    std::iter::from_fn(move || {
        let start = find(map, n, end, false);
        if start >= end {
            return None;
        }
        n = find(map, start, end, true);
        Some((start, n - start))
    })
}

/// How many of the first `end` bits are clear.
pub(crate) fn count_clear(map: &[u8], end: u32) -> u32 {
    clear_runs(map, 0, end).map(|(_, len)| len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_agree_with_single_bits() {
        let mut map = vec![0; 20];
        for (start, len) in [(0, 3), (9, 1), (17, 50), (100, 27), (150, 10)] {
            fill(&mut map, start, len, true);
        }
        fill(&mut map, 30, 9, false);
        let slow: Vec<u32> = (0..160).filter(|&n| !get(&map, n)).collect();
        let fast: Vec<u32> =
            clear_runs(&map, 0, 160).flat_map(|(start, len)| start..start + len).collect();
        assert_eq!(slow, fast);
        assert_eq!(count_clear(&map, 160) as usize, slow.len());
        assert_eq!(find(&map, 150, 158, false), 158);
    }
}
