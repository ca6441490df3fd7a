//! Names found for each inode, and which inodes are in use.

use crate::superblock::Geometry;

/// What is known of one inode; 0 in both means it is free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Links the inode itself counts.
    pub(super) counted: u16,
    /// Names found; `u16::MAX` stands for that many or more.
    pub(super) named: u16,
    /// `i_mode`, 0 if the inode is not in use.
    pub(super) mode: u16,
}

/// By group, and only for groups with inodes in use.
#[derive(Debug)]
pub(super) struct Links {
    groups: Vec<Option<Box<[Known]>>>,
    per_group: u32,
}

impl Links {
    pub(super) fn new(geometry: &Geometry) -> Self {
        let groups = (0..geometry.groups).map(|_| None).collect();
        Self { groups, per_group: geometry.inodes_per_group }
    }

    /// Highest inode number.
    pub(super) fn last(&self) -> u32 {
        u32::try_from(self.groups.len()).unwrap_or(u32::MAX).saturating_mul(self.per_group)
    }

    /// State of an inode from 1 to [`Links::last`].
    pub(super) fn get(&self, number: u32) -> Known {
        let (group, index) = self.place(number);
        self.groups
            .get(group)
            .and_then(Option::as_ref)
            .map_or_else(Known::default, |known| known[index])
    }

    /// As [`Links::get`], to change.
    pub(super) fn get_mut(&mut self, number: u32) -> &mut Known {
        let (group, index) = self.place(number);
        let len = self.per_group as usize;
        let slot = &mut self.groups[group];
        &mut slot.get_or_insert_with(|| vec![Known::default(); len].into())[index]
    }

    /// Every inode of a group that is in use or named.
    pub(super) fn of_group(&self, group: u32) -> impl Iterator<Item = (u32, Known)> + '_ {
        let first = group * self.per_group + 1;
        let known = self.groups.get(group as usize).and_then(Option::as_ref);
        (first..).zip(known.into_iter().flat_map(|known| known.iter().copied()))
    }

    fn place(&self, number: u32) -> (usize, usize) {
        let at = number.saturating_sub(1);
        ((at / self.per_group) as usize, (at % self.per_group) as usize)
    }
}
