//! Many nodes written as one: `rack1-{01..40}`, with addresses from a range.

use std::net::Ipv4Addr;

use super::addresses::{range_of, read_address, read_range};
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

/// Part of the nodes of an entry: what stands for their names, and which of the entry's they are.
pub type Part = (String, std::ops::Range<usize>);

/// A range of names in parts: the nodes before `name`, that node alone, and those behind it;
/// `None` where it is not among them.
pub fn around(text: &str, name: &str) -> Option<Vec<Part>> {
    let numbered = Numbered::parse(text).ok().filter(|_| is_range(text))?;
    let (low, high) = (numbered.low, numbered.high);
    let this = (low..=high).find(|number| numbered.name(*number) == name)?;
    let part = |first: usize, end: usize| (numbered.part(first, end), first - low..end - low);
    let parts =
        [part(low, this), (name.to_owned(), this - low..this - low + 1), part(this + 1, high + 1)];
    Some(parts.into_iter().filter(|(_, nodes)| !nodes.is_empty()).collect())
}

fn expand(text: &str) -> Result<Vec<String>, String> {
    if !is_range(text) {
        return Ok(vec![text.to_owned()]);
    }
    let numbered = Numbered::parse(text)?;
    Ok((numbered.low..=numbered.high).map(|number| numbered.name(number)).collect())
}

/// Names that differ in a number.
struct Numbered<'t> {
    before: &'t str,
    low: usize,
    high: usize,
    after: &'t str,
    width: usize,
}

impl<'t> Numbered<'t> {
    fn parse(text: &'t str) -> Result<Self, String> {
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
        Ok(Self { before, low, high, after, width })
    }

    fn name(&self, number: usize) -> String {
        let Self { before, after, width, .. } = self;
        format!("{before}{number:0width$}{after}")
    }

    /// What stands for the names from `first` to before `end`.
    fn part(&self, first: usize, end: usize) -> String {
        let Self { before, after, width, .. } = self;
        let last = end.saturating_sub(1);
        format!("{before}{{{first:0width$}..{last:0width$}}}{after}")
    }
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

    /// The addresses of some nodes of an entry, as its text would say it; the last of its nodes
    /// keep what is left over. `None` where `text` holds too few for `count` nodes, or none.
    pub fn part(text: &str, nodes: &std::ops::Range<usize>, count: usize) -> Option<String> {
        if text == "dhcp" {
            return Some(text.to_owned());
        }
        let pool = range_of(text).map(|(first, last)| Self::Fixed { first, last })?;
        pool.address(count.checked_sub(1)?)?;
        let (first, mut last) = (pool.address(nodes.start)?, pool.address(nodes.end - 1)?);
        if let Self::Fixed { last: end, .. } = pool
            && nodes.end == count
            && nodes.len() > 1
        {
            last = end;
        }
        Some(if nodes.len() == 1 { first.to_string() } else { format!("{first}-{last}") })
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
    fn a_range_is_parted_around_a_name() {
        let parts = |text: &str, name: &str| {
            around(text, name).map(|parts| {
                let same: Vec<String> = parts.iter().flat_map(|(text, _)| expanded(text)).collect();
                assert_eq!(same, expanded(text), "the same nodes in the same order");
                parts.into_iter().map(|(text, _)| text).collect::<Vec<_>>()
            })
        };
        let found = parts("rack1-{001..100}", "rack1-007").unwrap();
        assert_eq!(found, ["rack1-{001..006}", "rack1-007", "rack1-{008..100}"]);
        assert_eq!(parts("n{9..12}x", "n9x").unwrap(), ["n9x", "n{10..12}x"]);
        assert_eq!(parts("n{9..12}x", "n12x").unwrap(), ["n{9..11}x", "n12x"]);
        assert_eq!(parts("n{1..010}", "n010").unwrap(), ["n{001..009}", "n010"]);
        assert_eq!(parts("n{7..7}", "n7").unwrap(), ["n7"]);
        for (text, name) in [("n{1..9}", "n10"), ("n{01..09}", "n1"), ("n1", "n1"), ("n{", "n")] {
            assert_eq!(parts(text, name), None, "{text} {name}");
        }
    }

    #[test]
    fn parts_of_a_pool_are_the_addresses_their_nodes_had() {
        let part = |nodes| Pool::part("10.0.0.250-10.0.1.9", &nodes, 12);
        assert_eq!(part(0..6).unwrap(), "10.0.0.250-10.0.0.255");
        assert_eq!(part(6..7).unwrap(), "10.0.1.0");
        assert_eq!(part(7..12).unwrap(), "10.0.1.1-10.0.1.9", "with what is left over");
        assert_eq!(Pool::part("dhcp", &(0..1), 3).unwrap(), "dhcp");
        assert_eq!(Pool::part("10.0.0.1-10.0.0.2", &(0..1), 3), None, "too few");
        assert_eq!(Pool::part("nonsense", &(0..1), 3), None);
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
