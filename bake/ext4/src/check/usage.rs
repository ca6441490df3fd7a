//! One bit for each block of the file system.

#[derive(Debug)]
pub(super) struct Usage {
    words: Vec<u64>,
    blocks: u64,
}

impl Usage {
    pub(super) fn new(blocks: u64) -> Self {
        let words = usize::try_from(blocks.div_ceil(64)).unwrap_or(usize::MAX);
        Self { words: vec![0; words], blocks }
    }

    /// Marks blocks as in use; the first one that was already, or that does not exist.
    pub(super) fn mark(&mut self, start: u64, len: u64) -> Option<u64> {
        let mut clash = None;
        let end = start.saturating_add(len);
        for block in start..end.min(self.blocks) {
            let (word, bit) = (&mut self.words[index(block)], 1 << (block % 64));
            if *word & bit != 0 {
                clash = clash.or(Some(block));
            }
            *word |= bit;
        }
        clash.or((end > self.blocks).then_some(self.blocks.max(start)))
    }

    /// Whether a block is in use.
    pub(super) fn get(&self, block: u64) -> bool {
        block < self.blocks && self.words[index(block)] >> (block % 64) & 1 == 1
    }
}

fn index(block: u64) -> usize {
    usize::try_from(block / 64).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn clashes_name_their_first_block() {
        let mut usage = Usage::new(200);
        assert_eq!(usage.mark(60, 10), None);
        assert_eq!(usage.mark(70, 130), None);
        assert_eq!(usage.mark(50, 30), Some(60));
        assert_eq!(usage.mark(199, 5), Some(199));
        assert!(usage.get(50) && usage.get(199) && !usage.get(49) && !usage.get(200));
        assert_eq!(Usage::new(10).mark(10, 1), Some(10));
    }
}
