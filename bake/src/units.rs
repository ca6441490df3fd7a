//! Sizes as people write and read them, and the last time there is. Binary units only: cards and file
//! systems count in 1024s.

/// One mebibyte, 2^20 bytes.
pub const MIB: u64 = 1 << 20;
/// One gibibyte, 2^30 bytes.
pub const GIB: u64 = 1 << 30;

/// The last second that a FAT file system can date, the end of 2107, since 1970-01-01 UTC.
pub const LAST_SECOND: i64 = 4_354_819_199;

/// Parses `512`, `64KiB`, `1.5GiB`, `8G`; the result is in bytes. `G` and `GiB` mean the same.
///
/// # Errors
/// A sentence that says what a size looks like.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        unit => return Err(format!("unknown unit `{unit}`: write KiB, MiB, GiB or TiB")),
    };
    let wrong = || format!("`{text}` is not a size: write for example `512MiB` or `8GiB`");
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 {
        return Err(wrong());
    }
    let unit = 1_u64 << shift;
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let part = if fraction.is_empty() {
        0
    } else {
        let numerator: u128 = fraction.parse().map_err(|_| wrong())?;
        let denominator = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| wrong())?);
        u64::try_from(numerator * u128::from(unit) / denominator).map_err(|_| wrong())?
    };
    whole.checked_mul(unit).and_then(|n| n.checked_add(part)).ok_or_else(wrong)
}

/// Renders a size for people: `0 B`, `1.5 GiB`.
#[must_use]
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = (bytes.max(1).ilog2() / 10).min(4);
    if step == 0 {
        return format!("{bytes} B");
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * step);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[step as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("64KiB", 65536),
            ("1.5GiB", 3 << 29),
            ("8G", 8 * GIB),
            ("0.25m", MIB / 4),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "-1", "1.2.3M", "8XB", "99999999999T", "1e3"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_render() {
        assert_eq!(human(0), "0 B");
        assert_eq!(human(1023), "1023 B");
        assert_eq!(human(3 << 29), "1.5 GiB");
        assert_eq!(human(u64::MAX), "16777215.9 TiB");
    }
}
