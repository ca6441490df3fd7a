//! Lines as K3s (logrus) writes them, on standard error.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

pub fn line(level: &str, message: &str) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "time=\"{time}\" level={level} msg={message:?}");
}

pub fn out(text: &str) -> Result<(), crate::Fatal> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| e.to_string())
}
