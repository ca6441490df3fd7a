//! Reads a mounted tree into the model, through the kernel.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, StatxTimestamp};
use sha2::{Digest, Sha256};

use crate::tree::{Kind, Node, Tree, join};

/// The whole tree below `root`.
pub fn scan(root: &Path) -> Tree {
    let mut scan = Scan { root, tree: Tree::default(), seen: BTreeMap::new() };
    scan.visit(b"/");
    scan.tree.names.keys().for_each(|p| assert!(p.starts_with(b"/")));
    scan.tree
}

struct Scan<'a> {
    root: &'a Path,
    tree: Tree,
    seen: BTreeMap<u64, usize>,
}

impl Scan<'_> {
    fn visit(&mut self, path: &[u8]) {
        let host = self.root.join(OsStr::from_bytes(&path[1..]));
        let meta =
            std::fs::symlink_metadata(&host).unwrap_or_else(|e| panic!("{}: {e}", host.display()));
        let index = match self.seen.get(&meta.ino()) {
            Some(index) => *index,
            None => {
                self.tree.nodes.push(read_node(&host, &meta));
                self.seen.insert(meta.ino(), self.tree.nodes.len() - 1);
                self.tree.nodes.len() - 1
            }
        };
        self.tree.names.insert(path.to_vec(), index);
        if meta.is_dir() {
            for entry in std::fs::read_dir(&host).expect("listing a directory") {
                let name = entry.expect("reading a directory entry").file_name();
                self.visit(&join(path, name.as_bytes()));
            }
        }
    }
}

fn read_node(host: &Path, meta: &std::fs::Metadata) -> Node {
    let kind = meta.file_type();
    let kind = if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Symlink(std::fs::read_link(host).expect("reading a link").into_os_string().into_vec())
    } else if kind.is_file() {
        read_content(host)
    } else {
        assert!(
            kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device()
        );
        Kind::Special { mode: meta.mode() & 0o170_000, device: meta.rdev() }
    };
    let times = rustix::fs::statx(CWD, host, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::ALL)
        .expect("statx of a scanned file");
    let time = |t: StatxTimestamp| (t.tv_sec, i64::from(t.tv_nsec));
    let born = times.stx_mask & StatxFlags::BTIME.bits() != 0;
    Node {
        kind,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: time(times.stx_mtime),
        atime: Some(time(times.stx_atime)),
        ctime: Some(time(times.stx_ctime)),
        btime: born.then(|| time(times.stx_btime)),
        xattrs: read_xattrs(host),
        links: meta.nlink(),
    }
}

fn read_content(host: &Path) -> Kind {
    let mut file = std::fs::File::open(host).expect("opening a scanned file");
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = file.read(&mut buffer).unwrap_or_else(|e| panic!("{}: {e}", host.display()));
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        size += n as u64;
    }
    Kind::File { size, digest: hash.finalize().into() }
}

fn read_xattrs(host: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0_u8; 64 << 10];
    let len = rustix::fs::llistxattr(host, &mut names[..]).expect("listing xattrs");
    names[..len]
        .split(|b| *b == 0)
        .filter(|n| !n.is_empty())
        .map(|name| {
            let mut value = vec![0_u8; 64 << 10];
            let len = rustix::fs::lgetxattr(host, name, &mut value[..]).expect("reading an xattr");
            value.truncate(len);
            (String::from_utf8_lossy(name).into_owned(), value)
        })
        .collect()
}
