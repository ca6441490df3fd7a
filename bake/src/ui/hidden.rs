//! Asking for what nobody shall see.

use nodeconf::Secret;

use crate::error::Result;
use crate::sys::interrupt::Cancel;

/// Longest answer.
#[cfg(unix)]
const LONGEST: usize = 4096;

/// Asks at the terminal, without echo, and whether or not the standard streams are redirected.
/// `None` where there is no terminal, or nothing was typed.
///
/// # Errors
/// [`crate::error::Error::Interrupted`] where the user stops it, what the terminal refuses.
#[cfg(unix)]
pub fn ask(question: &str, cancel: &Cancel) -> Result<Option<Secret>> {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    use crate::error::IoContext;

    const TERMINAL: &str = "/dev/tty";
    /// Between looks at `cancel`: signal handlers let a read go on.
    const LOOK: Duration = Duration::from_millis(200);

    let Ok(mut terminal) = OpenOptions::new().read(true).write(true).open(TERMINAL) else {
        return Ok(None);
    };
    let failed = |e: rustix::io::Errno| std::io::Error::from(e);
    let before = tcgetattr(&terminal).map_err(failed).at("asking at", TERMINAL)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    let flush = OptionalActions::Flush;
    tcsetattr(&terminal, flush, &silent).map_err(failed).at("asking at", TERMINAL)?;
    terminal.write_all(format!("{question}: ").as_bytes()).at("asking at", TERMINAL)?;
    let (tell, told) = channel();
    let reader = terminal.try_clone().at("asking at", TERMINAL)?;
    // Where the user stops it, the thread stays behind at its read and ends with the process.
    std::thread::spawn(move || tell.send(line(reader)));
    let answer = loop {
        match told.recv_timeout(LOOK) {
            Ok(answer) => break answer.at("reading", TERMINAL),
            Err(RecvTimeoutError::Disconnected) => break Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(stopped) = cancel.check() {
            break Err(stopped);
        }
    };
    let restored = tcsetattr(&terminal, flush, &before).map_err(failed);
    drop(terminal.write_all(b"\n"));
    let answer = answer?;
    restored.at("asking at", TERMINAL)?;
    Ok(answer)
}

/// A line without its end; `None` where there is nothing in it.
#[cfg(unix)]
fn line(mut terminal: std::fs::File) -> std::io::Result<Option<Secret>> {
    use std::io::Read;

    use zeroize::Zeroizing;

    // Of fixed size, for growing leaves copies behind.
    let mut answer = Zeroizing::new([0; LONGEST]);
    let mut len = 0;
    while len < LONGEST && !answer[..len].ends_with(b"\n") {
        match terminal.read(&mut answer[len..])? {
            0 => break,
            read => len += read,
        }
    }
    let text = std::str::from_utf8(&answer[..len]).unwrap_or_default();
    let text = text.trim_end_matches(['\r', '\n']);
    Ok((!text.is_empty()).then(|| Secret::new(text)))
}

/// Elsewhere a file or the environment tells it.
#[cfg(not(unix))]
pub fn ask(_: &str, _: &Cancel) -> Result<Option<Secret>> {
    Ok(None)
}
