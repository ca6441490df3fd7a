//! Outputs: the same bytes whichever way they are written, whole or not at all; judged by cmp,
//! sha256sum, xz, zstd, gzip, bmaptool, and the kernel's own full disks and reflinks.

mod support;

use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use bake::emit::{Emitted, InUse, Method, Spec, emit};
use bake::error::{Error, Exit};
use bake::event::{Event, Silent, Sink};
use bake::store::{BlockStore, FileSource, Image, Payload, ReadAt};
use bake::sys::interrupt::Cancel;
use bake::units::MIB;
use support::{Mount, Random, run};

/// A sparse base of 24 MiB with data in places, zeros inside data, and an odd length.
fn base(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("base.img");
    let file = std::fs::File::create(&path).expect("base");
    file.set_len(24 * MIB + 512).expect("length");
    let mut random = Random(3);
    for (at, len) in [(0, 70_000), (3 * MIB, 900_000), (9 * MIB + 100, 5), (20 * MIB, 2_000_000)] {
        let mut data: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
        let middle = data.len() / 3;
        data[middle..(middle + 20_000).min(len)].fill(0);
        file.write_all_at(&data, at).expect("data");
    }
    path
}

/// The base with changes from memory, a payload, zeros and growth; and what of it is in use.
fn edited(base: &Path, dir: &Path) -> (Image, InUse) {
    let mut image = Image::new(Arc::new(FileSource::open(base).expect("base")));
    image.grow(40 * MIB + 1024).expect("growth");
    let payload = dir.join("payload");
    let data: Vec<u8> = (0..700_000_u32).map(|i| (i * 7) as u8).collect();
    std::fs::write(&payload, data).expect("payload");
    let payload = Payload::file(&payload).expect("payload");
    image.write_at(513, b"changed in the middle of a block").expect("write");
    image.place(30 * MIB, &payload, 0, 700_000).expect("payload");
    image.place(3 * MIB + 4096, &payload, 100, 5000).expect("payload");
    image.freeze();
    image.zero(20 * MIB + 8192, 500_000).expect("zero");
    image.write_at(40 * MIB, &[9; 1024]).expect("the very end");
    let mut used = InUse::everything(image.len());
    // The data at 9 MiB and part of that at 3 MiB are free.
    used.limit(2 * MIB, 10 * MIB, &[0..MIB, MIB + 200_000..2 * MIB]);
    (image, used)
}

/// What the image must read as, made the slow way.
fn expected(image: &Image, used: &InUse) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(image.len()).expect("small")];
    for range in used.ranges() {
        let (start, end) = (range.start as usize, range.end as usize);
        image.read_at(range.start, &mut bytes[start..end]).expect("read");
    }
    bytes
}

fn written(image: &Image, used: &InUse, spec: &Spec) -> Emitted {
    emit(image, used, spec, &Silent, &Cancel::new()).expect("emit")
}

fn sha256sum(path: &Path) -> String {
    run("sha256sum", &[&path.to_string_lossy()])[..64].to_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("folder").flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_raw_output_is_sparse_private_and_what_the_image_says() {
    let dir = tempfile::tempdir().expect("dir");
    let (image, used) = edited(&base(dir.path()), dir.path());
    let out = dir.path().join("node1.img");
    let emitted = written(&image, &used, &Spec::new(&out));
    assert!(std::fs::read(&out).expect("output") == expected(&image, &used));
    assert_eq!(emitted.sha256, Some(sha256sum(&out)));
    assert_eq!((emitted.bytes, emitted.image_bytes), (image.len(), image.len()));
    let metadata = std::fs::metadata(&out).expect("output");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(metadata.blocks() * 512 < 4 * MIB, "{} blocks", metadata.blocks());
}

#[test]
fn without_a_digest_the_bytes_are_the_same_with_holes_in_the_base_and_without() {
    let dir = tempfile::tempdir().expect("dir");
    let sparse = base(dir.path());
    let full = dir.path().join("full.img");
    std::fs::write(&full, std::fs::read(&sparse).expect("base")).expect("base without holes");
    let ways = [(&sparse, false), (&sparse, true), (&full, false), (&full, true)];
    for (base, crowded) in ways {
        let (image, used) = edited(base, dir.path());
        let out = dir.path().join("node1.img");
        let emitted = written(&image, &used, &Spec { digest: false, crowded, ..Spec::new(&out) });
        assert_eq!((emitted.sha256, emitted.method), (None, Method::Copy));
        assert!(std::fs::read(&out).expect("output") == expected(&image, &used));
        let blocks = std::fs::metadata(&out).expect("output").blocks();
        assert!(blocks * 512 < 4 * MIB, "{blocks} blocks of {}", base.display());
        std::fs::remove_file(&out).expect("remove");
    }
}

/// What becomes of an image that is changed where it lies, after `prepare` has done something to it.
fn in_place(prepare: impl FnOnce(&Path)) -> (tempfile::TempDir, Emitted) {
    let dir = tempfile::tempdir().expect("dir");
    let out = base(dir.path());
    let source = FileSource::open(&out).expect("base");
    prepare(&out);
    let mut image = Image::new(Arc::new(source));
    image.write_at(513, b"changed in the middle of a block").expect("write");
    image.write_at(15 * MIB, &[9; 10_000]).expect("into a hole");
    image.zero(20 * MIB + 8192, 500_000).expect("zero");
    let mut used = InUse::everything(image.len());
    used.limit(2 * MIB, 10 * MIB, &[0..MIB, MIB + 200_000..2 * MIB]);
    let expected = expected(&image, &used);
    let bmap = Some(dir.path().join("node1.bmap"));
    let spec = Spec { in_place: true, reflink: false, force: true, bmap, ..Spec::new(&out) };
    let emitted = written(&image, &used, &spec);
    assert!(std::fs::read(&out).expect("output") == expected, "{:?}", emitted.method);
    assert_eq!(emitted.sha256, Some(sha256sum(&out)));
    assert_eq!(emitted.bytes, image.len());
    let metadata = std::fs::metadata(&out).expect("output");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let hidden = names(dir.path()).into_iter().filter(|name| name.starts_with('.'));
    assert_eq!(hidden.count(), 0);
    (dir, emitted)
}

#[test]
fn an_image_becomes_another_where_it_lies() {
    assert_eq!(in_place(|_| {}).1.method, Method::InPlace);
    // What nobody uses becomes zero, whatever was there.
    let (_dir, emitted) = in_place(|out| {
        let file = std::fs::File::options().write(true).open(out).expect("base");
        file.write_all_at(&[7; 100_000], 5 * MIB + 10).expect("junk");
    });
    assert_eq!(emitted.method, Method::InPlace);
}

#[test]
fn what_others_have_of_an_image_stays_as_it_is() {
    let other = std::cell::OnceCell::new();
    let copied = |prepare: &dyn Fn(&Path)| {
        let (dir, emitted) = in_place(prepare);
        assert_eq!(emitted.method, Method::Copy);
        dir
    };
    let dir = copied(&|out| std::fs::hard_link(out, out.with_extension("other")).expect("link"));
    let before = tempfile::tempdir().expect("dir");
    let before = std::fs::read(base(before.path())).expect("base");
    assert!(std::fs::read(dir.path().join("base.other")).expect("the other name") == before);

    copied(&|out| {
        let _ = other.set(std::fs::File::open(out).expect("open"));
    });
    let mut read = vec![0; before.len()];
    other.get().expect("a reader").read_exact_at(&mut read, 0).expect("read");
    assert!(read == before, "who reads it reads what it opened");

    let dir = copied(&|out| {
        let real = out.with_extension("real");
        std::fs::rename(out, &real).expect("rename");
        std::os::unix::fs::symlink(real, out).expect("link");
    });
    assert!(dir.path().join("base.img").is_symlink());
    if rustix::process::geteuid().is_root() {
        copied(&|out| std::os::unix::fs::chown(out, Some(1), None).expect("another's"));
    }
}

#[test]
fn compressed_outputs_unpack_to_the_same_bytes() {
    let dir = tempfile::tempdir().expect("dir");
    let (image, used) = edited(&base(dir.path()), dir.path());
    let expected = expected(&image, &used);
    for (suffix, program) in [("zst", "zstd"), ("xz", "xz"), ("gz", "gzip")] {
        let out = dir.path().join(format!("node.img.{suffix}"));
        let emitted = written(&image, &used, &Spec::new(&out));
        assert_eq!(emitted.method, Method::Compress);
        assert_eq!(emitted.sha256, Some(sha256sum(&out)), "{suffix}");
        run(program, &["-t", &out.to_string_lossy()]);
        run(program, &["-d", "-k", &out.to_string_lossy()]);
        let unpacked = dir.path().join("node.img");
        assert!(std::fs::read(&unpacked).expect("unpacked") == expected, "{suffix}");
        assert_eq!(emitted.image_sha256, Some(sha256sum(&unpacked)));
        std::fs::remove_file(unpacked).expect("remove");
    }
}

#[test]
fn bmaptool_accepts_the_block_map() {
    let dir = tempfile::tempdir().expect("dir");
    let (image, used) = edited(&base(dir.path()), dir.path());
    for name in ["node.img", "node.img.xz"] {
        let out = dir.path().join(name);
        let bmap = dir.path().join(format!("{name}.bmap"));
        let spec = Spec { bmap: Some(bmap.clone()), ..Spec::new(&out) };
        written(&image, &used, &spec);
        let copy = dir.path().join("copy.img");
        let _ = std::fs::remove_file(&copy);
        let [bmap, out, target] = [&bmap, &out, &copy].map(|p| p.to_string_lossy().into_owned());
        run("bmaptool", &["copy", "--bmap", &bmap, &out, &target]);
        let copied = std::fs::read(&copy).expect("copy");
        let expected = expected(&image, &used);
        for range in used.ranges() {
            let range = range.start as usize..range.end as usize;
            assert!(copied[range.clone()] == expected[range.clone()], "{range:?}");
        }
        // And it notices a changed byte that is mapped.
        let file = std::fs::OpenOptions::new().write(true).open(&out).expect("output");
        if name == "node.img" {
            file.write_all_at(b"!", 600).expect("damage");
            let verdict = std::process::Command::new("bmaptool")
                .args(["copy", "--bmap", &bmap, &out, &target])
                .output()
                .expect("bmaptool");
            assert!(!verdict.status.success());
        }
    }
}

#[test]
fn sharing_blocks_gives_the_same_bytes_as_copying() {
    let Some(mount) = Mount::formatted("mkfs.xfs", &["-q", "-m", "reflink=1"], 400 * MIB) else {
        return;
    };
    let dir = mount.path();
    let (image, used) = edited(&base(dir), dir);
    let (shared, copied) = (dir.join("shared.img"), dir.join("copied.img"));
    for digest in [true, false] {
        let force = true;
        let spec = Spec { force, digest, ..Spec::new(&shared) };
        let with = written(&image, &used, &spec);
        let spec = Spec { force, digest, reflink: false, ..Spec::new(&copied) };
        let without = written(&image, &used, &spec);
        assert_eq!((with.method, without.method), (Method::Reflink, Method::Copy));
        assert_eq!(with.sha256, without.sha256);
        run("cmp", &[&shared.to_string_lossy(), &copied.to_string_lossy()]);
        assert!(std::fs::read(&shared).expect("output") == expected(&image, &used));
    }
    let free = |path: &Path| std::fs::metadata(path).expect("output").blocks();
    assert!(free(&shared) * 512 < 5 * MIB);
}

#[test]
fn a_base_that_is_replaced_stays_readable_while_it_is() {
    let dir = tempfile::tempdir().expect("dir");
    let path = base(dir.path());
    let (image, used) = edited(&path, dir.path());
    let wanted = expected(&image, &used);
    let spec = Spec { force: true, ..Spec::new(&path) };
    written(&image, &used, &spec);
    assert!(std::fs::read(&path).expect("output") == wanted);
}

#[test]
fn nothing_is_overwritten_unasked_and_devices_never() {
    let dir = tempfile::tempdir().expect("dir");
    let (image, used) = edited(&base(dir.path()), dir.path());
    let kept = dir.path().join("kept.img");
    std::fs::write(&kept, "mine").expect("file");
    let dangling = dir.path().join("dangling");
    std::os::unix::fs::symlink("nowhere", &dangling).expect("link");
    let fifo = dir.path().join("fifo");
    run("mkfifo", &[&fifo.to_string_lossy()]);
    let before = names(dir.path());
    for (path, force) in [
        (kept.as_path(), false),
        (Path::new("/dev/null"), true),
        (Path::new("/dev/loop0"), true),
        (dir.path(), true),
        (&fifo, true),
        (&dangling, true),
    ] {
        let spec = Spec { force, ..Spec::new(path) };
        let error = emit(&image, &used, &spec, &Silent, &Cancel::new()).expect_err("refused");
        assert_eq!(error.exit(), Exit::Refused, "{}: {error}", path.display());
    }
    assert_eq!(std::fs::read(&kept).expect("file"), b"mine");
    assert_eq!(names(dir.path()), before);
    let spec = Spec::new(dir.path().join("missing/node.img"));
    let error = emit(&image, &used, &spec, &Silent, &Cancel::new()).expect_err("no folder");
    assert_eq!(error.exit(), Exit::Failed);
}

/// Cancels once this many progress events have come.
struct CancelAt<'a>(std::sync::atomic::AtomicU32, &'a Cancel);

impl Sink for CancelAt<'_> {
    fn emit(&self, event: Event) {
        let last = self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1;
        if matches!(event, Event::Progress { .. } | Event::Started { .. }) && last {
            self.1.cancel();
        }
    }
}

#[test]
fn an_interrupted_output_leaves_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("base.img");
    std::fs::write(&path, vec![7; 40 << 20]).expect("base");
    let image = Image::new(Arc::new(FileSource::open(&path).expect("base")));
    let used = InUse::everything(image.len());
    for name in ["node.img", "node.img.zst", "node.img.xz", "node.img.gz"] {
        for events in [1, 3] {
            let cancel = Cancel::new();
            let sink = CancelAt(events.into(), &cancel);
            let spec = Spec::new(dir.path().join(name));
            let error = emit(&image, &used, &spec, &sink, &cancel).expect_err("interrupted");
            assert!(matches!(error, Error::Interrupted), "{name}: {error}");
            assert_eq!(names(dir.path()), ["base.img"]);
        }
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let (image, used) = edited(&base(dir.path()), dir.path());
    let Some(mount) = Mount::tmpfs(MIB) else { return };
    let old = mount.path().join("node1.img");
    std::fs::write(&old, "old").expect("file");
    for name in ["node1.img", "node1.img.zst"] {
        let spec = Spec { force: true, ..Spec::new(mount.path().join(name)) };
        let error = emit(&image, &used, &spec, &Silent, &Cancel::new()).expect_err("full");
        assert_eq!(error.exit(), Exit::Failed);
        let hint = error.hints().concat();
        assert!(hint.contains("needs") && hint.contains("are free"), "{error}: {hint}");
        assert_eq!(names(mount.path()), ["node1.img"]);
        assert_eq!(std::fs::read(&old).expect("old"), b"old");
    }
}

/// A payload that cannot be read to its end.
#[derive(Debug)]
struct Failing(u64);

impl ReadAt for Failing {
    fn len(&self) -> u64 {
        self.0
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        if offset + buf.len() as u64 > self.0 / 2 {
            return Err(std::io::Error::other("the disk under the payload died"));
        }
        buf.fill(1);
        Ok(())
    }
}

#[test]
fn a_payload_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut image, used) = edited(&base(dir.path()), dir.path());
    image.place(4096, &Payload(Arc::new(Failing(MIB))), 0, MIB).expect("place");
    let before = names(dir.path());
    for name in ["node.img", "node.img.xz"] {
        let spec = Spec::new(dir.path().join(name));
        let error = emit(&image, &used, &spec, &Silent, &Cancel::new()).expect_err("failed");
        assert!(matches!(&error, Error::Io { source, .. } if source.to_string().contains("died")));
        assert_eq!(names(dir.path()), before);
    }
}

/// This test's own program, started again, is the process that is killed.
#[test]
fn kill_9_leaves_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    if let Ok(dir) = std::env::var("BAKE_EMIT_UNTIL_KILLED") {
        let path = Path::new(&dir).join("base.img");
        let image = Image::new(Arc::new(FileSource::open(&path).expect("base")));
        let used = InUse::everything(image.len());
        let spec = Spec { force: true, ..Spec::new(Path::new(&dir).join("node.img")) };
        loop {
            written(&image, &used, &spec);
        }
    }
    std::fs::write(dir.path().join("base.img"), vec![7; 64 << 20]).expect("base");
    let old = dir.path().join("node.img");
    for wait in [30, 80, 150, 300] {
        std::fs::write(&old, "old").expect("old");
        let me = std::env::current_exe().expect("this program");
        let mut child = std::process::Command::new(me)
            .args(["--exact", "kill_9_leaves_nothing"])
            .env("BAKE_EMIT_UNTIL_KILLED", dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("child");
        std::thread::sleep(std::time::Duration::from_millis(wait));
        child.kill().expect("kill -9");
        child.wait().expect("end");
        let len = std::fs::metadata(&old).expect("output").len();
        assert!(len == 3 || len == 64 << 20, "neither old nor new: {len}");
        let left = names(dir.path());
        assert!(left.iter().all(|n| !n.contains("bake-part")) || left.len() == 3, "{left:?}");
    }
    // The instant between giving a replacement its hidden name and renaming it may be hit; the
    // next run clears that up.
    let path = dir.path().join("base.img");
    let image = Image::new(Arc::new(FileSource::open(&path).expect("base")));
    let spec = Spec { force: true, ..Spec::new(&old) };
    written(&image, &InUse::everything(image.len()), &spec);
    assert_eq!(names(dir.path()), ["base.img", "node.img"]);
}
