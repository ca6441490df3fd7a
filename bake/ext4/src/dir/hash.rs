//! Hashes of names in indexed directories: legacy, half-MD4 and TEA, each over signed or unsigned
//! characters (kernel documentation, ext4 "Hash Tree Directories"; `s_hash_seed`).

use crate::error::{Result, corrupt};
use crate::superblock::Superblock;

/// The end-of-directory mark of the kernel's 31-bit readers; no name hashes to it.
const EOF: u32 = 0x7FFF_FFFF;

/// How names of one directory are hashed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hasher {
    version: u8,
    unsigned: bool,
    seed: [u32; 4],
}

impl Hasher {
    /// For hash `version` of an index root: 0 legacy, 1 half-MD4, 2 TEA.
    pub(crate) fn new(sb: &Superblock, version: u8) -> Result<Self> {
        if version > 2 {
            return Err(corrupt("directory index", format!("unknown hash version {version}")));
        }
        let seed = match sb.hash_seed() {
            [0, 0, 0, 0] => [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476],
            seed => seed,
        };
        Ok(Self { version, unsigned: sb.unsigned_hash(), seed })
    }

    /// The hash by which entries are ordered; always even, the lowest bit of an index entry marks
    /// a block that continues the hash before it.
    pub(crate) fn hash(&self, name: &[u8]) -> u32 {
        let hash = match self.version {
            0 => self.legacy(name),
            1 => self.chained(name, 8, half_md4)[1],
            _ => self.chained(name, 4, tea)[0],
        } & !1;
        if hash == EOF << 1 { (EOF - 1) << 1 } else { hash }
    }

    fn character(&self, byte: u8) -> u32 {
        if self.unsigned { u32::from(byte) } else { i32::from(byte.cast_signed()).cast_unsigned() }
    }

    fn legacy(&self, name: &[u8]) -> u32 {
        let (mut older, mut newer) = (0x37AB_E8F9_u32, 0x12A3_FE2D_u32);
        for &byte in name {
            let mixed = newer ^ self.character(byte).wrapping_mul(7_152_373);
            let mut hash = older.wrapping_add(mixed);
            if hash & 0x8000_0000 != 0 {
                hash = hash.wrapping_sub(0x7FFF_FFFF);
            }
            (older, newer) = (newer, hash);
        }
        newer << 1
    }

    /// Feeds the name to `transform` in pieces of `words` 32-bit words.
    fn chained(
        &self,
        name: &[u8],
        words: usize,
        transform: fn(&mut [u32; 4], &[u32; 8]),
    ) -> [u32; 4] {
        let mut state = self.seed;
        let mut rest = name;
        while !rest.is_empty() {
            transform(&mut state, &self.words(rest, words));
            rest = &rest[rest.len().min(words * 4)..];
        }
        state
    }

    /// The first `count` words of a name, big-endian, padded with its remaining length.
    fn words(&self, name: &[u8], count: usize) -> [u32; 8] {
        let pad = u32::try_from(name.len()).unwrap_or(0) * 0x0101;
        let pad = pad | pad << 16;
        let mut words = [pad; 8];
        for (slot, chunk) in words.iter_mut().zip(name.chunks(4)).take(count) {
            for &byte in chunk {
                *slot = self.character(byte).wrapping_add(*slot << 8);
            }
        }
        words
    }
}

fn tea(state: &mut [u32; 4], input: &[u32; 8]) {
    let [mut x, mut y, ..] = *state;
    let mut sum = 0_u32;
    for _ in 0..16 {
        sum = sum.wrapping_add(0x9E37_79B9);
        let mix = |v: u32, a: u32, b: u32| {
            (v << 4).wrapping_add(a) ^ v.wrapping_add(sum) ^ (v >> 5).wrapping_add(b)
        };
        x = x.wrapping_add(mix(y, input[0], input[1]));
        y = y.wrapping_add(mix(x, input[2], input[3]));
    }
    state[0] = state[0].wrapping_add(x);
    state[1] = state[1].wrapping_add(y);
}

/// MD4 (RFC 1320) with eight steps a round and half the input.
fn half_md4(state: &mut [u32; 4], input: &[u32; 8]) {
    type Mix = fn(u32, u32, u32) -> u32;
    const ROUNDS: [(Mix, u32, [usize; 8], [u32; 4]); 3] = [
        (|x, y, z| z ^ (x & (y ^ z)), 0, [0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 11, 19]),
        (
            |x, y, z| (x & y).wrapping_add((x ^ y) & z),
            0x5A82_7999,
            [1, 3, 5, 7, 0, 2, 4, 6],
            [3, 5, 9, 13],
        ),
        (|x, y, z| x ^ y ^ z, 0x6ED9_EBA1, [3, 7, 2, 6, 1, 5, 0, 4], [3, 9, 11, 15]),
    ];
    let [mut a, mut b, mut c, mut d] = *state;
    for (mix, constant, order, shifts) in ROUNDS {
        for (step, &word) in order.iter().enumerate() {
            let sum = a
                .wrapping_add(mix(b, c, d))
                .wrapping_add(input[word])
                .wrapping_add(constant)
                .rotate_left(shifts[step % 4]);
            (a, b, c, d) = (d, sum, b, c);
        }
    }
    for (slot, value) in state.iter_mut().zip([a, b, c, d]) {
        *slot = slot.wrapping_add(value);
    }
}
