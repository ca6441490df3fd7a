//! Runs scripts on an image and on the model side by side.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use ext4_edit::{Attributes, Content, Error, Ext4, FilePayload, FileStore};

use crate::script::{CLOCK, Op, Owner, Refusal};
use crate::tree::Tree;

pub type Fs = Ext4<FileStore>;

/// Opens an image for editing with the model's clock.
pub fn open(image: &Path) -> Result<Fs, Error> {
    let file = File::options().read(true).write(true).open(image)?;
    let mut fs = Ext4::open(FileStore::new(file)?)?;
    fs.set_clock(CLOCK);
    Ok(fs)
}

fn attributes(owner: Owner) -> Attributes {
    Attributes { mode: owner.mode, uid: owner.uid, gid: owner.gid, mtime: owner.mtime }
}

fn payload(bytes: &[u8]) -> io::Result<FilePayload> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    FilePayload::new(file)
}

/// One edit.
pub fn edit(fs: &mut Fs, op: &Op) -> Result<(), Error> {
    match op {
        Op::Write { path, blob, payload: by_reference, owner } => {
            let bytes = blob.bytes();
            let content = if *by_reference {
                Content::Payload(payload(&bytes)?)
            } else {
                Content::Bytes(bytes)
            };
            fs.write(path, content, attributes(*owner))
        }
        Op::Mkdir { path, owner } => fs.mkdir(path, attributes(*owner)),
        Op::Symlink { path, target, owner } => fs.symlink(path, target, attributes(*owner)),
        Op::HardLink { old, new } => fs.hard_link(old, new),
        Op::RemoveFile { path } => fs.remove_file(path),
        Op::RemoveDir { path } => fs.remove_dir(path),
        Op::Rename { old, new } => fs.rename(old, new),
        Op::SetAttributes { path, owner } => fs.set_attributes(path, attributes(*owner)),
        Op::SetXattr { path, name, value } => fs.set_xattr(path, name, value.as_deref()),
        Op::Commit => fs.commit(),
    }
}

/// What an edit did, beside what the model says it must do.
pub enum Outcome {
    /// As the model says: done, or refused for the same reason.
    Agreed,
    /// Not enough room for it, which the model does not know about.
    NoRoom,
}

/// Runs one edit on both; the model changes only if the file system did.
pub fn step(fs: &mut Fs, tree: &mut Tree, op: &Op) -> Result<Outcome, String> {
    let error = match edit(fs, op) {
        Ok(()) => {
            let refusal = tree.apply(op).err();
            let fault = |why| format!("done, but must be refused: {why:?}");
            return refusal.map_or(Ok(Outcome::Agreed), |why| Err(fault(why)));
        }
        Err(error) => error,
    };
    match (tree.clone().apply(op), error) {
        (Err(refusal), e) if agree(refusal_of(&e), refusal) => Ok(Outcome::Agreed),
        (Err(refusal), e) => Err(format!("refused with `{e}` instead of {refusal:?}")),
        (Ok(()), Error::NoSpace { .. } | Error::NoInodes | Error::TooLarge { .. }) => {
            Ok(Outcome::NoRoom)
        }
        (Ok(()), e) => Err(format!("refused ({e}), but must be done")),
    }
}

/// Whether a refusal is one of those that are true where the model has found this one: a way that
/// leads through a file does not exist, or meets no directory; what is wrong with the request in
/// itself may be said before anything is looked up.
fn agree(found: Option<Refusal>, expected: Refusal) -> bool {
    let way = [Refusal::NotFound, Refusal::NotADirectory];
    found.is_some_and(|found| {
        found == expected
            || way.contains(&found) && way.contains(&expected)
            || found == Refusal::Invalid && expected != Refusal::Exists
    })
}

fn refusal_of(error: &Error) -> Option<Refusal> {
    Some(match error {
        Error::NotFound { .. } => Refusal::NotFound,
        Error::Exists { .. } => Refusal::Exists,
        Error::NotADirectory { .. } => Refusal::NotADirectory,
        Error::IsADirectory { .. } => Refusal::IsADirectory,
        Error::NotEmpty { .. } => Refusal::NotEmpty,
        Error::Invalid { .. } | Error::InvalidName { .. } => Refusal::Invalid,
        _ => return None,
    })
}
