//! fstab(5): which file system the running system mounts where.

use super::Description;

/// One line of fstab(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `fs_spec`: `PARTUUID=…`, `LABEL=…`, `UUID=…` or a device.
    pub spec: String,
    /// `fs_file`: the mount point.
    pub at: String,
    /// `fs_vfstype`.
    pub format: String,
    /// `fs_mntops`.
    pub options: String,
}

/// Reads the lines of an fstab; comments and malformed lines are skipped, as mount(8) does.
#[must_use]
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split_whitespace().map(unescape);
            Some(Mount {
                spec: fields.next()?,
                at: fields.next()?,
                format: fields.next()?,
                options: fields.next().unwrap_or_else(|| "defaults".to_owned()),
            })
        })
        .collect()
}

impl Mount {
    /// Whether `spec` means the file system described, on the partition with this PARTUUID and
    /// number (the device name's tail, as in `/dev/mmcblk0p1`).
    #[must_use]
    pub fn names(&self, partuuid: Option<&str>, number: u32, content: &Description) -> bool {
        let same = |a: &str, b: &str| !b.is_empty() && a.eq_ignore_ascii_case(b);
        match self.spec.split_once('=') {
            Some(("PARTUUID", id)) => same(unquote(id), partuuid.unwrap_or_default()),
            Some(("UUID", id)) => same(unquote(id), &content.uuid),
            Some(("LABEL", label)) => unquote(label) == content.label && !content.label.is_empty(),
            _ => {
                let device = self.spec.strip_prefix("/dev/").unwrap_or_default();
                let digits = device.trim_start_matches(|c: char| !c.is_ascii_digit());
                let tail = digits.rsplit('p').next().unwrap_or_default();
                !device.is_empty() && tail.parse() == Ok(number)
            }
        }
    }
}

fn unquote(text: &str) -> &str {
    text.trim_matches('"')
}

/// fstab(5) writes blanks and tabs inside a field as `\040` and `\011`.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(label: &str, uuid: &str) -> Description {
        Description { format: "vfat", label: label.into(), uuid: uuid.into(), len: 0 }
    }

    #[test]
    fn specs_find_their_partition() {
        let text = "proc /proc proc defaults 0 0\n\
                    # comment\n\
                    PARTUUID=4F1A2B3C-01  /boot/firmware  vfat  defaults  0  2\n\
                    LABEL=system-boot /boot\\040x vfat\n\
                    UUID=12AB-34CD /a vfat defaults\n\
                    /dev/mmcblk0p1 /b vfat\n\
                    broken";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 5);
        let boot = volume("system-boot", "12AB-34CD");
        let names = |m: &Mount| m.names(Some("4f1a2b3c-01"), 1, &boot);
        assert_eq!(mounts.iter().map(names).collect::<Vec<_>>(), [false, true, true, true, true]);
        let other = volume("", "");
        let names = |m: &Mount| m.names(None, 2, &other);
        assert!(!mounts.iter().any(names));
        assert_eq!(mounts[2].at, "/boot x");
    }
}
