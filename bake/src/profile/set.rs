//! `--set key=value`: changes to a profile's tree before it is checked.

mod single;

use super::path::{Path, Step};
use super::tree::{Entry, Kind, Scalar, Tree, Value};
use crate::error::{Error, Fault};

/// Applies every option to `tree` in order. An item of a list is named by its index or by its
/// `name` (`nodes.node1.address`); one node of a range becomes an item of its own. Returns where
/// each option went.
///
/// # Errors
/// [`Error::Invalid`] with every option that has no place.
pub fn apply(tree: &mut Tree, options: &[String]) -> Result<Vec<(Path, String)>, Error> {
    let mut done = Vec::new();
    let mut faults = Vec::new();
    for option in options {
        match apply_one(tree, option) {
            Ok((path, inserted)) => {
                for (earlier, _) in &mut done {
                    inserted.iter().for_each(|inserted| inserted.move_on(earlier));
                }
                done.push((path, shown(option)));
            }
            Err((key, message)) => faults.push(Fault {
                key,
                at: None,
                message: format!("{message} (in `--set {}`)", shown(option)),
                help: None,
            }),
        }
    }
    if faults.is_empty() {
        Ok(done)
    } else {
        Err(Error::Invalid { what: "the command line".into(), faults })
    }
}

/// The option without its value, which may be a secret.
fn shown(option: &str) -> String {
    option.split_once('=').map_or_else(|| option.to_owned(), |(key, _)| format!("{key}=…"))
}

fn apply_one(tree: &mut Tree, option: &str) -> Result<(Path, Vec<Inserted>), (String, String)> {
    let Some((key, text)) = option.split_once('=') else {
        return Err((String::new(), "write key=value".into()));
    };
    let path = Path::parse(key).map_err(|message| (key.to_owned(), message))?;
    let value = parse_value(text).map_err(|message| (key.to_owned(), message))?;
    let (mut real, mut inserted) = (Path::default(), Vec::new());
    let mut here = tree;
    for step in path.0 {
        let entered = enter(here, step, &mut real, &mut inserted);
        here = entered.map_err(|message| (key.to_owned(), message))?;
    }
    *here = value;
    Ok((real, inserted))
}

/// Items that an option put into a list.
struct Inserted {
    list: Path,
    /// Those behind this one moved on,
    behind: usize,
    /// by so many places.
    count: usize,
}

impl Inserted {
    fn move_on(&self, path: &mut Path) {
        if path.is_within(&self.list)
            && let Some(Step::Index(index)) = path.0.get_mut(self.list.0.len())
            && *index > self.behind
        {
            *index += self.count;
        }
    }
}

fn parse_value(text: &str) -> Result<Tree, String> {
    if text.trim().is_empty() {
        return Ok(null());
    }
    let mut value = Tree::parse(text).map_err(|faults| {
        faults.first().map_or_else(|| "not valid YAML".into(), |f| f.message.clone())
    })?;
    value.detach();
    Ok(value)
}

fn null() -> Tree {
    Tree { at: None, value: Value::Scalar(Scalar { text: String::new(), kind: Kind::Null }) }
}

/// Goes one step down, making room where there is none yet, and records the step taken.
fn enter<'t>(
    here: &'t mut Tree,
    step: Step,
    real: &mut Path,
    inserted: &mut Vec<Inserted>,
) -> Result<&'t mut Tree, String> {
    if here.is_null() {
        here.value = match step {
            Step::Key(_) => Value::Map(Vec::new()),
            Step::Index(_) => Value::List(Vec::new()),
        };
    }
    match (&mut here.value, step) {
        (Value::Map(entries), Step::Key(key)) => {
            real.0.push(Step::Key(key.clone()));
            let at = entries.iter().position(|e| e.key == key).unwrap_or_else(|| {
                entries.push(Entry { key, at: None, value: null() });
                entries.len() - 1
            });
            Ok(&mut entries[at].value)
        }
        (Value::List(items), Step::Index(index)) => {
            real.0.push(Step::Index(index));
            if index == items.len() {
                items.push(null());
            }
            let count = items.len();
            items.get_mut(index).ok_or_else(|| format!("{real} does not exist, there are {count}"))
        }
        (Value::List(items), Step::Key(name)) => {
            let index = match items.iter().position(|item| is_named(item, &name)) {
                Some(index) => index,
                None => {
                    let found =
                        single::out(items, &name).map_err(|why| format!("{real}: {why}"))?;
                    let single::Found { index, entry, count } = found.ok_or_else(|| {
                        let end = items.len();
                        format!("{real} has nothing named `{name}`; add it as {real}[{end}]")
                    })?;
                    inserted.push(Inserted { list: real.clone(), behind: entry, count });
                    index
                }
            };
            real.0.push(Step::Index(index));
            Ok(&mut items[index])
        }
        (Value::Map(_), Step::Index(_)) => Err(format!("{real} is a mapping, not a list")),
        (Value::Scalar(_), _) => Err(format!("{real} is a single value and has no parts")),
    }
}

fn is_named(item: &Tree, name: &str) -> bool {
    matches!(
        item.get("name").map(|n| &n.value),
        Some(Value::Scalar(scalar)) if scalar.text == name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, options: &[&str]) -> Result<(Tree, Vec<String>), Error> {
        let mut tree = Tree::parse(text).unwrap();
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let done = apply(&mut tree, &options)?;
        Ok((tree, done.into_iter().map(|(path, _)| path.to_string()).collect()))
    }

    fn plain(text: &str) -> Tree {
        let mut tree = Tree::parse(text).unwrap();
        tree.detach();
        tree
    }

    #[test]
    fn options_reach_maps_lists_and_named_items() {
        let text = "a: {b: 1}\nnodes: [{name: n1}, {name: n2, address: x}]\n";
        let (mut tree, paths) = set(
            text,
            &["a.b=[1, two]", "a.c.d=off", "nodes.n2.address=y", "nodes[2].name=n3", "e="],
        )
        .unwrap();
        assert_eq!(paths, ["a.b", "a.c.d", "nodes[1].address", "nodes[2].name", "e"]);
        tree.detach();
        let expected = "a: {b: [1, two], c: {d: off}}\n\
            nodes: [{name: n1}, {name: n2, address: y}, {name: n3}]\ne: ''\n";
        let mut expected = plain(expected);
        let Value::Map(entries) = &mut expected.value else { panic!() };
        entries[2].value = null();
        assert_eq!(tree, expected);
    }

    #[test]
    fn one_node_of_a_range_is_named_and_earlier_options_keep_their_place() {
        let text = "nodes: [{name: 'a{1..3}', address: dhcp}, {name: b}]\n";
        let (_, paths) =
            set(text, &["nodes.b.role=agent", "nodes.a2.address=10.0.0.9", "nodes[3].x=1"])
                .unwrap();
        assert_eq!(paths, ["nodes[3].role", "nodes[1].address", "nodes[3].x"]);
    }

    #[test]
    fn every_misplaced_option_is_reported_without_its_value() {
        let text = "a: 1\nnodes: [{name: n1}]\n";
        let options =
            ["a.b=hunter2", "nodes.n9.x=1", "nodes[7]=1", "x", "=1", "c={", "nodes=[[", "b[0]="];
        let Err(Error::Invalid { faults, .. }) = set(text, &options) else { panic!() };
        assert_eq!(faults.len(), 7, "{faults:#?}");
        assert!(!format!("{faults:?}").contains("hunter2"));
        assert!(faults[1].message.contains("nothing named `n9`"), "{}", faults[1].message);
    }
}
