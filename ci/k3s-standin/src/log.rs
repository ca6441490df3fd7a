//! Lines as K3s (logrus) writes them, on standard error.

use std::io::Write;

pub fn line(level: &str, message: &str) {
    let time = now();
    let _ = writeln!(std::io::stderr(), "time=\"{time}\" level={level} msg={message:?}");
}

/// A line that says all itself.
pub fn raw(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub fn out(text: &str) -> Result<(), crate::Fatal> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| e.to_string())
}

/// The time, RFC 3339, whole seconds, UTC.
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or_default().to_string()
}
