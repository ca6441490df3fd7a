//! The board itself, or a directory that stands for it.

use std::cell::{Cell, RefCell};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec};

use super::{
    Command, CommandError, HttpsError, HttpsReply, HttpsRequest, Priority, Space, Stat, Sys,
};

const READ_LIMIT: u64 = 1024 * 1024;

/// The machine we run on.
///
/// With another root than `/`, files and programs are looked for below it and setting the clock
/// only moves our own view of it, so that a whole run can be watched without touching the host.
#[derive(Debug)]
pub struct Real {
    root: PathBuf,
    /// How far our clock is ahead of the host's, in seconds; only below another root.
    clock_offset: Cell<i64>,
    lock: RefCell<Option<File>>,
    /// Whether standard output goes to the journal, which understands priorities.
    journal: bool,
}

impl Real {
    /// The machine as seen below `root`.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            clock_offset: Cell::new(0),
            lock: RefCell::new(None),
            journal: std::env::var_os("JOURNAL_STREAM").is_some(),
        }
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn is_whole_machine(&self) -> bool {
        self.root == Path::new("/")
    }
}

impl Sys for Real {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.at(path))?.take(READ_LIMIT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > READ_LIMIT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
        }
        Ok(bytes)
    }

    fn read_head(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.at(path))?.take(limit as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name());
        let names = fs::read_dir(self.at(path))?.map(name).collect::<io::Result<Vec<_>>>()?;
        Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(self.at(path))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let found = fs::metadata(self.at(path))?;
        let device = found.dev();
        Ok(Stat {
            len: found.len(),
            mode: found.mode() & 0o7777,
            is_dir: found.is_dir(),
            device: (rustix::fs::major(device), rustix::fs::minor(device)),
        })
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(self.at(path))?;
        Ok(Space { total: found.f_blocks * found.f_frsize, free: found.f_bfree * found.f_frsize })
    }

    fn create(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(self.at(path))?;
        // The mode given to open(2) is cut by the umask and ignored for a file that was there;
        // FAT knows no modes and says so.
        match file.set_permissions(fs::Permissions::from_mode(mode)) {
            Err(e) if e.kind() != io::ErrorKind::PermissionDenied => return Err(e),
            _ => {}
        }
        file.write_all(bytes)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().write(true).open(self.at(path))?.write_all(bytes)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(self.at(path))
    }

    fn make_dirs(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(mode).create(self.at(path))
    }

    fn lock(&self, path: &Path) -> io::Result<bool> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(self.at(path))?;
        match file.try_lock() {
            Ok(()) => {
                self.lock.replace(Some(file));
                Ok(true)
            }
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn run(&self, command: &Command) -> Result<String, CommandError> {
        super::command::run(command, &self.root)
    }

    fn now(&self) -> Duration {
        let host = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let offset = Duration::from_secs(self.clock_offset.get().unsigned_abs());
        if self.clock_offset.get() < 0 {
            host.saturating_sub(offset)
        } else {
            host.saturating_add(offset)
        }
    }

    fn set_clock(&self, to: Duration) -> io::Result<()> {
        let seconds = i64::try_from(to.as_secs()).map_err(io::Error::other)?;
        if self.is_whole_machine() {
            let time = Timespec { tv_sec: seconds, tv_nsec: to.subsec_nanos().into() };
            return Ok(rustix::time::clock_settime(ClockId::Realtime, time)?);
        }
        let now = i64::try_from(self.now().as_secs()).map_err(io::Error::other)?;
        self.clock_offset.set(self.clock_offset.get() + seconds - now);
        Ok(())
    }

    fn uptime(&self) -> Duration {
        let time = rustix::time::clock_gettime(ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn https(&self, request: &HttpsRequest) -> Result<HttpsReply, HttpsError> {
        let none = || Err(HttpsError::Unreachable("no answer".into()));
        super::https::ask_all(std::slice::from_ref(request)).pop().unwrap_or_else(none)
    }

    fn https_all(&self, requests: &[HttpsRequest]) -> Vec<Result<HttpsReply, HttpsError>> {
        super::https::ask_all(requests)
    }

    fn connect(&self, place: &str, timeout: Duration) -> io::Result<()> {
        let mut refused = io::Error::from(io::ErrorKind::HostUnreachable);
        for address in place.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(_) => return Ok(()),
                Err(e) => refused = e,
            }
        }
        Err(refused)
    }

    fn say(&self, priority: Priority, line: &str) {
        let mut out = io::stdout().lock();
        // Nobody is left to tell that standard output is gone.
        let _ = match self.journal {
            true => writeln!(out, "<{}>{line}", priority as u8),
            false => writeln!(out, "{line}"),
        };
    }

    fn notify(&self, state: &str) {
        super::notify::notify(state);
    }
}
