//! What is taken for data of etcd, judged by a real etcd.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firstboot::etcd::{Data, clear_unborn, look};
use firstboot::sys::Real;
use nodeconf::paths;

/// A directory that stands for a board, with an etcd that is killed at the end.
struct Board {
    root: tempfile::TempDir,
    address: String,
    etcd: Option<Child>,
}

impl Board {
    fn new() -> Self {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let root = tempfile::tempdir().unwrap();
        Self { root, address: format!("127.{}.{low}.77", high % 100 + 20), etcd: None }
    }

    fn start(&mut self) {
        let url = |port| format!("http://{}:{port}", self.address);
        let dir = Path::new(paths::K3S_ETCD_WAL).ancestors().nth(2).unwrap();
        let etcd = Command::new("etcd")
            .args(["--name", "node1", "--data-dir"])
            .arg(self.root.path().join(dir.strip_prefix("/").unwrap()))
            .args(["--listen-client-urls", &url(2379), "--advertise-client-urls", &url(2379)])
            .args(["--listen-peer-urls", &url(2380), "--initial-advertise-peer-urls", &url(2380)])
            .args(["--initial-cluster", &format!("node1={}", url(2380))])
            // etcd 3.4 starts on arm64 only when asked to.
            .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH.replace("aarch64", "arm64"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is installed");
        self.etcd = Some(etcd);
    }

    fn kill(&mut self) {
        if let Some(mut etcd) = self.etcd.take() {
            etcd.kill().unwrap();
            etcd.wait().unwrap();
        }
    }

    fn look(&self) -> Data {
        look(&Real::below(self.root.path())).unwrap()
    }

    /// The files of its log, and how they begin.
    fn log(&self) -> Vec<(String, String)> {
        let dir = self.root.path().join(paths::K3S_ETCD_WAL.trim_start_matches('/'));
        let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let head = |path| {
            hex::encode(
                std::fs::read(path)
                    .unwrap_or_default()
                    .iter()
                    .take(160)
                    .copied()
                    .collect::<Vec<u8>>(),
            )
        };
        files.map(|f| (f.file_name().display().to_string(), head(f.path()))).collect()
    }

    fn waits_for(&self, wanted: Data, limit: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if self.look() == wanted {
                return true;
            }
        }
        false
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_log_without_an_entry_is_no_data_and_goes() {
    let long = Duration::from_secs(120);
    // It takes a few milliseconds from the log to the first entry; a busy machine may miss them.
    let unborn = (0..30).find_map(|_| {
        let mut board = Board::new();
        assert_eq!(board.look(), Data::None);
        board.start();
        let seen = board.waits_for(Data::Unborn, Duration::from_secs(5));
        board.kill();
        (seen && board.look() == Data::Unborn).then_some(board)
    });
    let mut board = unborn.expect("etcd was killed between its log and its first entry");
    // The reason for all this: it never elects itself.
    board.start();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(board.look(), Data::Unborn, "it found itself: {:?}", board.log());
    board.kill();
    let sys = Real::below(board.root.path());
    clear_unborn(&sys).unwrap();
    assert_eq!(board.look(), Data::None);
    board.start();
    assert!(board.waits_for(Data::There, long));
    board.kill();
    clear_unborn(&sys).unwrap();
    assert_eq!(board.look(), Data::There, "data stays");
}
