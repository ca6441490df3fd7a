//! What must hold for the partitions of any table.

use super::{Partition, corrupt};
use crate::error::Result;

/// Partitions lie inside the image and do not overlap.
pub(super) fn check(partitions: &[Partition], image: u64) -> Result<()> {
    let mut sorted: Vec<&Partition> = partitions.iter().collect();
    sorted.sort_by_key(|p| p.start);
    for p in &sorted {
        if p.end() > image {
            return Err(corrupt(
                p.start,
                format!(
                    "partition {} ends at byte {}, the image at byte {image}: is it truncated?",
                    p.number,
                    p.end()
                ),
            ));
        }
    }
    for pair in sorted.windows(2) {
        if pair[0].end() > pair[1].start {
            return Err(corrupt(
                pair[1].start,
                format!("partition {} overlaps partition {}", pair[1].number, pair[0].number),
            ));
        }
    }
    Ok(())
}
