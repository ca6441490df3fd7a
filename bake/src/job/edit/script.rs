//! The language of `bake edit`: one operation a line, words quoted as in a POSIX shell.
//!
//! Pure: text in, operations or every fault out. The verbs are listed by `bake edit --help`.

use std::path::PathBuf;

use crate::error::{Error, Fault, Position, Result};
use crate::units::parse_size;

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Line number, from 1.
    pub number: usize,
    /// What to do.
    pub operation: Operation,
}

/// What one line asks for. Paths are as the running system sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Copy a host file into the image, replacing a file there.
    Put {
        /// Host file, relative to the current folder.
        source: PathBuf,
        /// Path in the image.
        path: String,
        /// Permission bits.
        mode: u16,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Make a directory; an existing one takes on the mode.
    Mkdir {
        /// Path in the image.
        path: String,
        /// Permission bits.
        mode: u16,
    },
    /// Make a symbolic link.
    Symlink {
        /// What it points to, as written.
        target: String,
        /// The link.
        path: String,
    },
    /// Add a hard link.
    Link {
        /// The existing file.
        old: String,
        /// Its further name.
        new: String,
    },
    /// Remove a file or link.
    Rm(String),
    /// Remove an empty directory.
    Rmdir(String),
    /// Move, replacing a file or an empty directory.
    Mv {
        /// The present path.
        from: String,
        /// The path to be.
        to: String,
    },
    /// Set permission bits.
    Chmod(u16, String),
    /// Set owner and group.
    Chown(u32, u32, String),
    /// Set the times, in seconds since 1970-01-01 UTC.
    Mtime(i64, String),
    /// Set an extended attribute.
    SetXattr {
        /// Path in the image.
        path: String,
        /// Full name (`user.note`).
        name: String,
        /// The value.
        value: Vec<u8>,
    },
    /// Remove an extended attribute.
    RmXattr {
        /// Path in the image.
        path: String,
        /// Full name.
        name: String,
    },
    /// Grow the root file system, its partition and the image.
    Grow(Growth),
}

/// A size to grow to, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// `+1GiB`
    By(u64),
    /// `8GiB`
    To(u64),
}

/// Reads a script; `name` is what messages call it.
///
/// # Errors
/// [`Error::Invalid`] with every fault of the text.
pub fn parse(name: &str, text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let parsed = shell_words::split(line)
            .map_err(|_| "a quote is not closed".to_owned())
            .and_then(|words| operation(&words));
        match parsed {
            Ok(Some(operation)) => lines.push(Line { number, operation }),
            Ok(None) => {}
            Err(message) => faults.push(Fault {
                key: String::new(),
                at: Some(Position { line: number, column: 1 }),
                message,
                help: None,
            }),
        }
    }
    if faults.is_empty() {
        Ok(lines)
    } else {
        Err(Error::Invalid { what: format!("script {name}"), faults })
    }
}

fn operation(words: &[String]) -> Result<Option<Operation>, String> {
    let Some((verb, rest)) = words.split_first() else { return Ok(None) };
    let mut words = Words { verb, rest };
    let operation = match verb.as_str() {
        "put" => Operation::Put {
            source: PathBuf::from(words.next("SRC")?),
            path: words.path("DEST")?,
            mode: words.option("mode", parse_mode)?.unwrap_or(0o644),
            uid: words.option("uid", parse_id)?.unwrap_or(0),
            gid: words.option("gid", parse_id)?.unwrap_or(0),
        },
        "mkdir" => Operation::Mkdir {
            path: words.path("PATH")?,
            mode: words.option("mode", parse_mode)?.unwrap_or(0o755),
        },
        "symlink" => {
            Operation::Symlink { target: words.next("TARGET")?, path: words.path("PATH")? }
        }
        "link" => Operation::Link { old: words.path("OLD")?, new: words.path("NEW")? },
        "rm" => Operation::Rm(words.path("PATH")?),
        "rmdir" => Operation::Rmdir(words.path("PATH")?),
        "mv" => Operation::Mv { from: words.path("A")?, to: words.path("B")? },
        "chmod" => Operation::Chmod(parse_mode(&words.next("MODE")?)?, words.path("PATH")?),
        "chown" => {
            let (uid, gid) = parse_owner(&words.next("UID:GID")?)?;
            Operation::Chown(uid, gid, words.path("PATH")?)
        }
        "mtime" => {
            let seconds = words.next("SECONDS")?;
            let seconds =
                seconds.parse().map_err(|_| format!("`{seconds}` is not a number of seconds"))?;
            Operation::Mtime(seconds, words.path("PATH")?)
        }
        "setxattr" => Operation::SetXattr {
            path: words.path("PATH")?,
            name: words.next("NAME")?,
            value: parse_hex(&words.next("HEX")?)?,
        },
        "rmxattr" => Operation::RmXattr { path: words.path("PATH")?, name: words.next("NAME")? },
        "grow" => Operation::Grow(parse_growth(&words.next("SIZE")?)?),
        _ if verb.starts_with('#') => return Ok(None),
        _ => return Err(unknown(verb)),
    };
    words.end()?;
    Ok(Some(operation))
}

struct Words<'w> {
    verb: &'w str,
    rest: &'w [String],
}

impl Words<'_> {
    fn next(&mut self, what: &str) -> Result<String, String> {
        let missing = || format!("`{}` needs {what}", self.verb);
        let (word, rest) = self.rest.split_first().ok_or_else(missing)?;
        self.rest = rest;
        Ok(word.clone())
    }

    fn path(&mut self, what: &str) -> Result<String, String> {
        let path = self.next(what)?;
        if path.starts_with('/') && !path.contains('\0') {
            Ok(path)
        } else {
            Err(format!("`{path}`: a path in the image starts with `/`"))
        }
    }

    /// Takes `name=value` from among what is left, in any order.
    fn option<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let value = |word: &String| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        match self.rest.iter().filter_map(value).collect::<Vec<_>>().as_slice() {
            [] => Ok(None),
            [one] => parse(one).map(Some),
            _ => Err(format!("`{name}=` is given twice")),
        }
    }

    fn end(&self) -> Result<(), String> {
        let options: &[&str] = match self.verb {
            "put" => &["mode=", "uid=", "gid="],
            "mkdir" => &["mode="],
            _ => &[],
        };
        let known = |word: &&String| options.iter().any(|o| word.starts_with(o));
        match self.rest.iter().find(|word| !known(word)) {
            None => Ok(()),
            Some(word) => Err(format!("`{}` does not take `{word}`", self.verb)),
        }
    }
}

fn parse_mode(text: &str) -> Result<u16, String> {
    match u16::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err(format!("`{text}` is not an octal mode such as 0644")),
    }
}

fn parse_id(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a numeric user or group id"))
}

fn parse_owner(text: &str) -> Result<(u32, u32), String> {
    let (uid, gid) = text
        .split_once(':')
        .ok_or_else(|| format!("`{text}` is not UID:GID, such as 1000:1000"))?;
    Ok((parse_id(uid)?, parse_id(gid)?))
}

fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).map_err(|_| format!("`{text}` is not an even number of hex digits"))
}

fn parse_growth(text: &str) -> Result<Growth, String> {
    match text.strip_prefix('+') {
        Some(by) => parse_size(by).map(Growth::By),
        None => parse_size(text).map(Growth::To),
    }
}

fn unknown(verb: &str) -> String {
    const VERBS: [&str; 13] = [
        "put", "mkdir", "symlink", "link", "rm", "rmdir", "mv", "chmod", "chown", "mtime",
        "setxattr", "rmxattr", "grow",
    ];
    let near = VERBS
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(verb, a).total_cmp(&strsim::jaro_winkler(verb, b)));
    match near {
        Some(near) if strsim::jaro_winkler(verb, near) > 0.75 => {
            format!("unknown operation `{verb}`: did you mean `{near}`?")
        }
        _ => format!("unknown operation `{verb}`: one of {}", VERBS.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Operation {
        parse("s", text).unwrap().remove(0).operation
    }

    #[test]
    fn operations_read_as_documented() {
        assert_eq!(
            one("put 'my file' /etc/x gid=3 mode=4755"),
            Operation::Put {
                source: "my file".into(),
                path: "/etc/x".into(),
                mode: 0o4755,
                uid: 0,
                gid: 3
            }
        );
        assert_eq!(one("mkdir /a"), Operation::Mkdir { path: "/a".into(), mode: 0o755 });
        assert_eq!(one("grow +1GiB"), Operation::Grow(Growth::By(1 << 30)));
        assert_eq!(one("chown 1000:100 /h"), Operation::Chown(1000, 100, "/h".into()));
        assert_eq!(one("mtime -5 /h"), Operation::Mtime(-5, "/h".into()));
        assert_eq!(
            one("setxattr /f user.a 00ff"),
            Operation::SetXattr { path: "/f".into(), name: "user.a".into(), value: vec![0, 255] }
        );
        assert_eq!(parse("s", "# nothing\n\n  \n").unwrap(), []);
        assert_eq!(parse("s", "#x\n\nrm /a # why").unwrap()[0].number, 3);
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let text = "rm\nput a b\nchmod 99999 /x\nrm /a /b\nmkdirs /a\nrm 'open\nmkdir /a uid=1";
        let Err(Error::Invalid { faults, .. }) = parse("s", text) else { panic!("accepted") };
        let lines: Vec<_> = faults.iter().map(|f| f.at.unwrap().line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7]);
        assert!(faults[4].message.contains("did you mean `mkdir`"));
    }
}
