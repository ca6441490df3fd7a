//! The system as firstboot on one board of the town sees it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use firstboot::sys::{
    Command, CommandError, HttpsError, HttpsReply, HttpsRequest, Priority, Space, Stat, Sys,
};

use super::Town;
use crate::fake::Fake;

#[derive(Debug)]
pub struct Seat<'a> {
    pub town: &'a Town,
    pub me: usize,
}

impl Seat<'_> {
    fn board(&self) -> &Fake {
        &self.town.boards[self.me]
    }

    /// A call of the board's own; the time it takes passes for the others too.
    fn local<T>(&self, call: impl FnOnce(&Fake) -> T) -> T {
        let before = self.board().world.borrow().uptime;
        let value = call(self.board());
        let took = self.board().world.borrow().uptime.saturating_sub(before);
        self.town.pass_for_others(self.me, took);
        value
    }
}

impl Sys for Seat<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.local(|board| board.read(path))
    }
    fn read_head(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.local(|board| board.read_head(path, limit))
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.local(|board| board.list(path))
    }
    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.local(|board| board.read_link(path))
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.local(|board| board.stat(path))
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.local(|board| board.space(path))
    }
    fn create(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.local(|board| board.create(path, bytes, mode))
    }
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.local(|board| board.overwrite(path, bytes))
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.local(|board| board.sync_file(path))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.local(|board| board.sync_dir(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.town.must_not_take_data(self.me, from);
        self.local(|board| board.rename(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.local(|board| board.remove(path))
    }
    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.town.must_not_take_data(self.me, path);
        self.local(|board| board.remove_tree(path))
    }
    fn make_dirs(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.local(|board| board.make_dirs(path, mode))
    }
    fn lock(&self, path: &Path) -> io::Result<bool> {
        self.local(|board| board.lock(path))
    }

    fn run(&self, command: &Command) -> Result<String, CommandError> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        match (command.program, args.as_slice()) {
            ("systemctl", ["show", "--property=NRestarts", _]) => {
                self.local(Fake::uptime);
                Ok(format!("NRestarts={}\n", self.town.restarts(self.me)))
            }
            ("journalctl", ["-u", ..]) => {
                self.local(Fake::uptime);
                Ok(self.town.complaint(self.me))
            }
            _ => {
                let out = self.local(|board| Sys::run(board, command));
                self.town.live();
                out
            }
        }
    }

    fn now(&self) -> Duration {
        self.local(Fake::now)
    }
    fn set_clock(&self, to: Duration) -> io::Result<()> {
        self.local(|board| board.set_clock(to))
    }
    fn uptime(&self) -> Duration {
        self.local(Fake::uptime)
    }
    fn sleep(&self, time: Duration) {
        self.local(Fake::uptime);
        self.town.pass(time);
    }

    fn https(&self, request: &HttpsRequest) -> Result<HttpsReply, HttpsError> {
        self.https_all(std::slice::from_ref(request)).remove(0)
    }
    fn https_all(&self, requests: &[HttpsRequest]) -> Vec<Result<HttpsReply, HttpsError>> {
        let mut slow = false;
        let mut replies = Vec::new();
        for request in requests {
            // The power may go before a request arrives, and after its answer was made.
            self.local(Fake::uptime);
            let reply = self.town.https(self.me, request);
            slow |= matches!(&reply, Err(HttpsError::Unreachable(why)) if why == "timed out");
            replies.push(reply);
            self.local(Fake::uptime);
        }
        if slow {
            self.town.pass(Duration::from_secs(2));
        }
        replies
    }
    fn connect(&self, place: &str, _: Duration) -> io::Result<()> {
        self.local(Fake::uptime);
        assert_eq!(place, "192.168.24.99:5432");
        match self.town.shared.borrow().datastore_up {
            true => Ok(()),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    fn say(&self, priority: Priority, line: &str) {
        self.local(|board| board.say(priority, line));
    }
    fn notify(&self, state: &str) {
        self.local(|board| board.notify(state));
    }
}
