//! Inode times: 32 signed bits of seconds, and where the inode has room 2 more bits of epoch and
//! 30 of nanoseconds, which reach to the year 2446 (kernel documentation, ext4 "Inode
//! Timestamps").

use super::Inode;
use crate::bytes::{le32, put32};

/// Offsets of a time and of its extra word, which may be beyond the fields in use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stamp {
    Access,
    Change,
    Modify,
    Create,
}

impl Stamp {
    fn at(self) -> (usize, usize) {
        match self {
            Self::Access => (0x8, 0x8C),
            Self::Change => (0xC, 0x84),
            Self::Modify => (0x10, 0x88),
            Self::Create => (0x90, 0x94),
        }
    }
}

impl Inode {
    /// Seconds since the epoch.
    pub(crate) fn time(&self, stamp: Stamp) -> i64 {
        let (at, extra) = stamp.at();
        if matches!(stamp, Stamp::Create) && !self.has_extra(at, 4) {
            return 0;
        }
        let low = i64::from(le32(&self.raw, at).cast_signed());
        let epoch = if self.has_extra(extra, 4) { le32(&self.raw, extra) & 3 } else { 0 };
        low + (i64::from(epoch) << 32)
    }

    /// Sets seconds since the epoch, nanoseconds to zero. Times the inode cannot hold become the
    /// nearest it can.
    pub(crate) fn set_time(&mut self, stamp: Stamp, seconds: i64) {
        let (at, extra) = stamp.at();
        if matches!(stamp, Stamp::Create) && !self.has_extra(at, 4) {
            return;
        }
        let wide = self.has_extra(extra, 4);
        let min = i64::from(i32::MIN);
        let max = i64::from(i32::MAX) + if wide { 3 << 32 } else { 0 };
        let seconds = seconds.clamp(min, max);
        let low = crate::bytes::low32(seconds.cast_unsigned());
        put32(&mut self.raw, at, low);
        if wide {
            let epoch = (seconds - i64::from(low.cast_signed())) >> 32 & 3;
            put32(&mut self.raw, extra, crate::bytes::low32(epoch.cast_unsigned()));
        }
    }

    /// Sets all times, that of creation included.
    pub(crate) fn set_all_times(&mut self, seconds: i64) {
        for stamp in [Stamp::Access, Stamp::Change, Stamp::Modify, Stamp::Create] {
            self.set_time(stamp, seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_reach_as_far_as_the_format() {
        let mut wide = Inode::empty(256, 32);
        let mut narrow = Inode::empty(128, 0);
        for seconds in [0, 1, -1, 1 << 31, (1 << 32) + 5, -(1 << 31), (3 << 32) + 0x7FFF_FFFF] {
            wide.set_all_times(seconds);
            assert_eq!(wide.time(Stamp::Modify), seconds);
            assert_eq!(wide.time(Stamp::Create), seconds);
        }
        narrow.set_time(Stamp::Modify, 1 << 32);
        assert_eq!(narrow.time(Stamp::Modify), 0x7FFF_FFFF);
        wide.set_time(Stamp::Access, 1 << 60);
        assert_eq!(wide.time(Stamp::Access), (3 << 32) + 0x7FFF_FFFF);
    }
}
