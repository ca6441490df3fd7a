//! What a package needs, provides and cannot live with (deb-control(5), Debian Policy 7).

use std::fmt;

use super::version::Version;

/// How a version must compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    AtMost,
    /// `=`
    Exactly,
    /// `>=`
    AtLeast,
    /// `>>`
    Later,
}

/// One package a field names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Package, real or virtual.
    pub name: String,
    /// Architecture after the colon: `any`, `native` or a name.
    pub qualifier: Option<String>,
    /// The versions that will do.
    pub version: Option<(Operator, Version)>,
}

/// Alternatives: one of them is enough.
pub type Group = Vec<Relation>;

impl Relation {
    /// Whether `version` will do.
    #[must_use]
    pub fn accepts(&self, version: &Version) -> bool {
        let Some((operator, wanted)) = &self.version else { return true };
        let order = version.cmp(wanted);
        match operator {
            Operator::Earlier => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::Exactly => order.is_eq(),
            Operator::AtLeast => order.is_ge(),
            Operator::Later => order.is_gt(),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(qualifier) = &self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        let Some((operator, version)) = &self.version else { return Ok(()) };
        let operator = match operator {
            Operator::Earlier => "<<",
            Operator::AtMost => "<=",
            Operator::Exactly => "=",
            Operator::AtLeast => ">=",
            Operator::Later => ">>",
        };
        write!(f, " ({operator} {version})")
    }
}

/// Alternatives as a person writes them.
#[must_use]
pub fn shown(group: &[Relation]) -> String {
    group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

/// Reads a field such as `Depends`.
///
/// # Errors
/// The part that cannot be read.
pub fn parse(field: &str) -> Result<Vec<Group>, String> {
    let groups = field.split(',').map(str::trim).filter(|group| !group.is_empty());
    groups.map(|group| group.split('|').map(parse_one).collect()).collect()
}

fn parse_one(text: &str) -> Result<Relation, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` names no package");
    let (head, version) = match text.split_once('(') {
        None => (text, None),
        Some((head, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(wrong)?;
            (head.trim_end(), Some(constraint(inner).ok_or_else(wrong)?))
        }
    };
    let (name, qualifier) = match head.split_once(':') {
        None => (head, None),
        Some((name, qualifier)) if is_word(qualifier) => (name, Some(qualifier.to_owned())),
        Some(_) => return Err(wrong()),
    };
    if !is_package(name) {
        return Err(wrong());
    }
    Ok(Relation { name: name.to_owned(), qualifier, version })
}

fn constraint(text: &str) -> Option<(Operator, Version)> {
    let text = text.trim();
    let end = text.find(|c| !"<=>".contains(c))?;
    let operator = match &text[..end] {
        "<<" => Operator::Earlier,
        // `<` and `>` are old spellings (Debian Policy 7.1).
        "<=" | "<" => Operator::AtMost,
        "=" => Operator::Exactly,
        ">=" | ">" => Operator::AtLeast,
        ">>" => Operator::Later,
        _ => return None,
    };
    Some((operator, Version::parse(&text[end..]).ok()?))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether `name` can be the name of a package; older ones may have capitals.
#[must_use]
pub fn is_package(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_read() {
        let field = "libc6 (>= 2.36), perl:any, a(<<1:2~) | b:arm64 (= 3-1) |\n c,";
        let groups = parse(field).unwrap();
        let texts: Vec<String> = groups.iter().map(|g| shown(g)).collect();
        assert_eq!(texts, ["libc6 (>= 2.36)", "perl:any", "a (<< 1:2~) | b:arm64 (= 3-1) | c"]);
        assert_eq!(parse("").unwrap(), Vec::<Group>::new());
    }

    #[test]
    fn what_is_no_relation_is_refused() {
        for field in
            ["a b", "a (1)", "a (>= )", "a (>= 1", "a |", "(>= 1)", "a:", "a (=> 1)", "a/b"]
        {
            assert!(parse(field).is_err(), "{field}");
        }
    }

    #[test]
    fn versions_are_held_against_the_constraint() {
        let accepts = |relation: &str, version: &str| {
            parse(relation).unwrap()[0][0].accepts(&Version::parse(version).unwrap())
        };
        assert!(accepts("a", "1") && accepts("a (>= 1)", "1") && accepts("a (<< 1)", "1~rc1"));
        assert!(
            accepts("a (>> 1)", "1.0") && !accepts("a (>> 1)", "1~") && !accepts("a (>> 1)", "1")
        );
        assert!(!accepts("a (= 1)", "1-1") && !accepts("a (<= 1)", "1+b1"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            if let Ok(groups) = parse(&text) {
                let again: Vec<String> = groups.iter().map(|g| shown(g)).collect();
                prop_assert_eq!(parse(&again.join(", ")).unwrap(), groups);
            }
        }
    }
}
