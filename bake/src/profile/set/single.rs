//! One node of a range, to be changed by itself.

use crate::profile::check::range::{Pool, around};
use crate::profile::tree::{Kind, Scalar, Tree, Value};

/// Where the node is now.
pub struct Found {
    /// Its item.
    pub index: usize,
    /// The item it was in, which is the first of its parts.
    pub entry: usize,
    /// How many items there are more.
    pub count: usize,
}

/// Makes the node `name` an item of its own: the range it is in becomes the nodes before it, the
/// node, and those behind it, each with the addresses that they had. `None` where no range has it.
///
/// # Errors
/// A sentence that says why the range cannot be parted.
pub fn out(items: &mut Vec<Tree>, name: &str) -> Result<Option<Found>, String> {
    let parted = items.iter().enumerate().find_map(|(entry, item)| {
        let range = text(item, "name")?;
        Some((entry, range.to_owned(), around(range, name)?))
    });
    let Some((entry, range, parts)) = parted else { return Ok(None) };
    let count = parts.last().map_or(0, |(_, nodes)| nodes.end);
    let mut made = Vec::with_capacity(parts.len());
    for (names, nodes) in &parts {
        let mut item = items[entry].clone();
        if let Some(address) = text(&item, "address") {
            let part = Pool::part(address, nodes, count).ok_or_else(|| {
                format!("`{range}` cannot be parted around `{name}`: {address} is no range of {count} addresses")
            })?;
            put(&mut item, "address", part);
        }
        put(&mut item, "name", names.clone());
        made.push(item);
    }
    let before = parts.iter().take_while(|(names, _)| names != name).count();
    let more = made.len() - 1;
    items.splice(entry..=entry, made);
    Ok(Some(Found { index: entry + before, entry, count: more }))
}

fn text<'t>(item: &'t Tree, key: &str) -> Option<&'t str> {
    match &item.get(key)?.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

/// Replaces a text; where it stands in the file stays known.
fn put(item: &mut Tree, key: &str, text: String) {
    let Value::Map(entries) = &mut item.value else { return };
    for entry in entries.iter_mut().filter(|entry| entry.key == key) {
        entry.value.value = Value::Scalar(Scalar { text: text.clone(), kind: Kind::String });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: &str = "\
- {name: node1, address: 192.168.24.11}
- {name: 'rack1-{01..10}', address: 192.168.24.100-192.168.24.199, labels: {rack: one}}
";

    fn parted(text: &str, name: &str) -> Result<Option<(Found, Tree)>, String> {
        let mut tree = Tree::parse(text).unwrap();
        let Value::List(items) = &mut tree.value else { panic!() };
        let found = out(items, name)?;
        tree.detach();
        Ok(found.map(|found| (found, tree)))
    }

    #[test]
    fn all_nodes_keep_what_they_had() {
        let (found, tree) = parted(RANGE, "rack1-07").unwrap().unwrap();
        assert_eq!((found.index, found.entry, found.count), (2, 1, 2));
        let mut expected = Tree::parse(
            "\
- {name: node1, address: 192.168.24.11}
- {name: 'rack1-{01..06}', address: '192.168.24.100-192.168.24.105', labels: {rack: one}}
- {name: 'rack1-07', address: '192.168.24.106', labels: {rack: one}}
- {name: 'rack1-{08..10}', address: '192.168.24.107-192.168.24.199', labels: {rack: one}}
",
        )
        .unwrap();
        expected.detach();
        assert_eq!(tree, expected);
        let (found, _) = parted(RANGE, "rack1-01").unwrap().unwrap();
        assert_eq!((found.index, found.entry, found.count), (1, 1, 1));
    }

    #[test]
    fn what_is_in_no_range_is_not_found_and_faulty_addresses_are_said() {
        assert!(parted(RANGE, "rack1-11").unwrap().is_none());
        let few = "- {name: 'a{1..3}', address: 10.0.0.1-10.0.0.2}\n";
        let said = parted(few, "a2").err().unwrap();
        assert!(said.contains("no range of 3 addresses"), "{said}");
    }
}
