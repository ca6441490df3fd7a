use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bake::error::{Error, Exit};
use bake::fetch::{Base, BaseRequest, Kind};
use bake::io::digest::Sha256;

use super::server::{Reply, Server, file};
use super::{Bench, data};

const TAG: &str = "\"v1\"";

/// Three megabytes, two of them zero.
fn image() -> Vec<u8> {
    let mut image = data(1 << 20);
    image.resize(3 << 20, 0);
    image[(5 << 19) + 100] = 1;
    image
}

fn packed(image: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(image).unwrap();
    encoder.finish().unwrap()
}

fn serving(published: &[u8]) -> Server {
    let served = published.to_vec();
    Server::start(move |r| file(r, &served, TAG))
}

fn wanted(server: &Server, published: &[u8]) -> BaseRequest {
    BaseRequest {
        name: "a test image".into(),
        url: server.url("/a.img.xz"),
        sha256: Some(Sha256::of(published)),
        size: Some(published.len() as u64),
        image_sha256: None,
        image_size: None,
        signature: None,
    }
}

fn content(base: Base) -> Vec<u8> {
    let mut bytes = Vec::new();
    { base.file }.read_to_end(&mut bytes).unwrap();
    bytes
}

fn rewrite(path: &Path, change: impl FnOnce(&Path)) {
    let mut permissions = path.metadata().unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false, reason = "a file of this test's own")]
    permissions.set_readonly(false);
    std::fs::set_permissions(path, permissions).unwrap();
    change(path);
}

#[test]
fn a_base_is_verified_unpacked_sparse_and_made_once() {
    let (image, published) = (image(), packed(&image()));
    let server = serving(&published);
    let bench = Bench::new();
    let base = bench.fetcher().base(&wanted(&server, &published)).unwrap();
    assert_eq!((base.len, base.sha256), (image.len() as u64, Some(Sha256::of(&image))));
    assert!(base.path.metadata().unwrap().permissions().readonly());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let used = base.path.metadata().unwrap().blocks() * 512;
        assert!(used < 3 << 19, "{used} bytes on disk");
    }
    assert_eq!(content(base), image);
    let again = bench.fetcher().base(&wanted(&server, &published)).unwrap();
    assert_eq!((content(again), server.requests().len()), (image, 1));
    assert!(bench.files("downloads").is_empty(), "the published file is not kept");
    let listed = bench.fetcher().cache().list().unwrap();
    assert_eq!((listed.len(), listed[0].kind), (1, Some(Kind::Base)));
}

#[test]
fn a_damaged_base_is_made_again() {
    let (image, published) = (image(), packed(&image()));
    let damages: [fn(&Path); 5] = [
        |path| std::fs::write(path, b"short").unwrap(),
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[1000] ^= 1;
            std::fs::write(path, bytes).unwrap();
        },
        // A date that was set back hides nothing.
        |path| {
            let modified = path.metadata().unwrap().modified().unwrap();
            let mut bytes = std::fs::read(path).unwrap();
            bytes[1000] ^= 1;
            std::fs::write(path, bytes).unwrap();
            let file = std::fs::File::options().append(true).open(path).unwrap();
            file.set_modified(modified).unwrap();
        },
        |path| std::fs::remove_file(path).unwrap(),
        |path| std::fs::write(path.with_extension("json"), b"{").unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let server = serving(&published);
        let bench = Bench::new();
        let request = wanted(&server, &published);
        let base = bench.fetcher().base(&request).unwrap();
        rewrite(&base.path, damage);
        let again = bench.fetcher().base(&request).unwrap();
        assert_eq!(content(again), image, "damage {number}");
        assert_eq!(server.requests().len(), 2, "damage {number}");
    }
}

#[test]
fn a_base_that_was_only_touched_is_compared_again_and_kept() {
    let published = packed(&image());
    let server = serving(&published);
    let bench = Bench::new();
    let request = wanted(&server, &published);
    let base = bench.fetcher().base(&request).unwrap();
    rewrite(&base.path, |path| {
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    });
    bench.fetcher().base(&request).unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_digest_of_the_image_inside_is_enough_and_counts() {
    let (image, published) = (image(), packed(&image()));
    let server = serving(&published);
    let bench = Bench::new();
    let by_image = BaseRequest {
        sha256: None,
        image_sha256: Some(Sha256::of(&image)),
        image_size: Some(image.len() as u64),
        ..wanted(&server, &published)
    };
    assert_eq!(content(bench.fetcher().base(&by_image).unwrap()), image);
    bench.fetcher().base(&by_image).unwrap();
    assert_eq!(server.requests().len(), 1);

    let wrong = BaseRequest { image_sha256: Some(Sha256::of(b"other")), ..by_image.clone() };
    let small = BaseRequest { image_size: Some(1 << 20), ..by_image.clone() };
    let none = BaseRequest { image_sha256: None, ..by_image };
    for (request, word, exit) in [
        (wrong, "image inside", Exit::Verification),
        (small, "unpacks to more than 1.0 MiB", Exit::Verification),
        (none, "no digest", Exit::Usage),
    ] {
        let bench = Bench::new();
        let error = bench.fetcher().base(&request).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(error.exit(), exit, "{error}");
        assert!(bench.files("bases").is_empty() && bench.files("downloads").is_empty());
    }
}

#[test]
fn what_cannot_be_unpacked_leaves_nothing() {
    let whole = packed(&image());
    for published in
        [whole[..whole.len() / 2].to_vec(), [&whole[..], b"x"].concat(), b"QFI\xfb\0".to_vec()]
    {
        let server = serving(&published);
        let bench = Bench::new();
        let error = bench.fetcher().base(&wanted(&server, &published)).unwrap_err();
        assert_ne!(error.exit(), Exit::Done);
        assert!(bench.files("bases").is_empty() && bench.files("downloads").is_empty(), "{error}");
    }
}

fn local(bench: &Bench, name: &str, bytes: &[u8]) -> PathBuf {
    let path = bench.dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn local_images_are_used_in_place_or_unpacked_once() {
    let image = image();
    let bench = Bench::new();
    let raw = local(&bench, "raw.img", &image);
    let base = bench.fetcher().local_base(&raw, None).unwrap();
    assert_eq!((base.path.as_path(), base.sha256), (raw.as_path(), None));
    let known = bench.fetcher().local_base(&raw, Some(Sha256::of(&image))).unwrap();
    assert_eq!((known.path, known.sha256), (raw.clone(), Some(Sha256::of(&image))));

    let xz = local(&bench, "packed.img", &packed(&image));
    let base = bench.fetcher().local_base(&xz, None).unwrap();
    assert_eq!(content(base), image);
    let said = bench.log.text();
    assert!(said.contains("Reading packed.img") && said.contains("Unpacking packed.img"), "{said}");
    let quiet = Bench { log: Default::default(), ..bench };
    quiet.fetcher().local_base(&xz, None).unwrap();
    assert_eq!(quiet.log.text(), "", "neither read nor unpacked again");
    local(&quiet, "packed.img", &packed(b"other content"));
    assert_eq!(content(quiet.fetcher().local_base(&xz, None).unwrap()), b"other content");
    for path in [&raw, &xz] {
        let error = quiet.fetcher().local_base(path, Some(Sha256::of(b"z"))).unwrap_err();
        assert_eq!(error.exit(), Exit::Verification, "{error}");
    }
}

#[test]
fn local_paths_that_are_no_image_are_refused() {
    let bench = Bench::new();
    let missing = bench.fetcher().local_base(Path::new("/nonexistent.img"), None).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
    let folder = bench.fetcher().local_base(bench.dir.path(), None).unwrap_err();
    assert_eq!(folder.exit(), Exit::Refused, "{folder}");
    let empty = local(&bench, "empty.img", b"");
    let qcow2 = local(&bench, "disk.qcow2", b"QFI\xfb\0\0\0\x03");
    for (path, hint) in [(&empty, "download"), (&qcow2, "qemu-img convert -O raw")] {
        let error = bench.fetcher().local_base(path, None).unwrap_err();
        assert!(error.hints().iter().any(|h| h.contains(hint)), "{error}: {:?}", error.hints());
    }
}

#[test]
fn pruning_and_verifying() {
    let published = packed(&image());
    let server = serving(&published);
    let bench = Bench::new();
    let base = bench.fetcher().base(&wanted(&server, &published)).unwrap();
    let listed = || bench.fetcher().cache().list().unwrap();
    assert!(bench.fetcher().verify(&listed()[0]).unwrap());
    rewrite(&base.path, |path| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(path, bytes).unwrap();
    });
    assert!(!bench.fetcher().verify(&listed()[0]).unwrap());
    assert!(listed().is_empty(), "what is damaged is gone");

    bench.fetcher().base(&wanted(&server, &published)).unwrap();
    std::fs::write(bench.dir.path().join("downloads/abc.part"), [1; 5000]).unwrap();
    std::fs::write(bench.dir.path().join("bases/def.img.tmp"), [1; 5000]).unwrap();
    let all = listed();
    assert_eq!(all.iter().filter(|e| e.kind.is_none()).count(), 2);
    let cache = bench.fetcher().cache().clone();
    assert!(all.iter().all(|entry| cache.remove(entry).unwrap()));
    assert!(listed().is_empty() && bench.files("bases").is_empty());
}

#[test]
fn a_web_page_saved_as_an_image_is_told() {
    let page = b"<!DOCTYPE html><html></html>".to_vec();
    let server = Server::start(move |_| Reply::new("200 OK", page.clone()));
    let request = wanted(&server, b"<!DOCTYPE html><html></html>");
    let error = Bench::new().fetcher().base(&request).unwrap_err();
    assert!(error.to_string().contains("a web page"), "{error}");
}
