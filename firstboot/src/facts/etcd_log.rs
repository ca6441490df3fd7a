//! etcd's write-ahead log (etcd `wal`: `decoder.go`, `walpb/record.proto`), as far as it takes to
//! see whether anything was ever written into it.
//!
//! A frame is a length, eight bytes little endian, and a record. The length's upper byte says how
//! the record is padded to eight bytes: its highest bit whether, its lowest three by how much. The
//! rest of the file is zeros. A record is protobuf: type (1), checksum (2), data (3).

/// The first of the files a log consists of; the only one of a log that was just made.
pub const FIRST_FILE: &str = "0000000000000000-0000000000000000.wal";
/// As much of it as is looked at; what a new log holds takes a hundred bytes.
pub const HEAD: usize = 4096;

const METADATA: u8 = 1;
const ENTRY: u8 = 2;
const CHECKSUM: u8 = 4;
const SNAPSHOT: u8 = 5;

/// Whether a log that begins so holds nothing but what its making wrote: whose it is, and a snapshot
/// of nothing. etcd writes an entry or a state before it tells anybody anything, always a state with
/// the first entries, and syncs both: a log without a state stands for a member that never took
/// part. What is not understood is taken for a state.
#[must_use]
pub fn holds_nothing(head: &[u8]) -> bool {
    let mut rest = head;
    let mut made = false;
    loop {
        let Some((length, after)) = rest.split_first_chunk::<8>() else {
            // etcd cuts the zeros off for a moment when it opens the log (`ZeroToEnd`).
            return made && rest.is_empty() && head.len() < HEAD;
        };
        if *length == [0; 8] {
            return made && after.iter().all(|byte| *byte == 0);
        }
        let Some((record, after)) = frame(u64::from_le_bytes(*length), after) else {
            return false;
        };
        match record {
            [8, CHECKSUM | METADATA | ENTRY, ..] => {}
            [8, SNAPSHOT, more @ ..] if is_of_nothing(more) => made = true,
            _ => return false,
        }
        rest = after;
    }
}

/// A frame's record, and what follows the frame.
fn frame(length: u64, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [.., flags] = length.to_le_bytes();
    let padding = if flags & 0x80 == 0 { 0 } else { usize::from(flags & 7) };
    let length = usize::try_from(length & ((1 << 56) - 1)).ok()?;
    let (record, after) = bytes.split_at_checked(length)?;
    Some((record, after.get(padding..)?))
}

/// The rest of a snapshot record: its checksum, and data that begin with index 0.
fn is_of_nothing(more: &[u8]) -> bool {
    let data = match more {
        [16, rest @ ..] => rest.iter().position(|b| b & 0x80 == 0).map(|last| &rest[last + 1..]),
        rest => Some(rest),
    };
    matches!(data, Some([26, _, 8, 0, ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(records: &[&[u8]]) -> Vec<u8> {
        let mut log = Vec::new();
        for record in records {
            let padding = record.len().wrapping_neg() % 8;
            let flags = if padding == 0 { 0 } else { 0x80 | padding as u64 };
            log.extend((record.len() as u64 | flags << 56).to_le_bytes());
            log.extend(*record);
            log.resize(log.len() + padding, 0);
        }
        log
    }

    fn padded(records: &[&[u8]]) -> Vec<u8> {
        let mut log = framed(records);
        log.resize(HEAD, 0);
        log
    }

    const CRC: &[u8] = &[8, 4, 16, 0];
    const WHOSE: &[u8] = &[8, 1, 16, 0x9a, 0xf6, 0xe7, 0xbc, 3, 26, 2, 8, 1];
    const NOTHING: &[u8] = &[8, 5, 16, 0xa5, 0xb5, 0x8f, 0x87, 8, 26, 4, 8, 0, 16, 0];
    const STATE: &[u8] = &[8, 3, 16, 1, 26, 6, 8, 1, 16, 0, 24, 1];
    const FIRST: &[u8] = &[8, 2, 16, 1, 26, 2, 8, 1];

    #[test]
    fn a_log_without_a_state_holds_nothing() {
        assert!(holds_nothing(&padded(&[CRC, WHOSE, NOTHING])));
        assert!(holds_nothing(&padded(&[CRC, WHOSE, NOTHING, FIRST])), "a save that was cut short");
        assert!(!holds_nothing(&padded(&[CRC, WHOSE, NOTHING, FIRST, STATE])));
        assert!(!holds_nothing(&padded(&[CRC, WHOSE, NOTHING, STATE])));
        let snapshot: &[u8] = &[8, 5, 16, 1, 26, 4, 8, 7, 16, 1];
        assert!(!holds_nothing(&padded(&[CRC, WHOSE, snapshot])));
    }

    #[test]
    fn what_is_not_understood_is_something() {
        assert!(!holds_nothing(&[]));
        assert!(!holds_nothing(&[0; HEAD]), "a log that lost its beginning");
        let log = padded(&[CRC, WHOSE, NOTHING]);
        let whole = framed(&[CRC, WHOSE, NOTHING]).len();
        for end in 0..whole + 8 {
            assert_eq!(holds_nothing(&log[..end]), end == whole, "{end}");
        }
        let mut torn = log;
        torn[HEAD - 1] = 1;
        assert!(!holds_nothing(&torn));
        let many = [CRC, WHOSE, NOTHING].into_iter().chain([FIRST; 300]).collect::<Vec<_>>();
        assert!(!holds_nothing(&framed(&many)[..HEAD]), "what follows was not looked at");
    }
}
