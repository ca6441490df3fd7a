//! Versions and their order (deb-version(7), Debian Policy 5.6.12).

use std::cmp::Ordering;
use std::fmt;

/// A package version: `[epoch:]upstream[-revision]`.
#[derive(Debug, Clone, Eq)]
pub struct Version(String);

impl Version {
    /// Takes `text` for a version, surrounding blanks aside.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let sound = |b: u8| b.is_ascii_alphanumeric() || b".+-:~".contains(&b);
        let epoch = text.split_once(':').map(|(epoch, _)| epoch);
        if text.is_empty() || !text.bytes().all(sound) {
            return Err(format!("`{text}` is no version"));
        }
        if epoch.is_some_and(|e| e.parse::<u32>().is_err()) {
            return Err(format!("`{text}` has no number for its epoch"));
        }
        Ok(Self(text.to_owned()))
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Epoch (0 where there is none), upstream version, revision (empty where there is none).
    fn parts(&self) -> (u32, &str, &str) {
        let (epoch, rest) = self.0.split_once(':').unwrap_or(("0", &self.0));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), upstream, revision)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.parts(), other.parts());
        a.0.cmp(&b.0)
            .then_with(|| compare(a.1.as_bytes(), b.1.as_bytes()))
            .then_with(|| compare(a.2.as_bytes(), b.2.as_bytes()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By order, not by letters: `1.0` and `1.00` are the same version.
impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

/// Alternately what is no digit, by [`weight`], and digits, by number.
fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (x, y) = (letter(a), letter(b));
            if x.is_none() && y.is_none() {
                break;
            }
            let order = weight(x).cmp(&weight(y));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[1..], &b[1..]);
        }
        let (x, y) = (number(&mut a), number(&mut b));
        let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// The first byte, unless it is a digit.
fn letter(text: &[u8]) -> Option<u8> {
    text.first().copied().filter(|b| !b.is_ascii_digit())
}

/// `~` before the end, the end before letters, letters before all else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(b),
        Some(b) => i32::from(b) + 256,
    }
}

/// Takes the digits at the front, without leading zeros.
fn number<'t>(text: &mut &'t [u8]) -> &'t [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|&&b| b == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn they_are_ordered_as_policy_says() {
        let ascending = [
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0a",
            "0+",
            "1.0~beta1~svc1245",
            "1.0~beta1",
            "1.0",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1.1",
            "1.0-2~deb12u1",
            "1.0-2",
            "1.2.3",
            "1.10",
            "2:0.1",
            "10:0",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{} < {}", pair[0], pair[1]);
        }
        assert_eq!(version("1.0"), version("0:1.00"));
        assert_eq!(version("1.0-0"), version("1.0"));
        assert_eq!(version("1-2-3").parts(), (0, "1-2", "3"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", " ", "1 2", "a:1", "1_2", "1/2", "99999999999:1"] {
            assert!(Version::parse(text).is_err(), "{text}");
        }
    }
}
