//! Random scripts: mostly edits that must work, some that must be refused.

use crate::rng::Rng;
use crate::script::{Blob, Op, Owner};
use crate::tree::{Kind, Path, Tree, join};

/// Draws edits that fit a tree as it changes.
pub struct Author {
    pub rng: Rng,
    /// Largest file an edit may write, in bytes.
    pub largest: u64,
    /// Seconds that do not fit 128-byte inodes are drawn only where this is set.
    pub late_times: bool,
}

impl Author {
    pub fn next(&mut self, tree: &Tree) -> Op {
        match self.rng.below(100) {
            0..=27 => self.write(tree),
            28..=36 => Op::Mkdir { path: self.place(tree, 4), owner: self.owner() },
            37..=44 => self.symlink(tree),
            45..=50 => Op::HardLink { old: self.file(tree), new: self.place(tree, 8) },
            51..=66 => Op::RemoveFile { path: self.file(tree) },
            67..=70 => Op::RemoveDir { path: self.directory(tree) },
            71..=80 => self.rename(tree),
            81..=86 => Op::SetAttributes { path: self.existing(tree), owner: self.owner() },
            87..=97 => self.xattr(tree),
            _ => Op::Commit,
        }
    }

    fn write(&mut self, tree: &Tree) -> Op {
        let len = match self.rng.below(10) {
            0 => *self.rng.pick(&[
                0,
                1,
                1023,
                1024,
                1025,
                4095,
                4096,
                4097,
                12 * 1024,
                12 * 4096 + 1,
            ]),
            1..=6 => self.rng.below(6000),
            7..=8 => self.rng.below(80_000),
            _ => self.rng.below(self.largest),
        };
        Op::Write {
            path: self.place(tree, 3),
            blob: Blob { seed: self.rng.next(), len: usize::try_from(len).expect("small") },
            payload: self.rng.once_in(2),
            owner: self.owner(),
        }
    }

    fn symlink(&mut self, tree: &Tree) -> Op {
        let len = match self.rng.below(3) {
            0 => *self.rng.pick(&[1, 58, 59, 60, 61, 255, 256, 1000]),
            1 => 1 + self.rng.below(70),
            _ => 1 + self.rng.below(900),
        };
        let target = (0..len).map(|i| b'a' + u8::try_from(i % 26).expect("small")).collect();
        Op::Symlink { path: self.place(tree, 6), target, owner: self.owner() }
    }

    fn rename(&mut self, tree: &Tree) -> Op {
        let old = if self.rng.once_in(4) { self.directory(tree) } else { self.file(tree) };
        Op::Rename { old, new: self.place(tree, 4) }
    }

    fn xattr(&mut self, tree: &Tree) -> Op {
        let path = self.existing(tree);
        let on_file =
            matches!(tree.get(&path).map(|n| &n.kind), Some(Kind::File { .. } | Kind::Directory));
        // The kernel shows `user.` attributes of files and directories only.
        let names: &[&str] = if on_file {
            &[
                "user.a",
                "user.b",
                "user.shared",
                "trusted.k",
                "security.capability",
                "user.a-name-of-some-length",
            ]
        } else {
            &["trusted.k", "trusted.l", "trusted.another"]
        };
        let name = (*self.rng.pick(names)).to_owned();
        let len = match self.rng.below(4) {
            0 => self.rng.below(8),
            1 | 2 => self.rng.below(60),
            _ => self.rng.below(400),
        };
        let value = if name == "security.capability" {
            // Anything else is not a capability to the kernel, which then refuses to show it.
            let mut value = vec![1, 0, 0, 2];
            value.extend_from_slice(&self.rng.bytes(2));
            value.extend_from_slice(&[0; 14]);
            value
        } else if self.rng.once_in(3) {
            vec![b'e'; usize::try_from(len).expect("small")]
        } else {
            self.rng.bytes(usize::try_from(len).expect("small"))
        };
        Op::SetXattr { path, name, value: (!self.rng.once_in(4)).then_some(value) }
    }

    fn owner(&mut self) -> Owner {
        let id = |rng: &mut Rng| *rng.pick(&[0, 0, 0, 33, 1000, 65_535, 65_536, 3_000_000_000]);
        let times: &[i64] =
            &[0, 1, -1, 1_000_000_000, 1_700_000_000, 2_147_483_647, 2_147_483_648, 4_300_000_000];
        let times = if self.late_times { times } else { &times[..6] };
        Owner {
            mode: *self.rng.pick(&[0o644, 0o755, 0o600, 0o4755, 0o1777, 0o2711, 0, 0o7777]),
            uid: id(&mut self.rng),
            gid: id(&mut self.rng),
            mtime: *self.rng.pick(times),
        }
    }

    /// Where to create: usually a new name, once in `replace` that of something existing.
    fn place(&mut self, tree: &Tree, replace: u64) -> Path {
        if self.rng.once_in(replace) {
            return self.existing(tree);
        }
        if self.rng.once_in(40) {
            return join(&join(&self.directory(tree), b"no-such-directory"), b"name");
        }
        if self.rng.once_in(60) {
            return join(&self.file(tree), b"below-a-file");
        }
        let len = match self.rng.below(8) {
            0 => 1,
            1 => 255,
            2 => 1 + self.rng.below(255),
            _ => 1 + self.rng.below(40),
        };
        let name: Vec<u8> = (0..len)
            .map(|_| match self.rng.below(40) {
                0 => 0x80 + u8::try_from(self.rng.below(128)).expect("small"),
                n => b'!' + 14 + u8::try_from(n).expect("small"),
            })
            .collect();
        let name = if name.iter().all(|b| *b == b'.') { b"dots".to_vec() } else { name };
        join(&self.directory(tree), &name)
    }

    fn existing(&mut self, tree: &Tree) -> Path {
        self.choose(tree, |_| true)
    }

    fn file(&mut self, tree: &Tree) -> Path {
        if self.rng.once_in(30) {
            return self.existing(tree);
        }
        self.choose(tree, |kind| *kind != Kind::Directory)
    }

    fn directory(&mut self, tree: &Tree) -> Path {
        if self.rng.once_in(40) {
            return self.existing(tree);
        }
        self.choose(tree, |kind| *kind == Kind::Directory)
    }

    /// A path drawn without preference; `/lost+found` and what lies in it are left alone.
    fn choose(&mut self, tree: &Tree, wanted: impl Fn(&Kind) -> bool) -> Path {
        let fits = |path: &[u8], inode: usize| {
            wanted(&tree.nodes[inode].kind) && !path.starts_with(b"/lost+found")
        };
        let all: Vec<&Path> =
            tree.names.iter().filter(|(p, i)| fits(p, **i)).map(|(p, _)| p).collect();
        if all.is_empty() { b"/".to_vec() } else { (*self.rng.pick(&all)).clone() }
    }
}
