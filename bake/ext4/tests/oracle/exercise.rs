//! Everything that can be done to a file system, on one that may be hostile.

use ext4_edit::{Attributes, Content, Ext4, FileKind};

use crate::memory::{Bytes, Memory};

const OWNER: Attributes = Attributes { mode: 0o644, uid: 1, gid: 2, mtime: 3 };
/// Files and directories visited; a hostile tree may hold the same directory many times.
const MOST: usize = 4000;

/// Opens, walks, checks, edits as `script` says, grows and commits; errors are fine.
pub fn exercise(image: Memory, script: &[u8]) {
    let Ok(mut fs) = Ext4::open(image) else { return };
    let paths = walk(&fs);
    let _ = fs.check();
    let _ = fs.used();
    for (n, step) in script.chunks(2).enumerate() {
        let path = &paths[usize::from(step[0]) * 7 % paths.len()];
        edit(&mut fs, path, step.get(1).copied().unwrap_or(0), n);
    }
    let _ = fs.grow(fs.len() + (2 << 20));
    if fs.commit().is_err() {
        return;
    }
    if let Ok(fs) = Ext4::open(fs.into_store()) {
        walk(&fs);
        let _ = fs.check();
    }
}

/// Reads everything that can be read; the paths met.
fn walk(fs: &Ext4<Memory>) -> Vec<Vec<u8>> {
    let mut paths = vec![b"/".to_vec()];
    let mut next = 0;
    let mut buffer = vec![0; 8192];
    while next < paths.len() && paths.len() < MOST {
        let path = paths[next].clone();
        next += 1;
        let _ = fs.xattrs(&path);
        let Ok(Some(metadata)) = fs.metadata(&path) else { continue };
        match metadata.kind {
            FileKind::Directory if path.len() < 2000 => {
                for entry in fs.read_dir(&path).unwrap_or_default() {
                    let base: &[u8] = if path == b"/" { b"" } else { &path };
                    paths.push([base, b"/", &entry.name].concat());
                }
            }
            FileKind::File => {
                for offset in [0, metadata.size / 2, metadata.size.saturating_sub(5000)] {
                    let _ = fs.read_at(&path, offset, &mut buffer);
                }
            }
            FileKind::Symlink => drop(fs.read_link(&path)),
            _ => {}
        }
    }
    paths
}

fn edit(fs: &mut Ext4<Memory>, path: &[u8], what: u8, n: usize) {
    let beside = [path, format!("-{n}").as_bytes()].concat();
    let inside = [path, format!("/new-{n}").as_bytes()].concat();
    let size = usize::from(what) * 97;
    let _ = match what % 12 {
        0 => fs.write(&inside, Content::Bytes(vec![1; size]), OWNER),
        1 => fs.write(path, Content::Payload(Bytes(vec![2; size])), OWNER),
        2 => fs.mkdir(&inside, OWNER),
        3 => fs.symlink(&beside, &vec![b't'; size / 30 + 1], OWNER),
        4 => fs.hard_link(path, &beside),
        5 => fs.remove_file(path),
        6 => fs.remove_dir(path),
        7 => fs.rename(path, &beside),
        8 => fs.rename(&beside, path),
        9 => fs.set_attributes(path, OWNER),
        10 => fs.set_xattr(path, "user.x", Some(&vec![b'x'; size / 40])),
        _ => fs.set_xattr(path, "user.shared", None),
    };
}
