//! Times as FAT keeps them: local time without a zone, from 1980 to 2107, in steps of two
//! seconds. We read and write them as UTC, so that the host's zone does not show in the bytes.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// 1980-01-01 00:00:00 and 2107-12-31 23:59:58 in seconds since 1970.
const RANGE: std::ops::RangeInclusive<i64> = 315_532_800..=4_354_819_198;

/// `(date, time)` fields for `seconds` since 1970-01-01 UTC, clamped to what FAT can say.
pub(super) fn encode(seconds: i64) -> (u16, u16) {
    let seconds = seconds.clamp(*RANGE.start(), *RANGE.end());
    let Ok(stamp) = Timestamp::from_second(seconds) else { return (0x21, 0) };
    let at = Offset::UTC.to_datetime(stamp);
    let date = (at.year() - 1980) << 9 | i16::from(at.month()) << 5 | i16::from(at.day());
    let [hour, minute, second] = [at.hour(), at.minute(), at.second()].map(|n| n as u16);
    (date as u16, hour << 11 | minute << 5 | (second / 2))
}

/// Seconds since 1970-01-01 UTC; 0 where the fields are no time.
pub(super) fn decode(date: u16, time: u16) -> i64 {
    let year = 1980 + (date >> 9) as i16;
    let [month, day] = [date >> 5 & 15, date & 31].map(|n| n as i8);
    let [hour, minute, second] = [time >> 11, time >> 5 & 63, (time & 31) * 2].map(|n| n as i8);
    DateTime::new(year, month, day, hour, minute, second, 0)
        .ok()
        .and_then(|at| Offset::UTC.to_timestamp(at).ok())
        .map_or(0, Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_to_two_seconds() {
        for at in [315_532_800, 1_234_567_890, 1_700_000_001, 4_354_819_198] {
            let (date, time) = encode(at);
            assert_eq!(decode(date, time), at & !1);
        }
        assert_eq!(encode(0), (0x21, 0), "1980-01-01");
        assert_eq!(encode(i64::MAX), (0xff9f, 0xbf7d), "2107-12-31 23:59:58");
        assert_eq!(decode(0, 0), 0, "no date");
    }
}
