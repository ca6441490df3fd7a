//! Mounts and swap.

/// File system type mounted at `point`, from `/proc/mounts` (proc_mounts(5)); the last mount on a
/// point is the one that is seen.
#[must_use]
pub fn type_at<'a>(mounts: &'a str, point: &str) -> Option<&'a str> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(at, _)| *at == point)
        .map(|(_, kind)| kind)
        .next_back()
}

/// Active swap areas, from `/proc/swaps` (proc_swaps(5)).
#[must_use]
pub fn swaps(swaps: &str) -> Vec<&str> {
    swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mount_on_a_point_counts() {
        let mounts = "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\nsystemd-1 /boot autofs rw 0 0\n\
                      /dev/mmcblk0p1 /boot vfat rw 0 0\n";
        assert_eq!(type_at(mounts, "/boot"), Some("vfat"));
        assert_eq!(type_at(mounts, "/boot/firmware"), None);
    }

    #[test]
    fn swap_areas_are_named() {
        let text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(swaps(text).is_empty());
        let text =
            format!("{text}/var/swap                               file\t\t102396\t\t0\t\t-2\n");
        assert_eq!(swaps(&text), ["/var/swap"]);
    }
}
