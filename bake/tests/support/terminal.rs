//! A terminal that a command is alone with: `script`'s.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Runs `line` of the shell in a terminal, in which `answer` is typed once `question` stands there:
/// before, the terminal itself would echo it. Whether it succeeded, and what was seen.
pub fn asked(mut script: Command, line: &str, question: &str, answer: &str) -> (bool, String) {
    let script = script.args(["-qec", line, "/dev/null"]);
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keyboard, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !String::from_utf8_lossy(&seen).ends_with(question) {
        assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    keyboard.write_all(format!("{answer}\n").as_bytes()).unwrap();
    screen.read_to_end(&mut seen).unwrap();
    (script.wait().unwrap().success(), String::from_utf8_lossy(&seen).into_owned())
}
