//! Answers that can be waited for without losing sight of the user: the blocking client works in
//! a thread of its own, which is left behind when the work shall stop.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use reqwest::blocking::Response;
use reqwest::header::HeaderMap;
use url::Url;

use super::client::{Client, Failure, Way};
use crate::error::{Error, Result};
use crate::sys::interrupt::Cancel;

/// How often the wish to stop is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes read at a time.
const PIECE: usize = 1 << 18;

/// [`Client::get`], given up when the work shall stop.
pub(super) fn get(
    client: &Client,
    url: &Url,
    way: Way,
    headers: HeaderMap,
    cancel: &Cancel,
) -> Result<Response, Failure> {
    let (client, url) = (client.clone(), url.clone());
    let answer = in_thread(move |answer| {
        // The receiver is gone only when nobody wants the answer.
        drop(answer.send(client.get(&url, way, headers)));
    })?;
    wait(&answer, cancel)?.unwrap_or_else(|| Err(Failure::again("the request was lost")))
}

/// The body of a response, piece by piece.
#[derive(Debug)]
pub(super) struct Body {
    pieces: Receiver<io::Result<Vec<u8>>>,
}

impl Body {
    pub(super) fn new(mut response: Response) -> Result<Self> {
        let pieces = in_thread(move |pieces| {
            loop {
                let mut piece = vec![0; PIECE];
                let read = match response.read(&mut piece) {
                    Ok(0) => return,
                    Ok(n) => {
                        piece.truncate(n);
                        Ok(piece)
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => Err(e),
                };
                let last = read.is_err();
                if pieces.send(read).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Self { pieces })
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&self, cancel: &Cancel) -> Result<Option<io::Result<Vec<u8>>>> {
        wait(&self.pieces, cancel)
    }
}

fn in_thread<T: Send + 'static>(
    work: impl FnOnce(std::sync::mpsc::SyncSender<T>) + Send + 'static,
) -> Result<Receiver<T>> {
    let (sender, receiver) = sync_channel(4);
    let spawned = thread::Builder::new().name("fetch".into()).spawn(move || work(sender));
    spawned.map_err(|e| Error::io("starting a thread for", "the download", e))?;
    Ok(receiver)
}

/// The next message; `None` where there will be none.
fn wait<T>(receiver: &Receiver<T>, cancel: &Cancel) -> Result<Option<T>> {
    loop {
        cancel.check()?;
        match receiver.recv_timeout(LOOK) {
            Ok(message) => return Ok(Some(message)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
