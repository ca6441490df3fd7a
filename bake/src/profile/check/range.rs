//! Many nodes written as one: `rack1-{01..40}`, with addresses from a range.

use std::net::Ipv4Addr;

use super::addresses::{read_address, read_range};
use crate::profile::faults::Faults;
use crate::profile::path::Path;

/// Nodes that one entry may stand for.
const MOST: usize = 10_000;

const HELP: &str = "write `rack1-{01..40}`: two numbers, the smaller first";

/// The names an entry stands for: one, or those of its range. What is no range is reported, and
/// stands for itself.
pub fn names(path: &Path, text: &str, faults: &mut Faults<'_>) -> Vec<String> {
    match expand(text) {
        Ok(names) => names,
        Err(message) => {
            faults.advise(path, message, HELP);
            vec![text.to_owned()]
        }
    }
}

/// Whether the text is a range of names, sound or not.
pub fn is_range(name: &str) -> bool {
    name.contains(['{', '}'])
}

fn expand(text: &str) -> Result<Vec<String>, String> {
    if !is_range(text) {
        return Ok(vec![text.to_owned()]);
    }
    let wrong = || format!("`{text}` is not a range of names");
    let (before, rest) = text.split_once('{').ok_or_else(wrong)?;
    let (range, after) = rest.split_once('}').ok_or_else(wrong)?;
    if is_range(before) || is_range(range) || is_range(after) {
        return Err(wrong());
    }
    let (first, last) = range.split_once("..").ok_or_else(wrong)?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<usize>().ok().filter(|_| plain)
    };
    let (low, high) = number(first).zip(number(last)).ok_or_else(wrong)?;
    if low > high {
        return Err(format!("{first} comes after {last}"));
    }
    if high - low >= MOST {
        return Err(format!("`{text}` would be more than {MOST} nodes"));
    }
    // As in a shell: a zero in front asks for equal widths.
    let padded = |digits: &str| digits.len() > 1 && digits.starts_with('0');
    let width = if padded(first) || padded(last) { first.len().max(last.len()) } else { 0 };
    Ok((low..=high).map(|number| format!("{before}{number:0width$}{after}")).collect())
}

/// What an entry says about the addresses of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The network gives them.
    Dhcp,
    /// The first node has the first one, and so on; none may be anybody else's.
    Fixed {
        /// First of them.
        first: Ipv4Addr,
        /// Last of them.
        last: Ipv4Addr,
    },
    /// It was no address, which has been reported.
    Faulty,
}

impl Pool {
    /// Reads the address of one node, or those of a range of `count`.
    pub fn read(
        path: &Path,
        text: &str,
        range: bool,
        count: usize,
        faults: &mut Faults<'_>,
    ) -> Self {
        if text == "dhcp" {
            return Self::Dhcp;
        }
        let several = text.contains(['-', '/']);
        let found = match (range, several) {
            (false, true) if text.contains('-') && read_range_quietly(text) => {
                let help = "give it one of them, or its name a range: `node{1..3}`";
                faults.advise(path, "one node has one address, not a range of them", help);
                None
            }
            (false, _) => read_address(path, text, faults).map(|one| (one, one)),
            (true, _) => read_range(path, text, faults)
                .filter(|(first, last)| usable(path, *first, *last, faults)),
        };
        let Some((first, last)) = found else { return Self::Faulty };
        let there = u64::from(last.to_bits() - first.to_bits()) + 1;
        if there < count as u64 {
            let message = format!("{there} addresses for {count} nodes");
            faults.advise(path, message, "make the range as long as the nodes are many, or longer");
        }
        Self::Fixed { first, last }
    }

    /// Address of the node at `index` of the entry.
    pub fn address(self, index: usize) -> Option<Ipv4Addr> {
        let Self::Fixed { first, last } = self else { return None };
        let bits = u32::try_from(index).ok().and_then(|index| first.to_bits().checked_add(index));
        bits.filter(|bits| *bits <= last.to_bits()).map(Ipv4Addr::from_bits)
    }
}

fn read_range_quietly(text: &str) -> bool {
    let ends = text.split_once('-');
    ends.is_some_and(|(a, b)| [a, b].iter().all(|end| end.trim().parse::<Ipv4Addr>().is_ok()))
}

fn usable(path: &Path, first: Ipv4Addr, last: Ipv4Addr, faults: &mut Faults<'_>) -> bool {
    [first, last].iter().all(|end| read_address(path, &end.to_string(), faults).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Vec<String> {
        expand(text).unwrap()
    }

    #[test]
    fn ranges_count_as_a_shell_does() {
        assert_eq!(expanded("node1"), ["node1"]);
        assert_eq!(expanded("rack1-{08..11}"), ["rack1-08", "rack1-09", "rack1-10", "rack1-11"]);
        assert_eq!(expanded("n{9..11}x"), ["n9x", "n10x", "n11x"]);
        assert_eq!(expanded("n{1..010}").last().map(String::as_str), Some("n010"));
        assert_eq!(expanded("n{7..7}"), ["n7"]);
        assert_eq!(expanded("n{0..9999}").len(), 10_000);
    }

    #[test]
    fn what_is_no_range_is_said() {
        for text in [
            "{",
            "a}",
            "a{1}",
            "a{1..}",
            "a{..2}",
            "a{1..b}",
            "a{1..2}{3..4}",
            "a{{1..2}}",
            "a{+1..2}",
            "a{-1..2}",
            "a}1..2{",
            "a{1..99999999999999999999}",
        ] {
            assert!(expand(text).unwrap_err().contains("is not a range"), "{text}");
        }
        assert!(expand("a{3..2}").unwrap_err().contains("3 comes after 2"));
        assert!(expand("a{0..10000}").unwrap_err().contains("more than 10000"));
    }

    #[test]
    fn addresses_are_given_in_order_and_end() {
        let pool = Pool::Fixed { first: [10, 0, 0, 254].into(), last: [10, 0, 1, 1].into() };
        assert_eq!(pool.address(0), Some([10, 0, 0, 254].into()));
        assert_eq!(pool.address(3), Some([10, 0, 1, 1].into()));
        assert_eq!(pool.address(4), None);
        assert_eq!(pool.address(usize::MAX), None);
        assert_eq!(Pool::Dhcp.address(0), None);
    }
}
