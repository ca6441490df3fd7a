//! The command line, and the answers that go to a terminal instead of the journal.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use nodeconf::paths;

use crate::exit::Exit;
use crate::report::load_status;
use crate::run::{load_config, run};
use crate::sys::{Real, Sys, keep_private};

const HELP: &str = "\
firstboot: takes a baked board from power-on to a Ready member of its K3s cluster

Usage: firstboot [--root DIR] <COMMAND>

Commands:
  run             do what is left to do (what the unit bake-firstboot.service runs)
  witness         serve this node's votes and state (what bake-witness.service runs)
  servers         tell the other servers of this one (what bake-servers.service runs)
  status          show how the node is doing [--json]
  check-config    read the node configuration and say whether it is valid

Options:
  --root DIR      take DIR for the root of the file system
  --listen ADDR   let the witness serve on this address and port, not on 0.0.0.0:16444
  --help          print this
  --version       print the version

Exit status: 0 done, 64 wrong usage, 70 broken, 75 try again, 78 configuration wrong
";

/// Where the witness serves: on every address the node has or will have.
const ANYWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), paths::WITNESS_PORT);

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verb {
    Run,
    Witness { listen: SocketAddr },
    Servers,
    Status { json: bool },
    CheckConfig,
    Help,
    Version,
}

/// Does what the arguments (without the program's name) ask for.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    keep_private();
    let (verb, root) = match parse(args) {
        Ok(parsed) => parsed,
        Err(complaint) => {
            let _ = writeln!(io::stderr(), "firstboot: {complaint}\n\n{HELP}");
            return Exit::Usage;
        }
    };
    let sys = Real::below(root);
    match verb {
        Verb::Run => run(&sys),
        Verb::Witness { listen } => crate::witness::serve(sys, listen),
        Verb::Servers => crate::servers::keep(&sys),
        Verb::Status { json } => status(&sys, json),
        Verb::CheckConfig => check_config(&sys),
        Verb::Help => say(HELP),
        Verb::Version => say(&format!("firstboot {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Verb, PathBuf), String> {
    use lexopt::prelude::{Long, Short, Value};
    let mut parser = lexopt::Parser::from_args(args);
    let (mut verb, mut json, mut listen, mut root) = (None, false, None, PathBuf::from("/"));
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        match arg {
            Long("root") => root = parser.value().map_err(|e| e.to_string())?.into(),
            Long("listen") => {
                let text = parser.value().map_err(|e| e.to_string())?;
                let address = text.to_str().and_then(|text| text.parse().ok());
                listen = Some(address.ok_or(format!("--listen {text:?}: not like 0.0.0.0:16444"))?);
            }
            Long("json") => json = true,
            Long("help") | Short('h') => return Ok((Verb::Help, root)),
            Long("version") | Short('V') => return Ok((Verb::Version, root)),
            Value(word) if verb.is_none() => {
                verb = Some(match word.to_str() {
                    Some("run") => Verb::Run,
                    Some("witness") => Verb::Witness { listen: ANYWHERE },
                    Some("servers") => Verb::Servers,
                    Some("status") => Verb::Status { json: false },
                    Some("check-config") => Verb::CheckConfig,
                    _ => return Err(format!("no command {word:?}")),
                });
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    let verb = match (verb.ok_or("which command?")?, json, listen) {
        (Verb::Status { .. }, json, None) => Verb::Status { json },
        (Verb::Witness { .. }, false, Some(listen)) => Verb::Witness { listen },
        (verb, false, None) => verb,
        (_, true, _) => return Err("--json goes with status".into()),
        (_, _, Some(_)) => return Err("--listen goes with witness".into()),
    };
    Ok((verb, root))
}

fn status(sys: &dyn Sys, json: bool) -> Exit {
    let Some(status) = load_status(sys) else {
        let _ = writeln!(io::stderr(), "firstboot: there is no {} to read", paths::STATUS);
        return Exit::TryAgain;
    };
    if !json {
        return say(&(status.text() + &kept(sys)));
    }
    match serde_json::to_string_pretty(&status) {
        Ok(text) => say(&(text + "\n")),
        Err(_) => Exit::Broken,
    }
}

/// What the witness keeps, for people: a line or two, nothing where it keeps nothing.
fn kept(sys: &dyn Sys) -> String {
    let Ok(config) = load_config(sys) else { return String::new() };
    let view = match crate::witness::told(sys, &config) {
        Ok(Some(view)) => view,
        Ok(None) => return String::new(),
        Err(condition) => return format!("witness: {}; {}\n", condition.what, condition.remedy),
    };
    let card = &view.card;
    let mut out = format!("card: incarnation {}, nonce {}\n", card.incarnation, card.nonce);
    let founding = match (&view.formed, &view.accepted, &view.promised) {
        (Some(ballot), ..) => ("the cluster was founded by", ballot),
        (None, Some(ballot), _) => ("agreed to a founding by", ballot),
        (None, None, Some(ballot)) => ("promised to hear out", ballot),
        (None, None, None) => return out,
    };
    let (words, ballot) = founding;
    out.push_str(&format!("witness: {words} {}, round {}\n", ballot.founder.name, ballot.round));
    out
}

fn check_config(sys: &dyn Sys) -> Exit {
    match load_config(sys) {
        Ok(config) => say(&format!(
            "{} is valid: {} of cluster {}\n",
            paths::NODE_CONFIG,
            config.node.name,
            config.cluster.name
        )),
        Err((exit, condition)) => {
            let _ = writeln!(io::stderr(), "firstboot: {}\n{}", condition.what, condition.remedy);
            exit
        }
    }
}

fn say(text: &str) -> Exit {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Exit::Converged,
        Err(_) => Exit::TryAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Verb, PathBuf), String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn commands_and_options() {
        assert_eq!(parsed("run"), Ok((Verb::Run, "/".into())));
        assert_eq!(
            parsed("status --json --root /mnt"),
            Ok((Verb::Status { json: true }, "/mnt".into()))
        );
        assert_eq!(parsed("servers"), Ok((Verb::Servers, "/".into())));
        let here = "127.0.0.2:7".parse().unwrap();
        assert_eq!(parsed("witness"), Ok((Verb::Witness { listen: ANYWHERE }, "/".into())));
        assert_eq!(
            parsed("witness --listen 127.0.0.2:7"),
            Ok((Verb::Witness { listen: here }, "/".into()))
        );
        assert_eq!(parsed("--root=/x check-config"), Ok((Verb::CheckConfig, "/x".into())));
    }

    #[test]
    fn anything_else_is_refused() {
        for line in ["", "walk", "run --json", "run fast", "run --fast", "status --root"] {
            assert!(parsed(line).is_err(), "{line}");
        }
        for line in ["witness --listen 7", "run --listen 1.2.3.4:5", "witness --json"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
