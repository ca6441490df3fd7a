//! `put IMAGE TREE DIRECTORY`: copies the regular files of a host directory into a new directory
//! of an ext4 file system, in place.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ext4_edit::{Attributes, Content, Ext4, FilePayload, FileStore};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [image, tree, directory] = arguments.as_slice() else {
        return Err("usage: put IMAGE TREE DIRECTORY".into());
    };
    let file = File::options().read(true).write(true).open(image)?;
    let mut fs = Ext4::open(FileStore::new(file)?)?;
    put(&mut fs, Path::new(tree), directory.as_bytes())?;
    Ok(fs.commit()?)
}

fn put(
    fs: &mut Ext4<FileStore>,
    tree: &Path,
    directory: &[u8],
) -> Result<(), Box<dyn std::error::Error>> {
    let owner = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
    fs.mkdir(directory, Attributes { mode: 0o755, ..owner })?;
    let mut names = Vec::new();
    for entry in fs::read_dir(tree)? {
        names.push(entry?.file_name());
    }
    names.sort();
    for name in names {
        let source = File::open(tree.join(&name))?;
        let path = [directory, b"/", name.as_bytes()].concat();
        fs.write(&path, Content::Payload(FilePayload::new(source)?), owner)?;
    }
    Ok(())
}
