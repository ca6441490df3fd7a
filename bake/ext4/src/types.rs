//! The words edits are spoken in.

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// FIFO.
    Fifo,
    /// Socket.
    Socket,
}

/// Mode, owner and time an edit gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, 0o0000 to 0o7777; other bits are ignored.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970-01-01 UTC, for all times of what is created. Times beyond what the inode
    /// can hold become the nearest it can.
    pub mtime: i64,
}

/// What is known of one file, as `lstat` would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Bytes of content (of the target, for a symbolic link).
    pub size: u64,
    /// Permission bits, owner and modification time.
    pub attributes: Attributes,
    /// Hard links.
    pub links: u32,
    /// Inode number, equal for hard links.
    pub inode: u32,
    /// Time of last access, seconds since the epoch.
    pub atime: i64,
    /// Time of last change of the inode, seconds since the epoch.
    pub ctime: i64,
    /// Blocks owned, in bytes.
    pub allocated: u64,
}

/// One entry of a directory; `.` and `..` are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name, raw bytes (ext4 does not promise UTF-8).
    pub name: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
    /// Inode number.
    pub inode: u32,
}

/// Content of a file to be written.
#[derive(Debug, Clone)]
pub enum Content<P> {
    /// Small, in memory.
    Bytes(Vec<u8>),
    /// Large, placed by reference at the commit.
    Payload(P),
}
