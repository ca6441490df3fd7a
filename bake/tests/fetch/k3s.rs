use std::path::PathBuf;

use bake::arch::Arch;
use bake::error::Exit;
use bake::fetch::{Options, k3s};
use bake::io::digest::Sha256;

use super::server::{Reply, Server, file};
use super::{Bench, data};

const VERSION: &str = "v1.36.5+k3s1";
const FOLDER: &str = "/k3s-io/k3s/releases/download/v1.36.5%2Bk3s1";

/// An ELF header of a program for `arch`, and some more.
fn program(arch: Arch) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', arch.elf_class(), 1, 1];
    bytes.resize(16, 0);
    bytes.extend([2, 0]);
    bytes.extend(arch.elf_machine().to_le_bytes());
    bytes.extend(data(10_000));
    bytes
}

/// A mirror with a release of three programs and one bundle.
fn release() -> Server {
    Server::start(|r| {
        let path = r.path.strip_prefix(FOLDER).unwrap_or_default();
        let line = |name: &str, bytes: &[u8]| format!("{}  {name}\n", Sha256::of(bytes));
        match path {
            "/sha256sum-arm64.txt" => Reply::new(
                "200 OK",
                line("k3s-airgap-images-arm64.tar.gz", b"\x1f\x8bbundle")
                    + &line("k3s-arm64", &program(Arch::Arm64)),
            ),
            "/sha256sum-arm.txt" => Reply::new("200 OK", line("k3s-armhf", &program(Arch::Armhf))),
            // A release whose amd64 program is one for another machine.
            "/sha256sum-amd64.txt" => Reply::new("200 OK", line("k3s", &program(Arch::Arm64))),
            "/k3s-arm64" | "/k3s" => file(r, &program(Arch::Arm64), "\"1\""),
            "/k3s-armhf" => file(r, &program(Arch::Armhf), "\"1\""),
            "/k3s-airgap-images-arm64.tar.gz" => file(r, b"\x1f\x8bbundle", "\"1\""),
            _ => Reply::new("404 Not Found", ""),
        }
    })
}

fn mirrored(server: &Server) -> Bench {
    let mut bench = Bench::new();
    bench.options.mirror = Some(Options::parse_mirror(server.url("/").as_str()).unwrap());
    bench
}

#[test]
fn a_program_is_what_its_release_says() {
    let server = release();
    let bench = mirrored(&server);
    for (arch, sums) in [(Arch::Arm64, "arm64"), (Arch::Armhf, "arm")] {
        let found = k3s::binary(&bench.fetcher(), VERSION, arch, None).unwrap();
        assert_eq!(found.sha256(), Sha256::of(&program(arch)));
        let asked = server.requests();
        assert!(asked.iter().any(|r| r.path == format!("{FOLDER}/sha256sum-{sums}.txt")));
    }
    let before = server.requests().len();
    k3s::binary(&bench.fetcher(), VERSION, Arch::Arm64, None).unwrap();
    assert_eq!(server.requests().len(), before, "the second time nobody is asked");
    let mut offline = bench;
    offline.options.offline = true;
    k3s::binary(&offline.fetcher(), VERSION, Arch::Armhf, None).unwrap();
    assert!(offline.log.text().contains("plain HTTP"), "an unpinned list over HTTP is told");
}

#[test]
fn a_pin_goes_before_the_list() {
    let server = release();
    let bench = mirrored(&server);
    let pin = Sha256::of(&program(Arch::Arm64));
    k3s::binary(&bench.fetcher(), VERSION, Arch::Arm64, Some(pin)).unwrap();
    assert_eq!(server.requests().len(), 1, "no list is needed");
    let other = Sha256::of(b"other");
    let error = k3s::binary(&bench.fetcher(), VERSION, Arch::Arm64, Some(other)).unwrap_err();
    assert_eq!(error.exit(), Exit::Verification);
    assert!(error.to_string().contains(&pin.to_string()), "the digest seen is told: {error}");
}

#[test]
fn what_cannot_run_on_the_node_is_refused() {
    let server = release();
    let error = k3s::binary(&mirrored(&server).fetcher(), VERSION, Arch::Amd64, None).unwrap_err();
    assert!(error.to_string().contains("a program for arm64, and the node is amd64"), "{error}");
}

#[test]
fn a_bundle_falls_back_to_gzip() {
    let server = release();
    let bench = mirrored(&server);
    let (name, found) = k3s::images(&bench.fetcher(), VERSION, Arch::Arm64, |_| None).unwrap();
    assert_eq!((name.as_str(), found.len()), ("k3s-airgap-images-arm64.tar.gz", 8));
    let error = k3s::images(&bench.fetcher(), VERSION, Arch::Armhf, |_| None).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage, "{error}");
}

#[test]
fn a_release_that_is_not_there_is_told() {
    let server = release();
    let bench = mirrored(&server);
    let error = k3s::binary(&bench.fetcher(), "v9.9.9+k3s1", Arch::Arm64, None).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    let error = k3s::binary(&bench.fetcher(), "9.9", Arch::Arm64, None).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage, "{error}");
}

fn local(bench: &Bench, name: &str, bytes: &[u8]) -> PathBuf {
    let path = bench.dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_local_program_is_looked_at() {
    let bench = Bench::new();
    let good = local(&bench, "k3s", &program(Arch::Armhf));
    let wanted = |pin| k3s::Local { path: &good, arch: Arch::Armhf, pin };
    let found = k3s::local_binary(wanted(None), &bench.log).unwrap();
    assert_eq!(found.sha256(), Sha256::of(&program(Arch::Armhf)));
    let error = k3s::local_binary(wanted(Some(Sha256::of(b"x"))), &bench.log).unwrap_err();
    assert!(error.to_string().contains("the profile pins"), "{error}");
    let error =
        k3s::local_binary(k3s::Local { path: &good, arch: Arch::Arm64, pin: None }, &bench.log);
    assert_eq!(error.unwrap_err().exit(), Exit::Verification);
    assert_eq!(bench.log.text(), "");

    let script = local(&bench, "stand-in", b"#!/bin/sh\nexit 0\n");
    k3s::local_binary(k3s::Local { path: &script, arch: Arch::Arm64, pin: None }, &bench.log)
        .unwrap();
    assert!(bench.log.text().contains("is a script, not K3s"), "{}", bench.log.text());
    let text = local(&bench, "README", b"hello");
    let error =
        k3s::local_binary(k3s::Local { path: &text, arch: Arch::Arm64, pin: None }, &bench.log);
    assert!(error.unwrap_err().to_string().contains("no program"));
}

#[test]
fn a_local_bundle_gets_the_name_k3s_goes_by() {
    let bench = Bench::new();
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, name) in [
        (&b"\x28\xb5\x2f\xfdx"[..], "k3s-airgap-images-arm.tar.zst"),
        (b"\x1f\x8bx", "k3s-airgap-images-arm.tar.gz"),
        (&tar, "k3s-airgap-images-arm.tar"),
    ] {
        let path = local(&bench, "bundle", bytes);
        assert_eq!(k3s::local_images(&path, Arch::Armhf).unwrap().0, name);
    }
    let path = local(&bench, "bundle", b"hello");
    assert!(k3s::local_images(&path, Arch::Armhf).is_err());
}
