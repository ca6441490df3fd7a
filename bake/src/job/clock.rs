//! The time that goes into outputs: never the wall clock, so that the same inputs give the same
//! bytes.

use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::error::{Error, IoContext, Result};
use crate::units::LAST_SECOND;

/// `SOURCE_DATE_EPOCH` where it is set (reproducible-builds.org), else the newest modification
/// time of `inputs`, else 0. In seconds since 1970-01-01 UTC.
///
/// # Errors
/// [`Error::Usage`] where the variable is no number, [`Error::Io`] for an unreadable input.
pub fn now<'p>(inputs: impl IntoIterator<Item = &'p Path>) -> Result<i64> {
    if let Some(fixed) = fixed()? {
        return Ok(fixed);
    }
    inputs.into_iter().try_fold(0, |newest, path| Ok(modified(path)?.max(newest)))
}

/// `SOURCE_DATE_EPOCH`, where it is set.
///
/// # Errors
/// [`Error::Usage`] where it is no number, or not in the years 1970 to 2107.
pub fn fixed() -> Result<Option<i64>> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .filter(|time| (0..=LAST_SECOND).contains(time))
        .map(Some)
        .ok_or_else(|| {
            let value = value.display();
            let want = "write seconds since 1970, of a time before 2108";
            Error::Usage(format!("SOURCE_DATE_EPOCH={value} is no time of a bake: {want}"))
        })
}

/// The wall clock, in seconds since 1970-01-01 UTC: only to judge whether what others signed is
/// still valid, never for outputs.
#[must_use]
pub fn wall() -> i64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Modification time of a host file, in seconds since 1970-01-01 UTC.
///
/// # Errors
/// [`Error::Io`].
pub fn modified(path: &Path) -> Result<i64> {
    let time =
        std::fs::metadata(path).and_then(|m| m.modified()).at("reading the time of", path)?;
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()),
        Err(before) => i64::try_from(before.duration().as_secs()).map(|s| -s),
    };
    Ok(seconds.unwrap_or(i64::MAX))
}
