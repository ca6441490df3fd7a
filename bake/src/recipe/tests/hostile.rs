//! Images that are broken, foreign or made to hurt.

use super::fixtures::{put, release, system};
use super::plans::{SINGLE, plan};
use super::{Traits, materials, recipe, text};
use crate::error::Error;
use crate::fs::Attributes;
use crate::fs::root::Root;
use crate::recipe::apply::{Applied, apply};

const FILE: Attributes = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: 1 };

fn refusal(root: &Root) -> String {
    match Traits::detect(root) {
        Err(error @ Error::Unsupported { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

fn attempt(root: &mut Root) -> Result<(), Error> {
    let plan = plan(SINGLE, "node1", &[]);
    let recipe = recipe(&Traits::detect(root)?, &plan, &materials(&plan), 1)?;
    apply(root, &recipe.edits, 1, &Applied::default()).map(|_| ())
}

#[test]
fn foreign_images_are_refused_with_what_was_seen() {
    let mut seen = vec![refusal(&system(&["dir /windows\ndir /users"]))];
    let fedora =
        "file /etc/os-release 0644\n| ID=fedora\n| VERSION_ID=44\n| PRETTY_NAME=\"Fedora 44\"";
    seen.push(refusal(&system(&[fedora])));
    let old =
        "file /etc/os-release 0644\n| ID=debian\n| VERSION_ID=\"9\"\n| PRETTY_NAME=\"Debian 9\"";
    seen.push(refusal(&system(&[old])));
    let container =
        "file /etc/os-release 0644\n| ID=debian\n| VERSION_ID=\"12\"\n| PRETTY_NAME=\"Debian 12\"";
    seen.push(refusal(&system(&[container])));
    let mut root = release("bookworm");
    put(
        &mut root,
        "/usr/bin/sh",
        b"#!/bin/true, no ELF file at all, but long enough".to_vec(),
        FILE,
    );
    seen.push(refusal(&root));
    let mut root = release("noble");
    put(&mut root, "/etc/fstab", b"LABEL=a /boot vfat\n".to_vec(), FILE);
    seen.push(refusal(&root));
    insta::assert_snapshot!("refusals", seen.join("\n"));
}

#[test]
fn loops_of_links_end_with_an_error() {
    let mut root = release("bookworm");
    root.symlink(b"/etc/hosts", b"/etc/hosts2", FILE).unwrap();
    root.symlink(b"/etc/hosts2", b"hosts", FILE).unwrap();
    let error = attempt(&mut root).unwrap_err();
    assert_eq!(error.exit(), crate::error::Exit::Verification, "{error:?}");
    let mut root = release("bookworm");
    root.symlink(b"/etc/rancher", b"/etc/rancher", FILE).unwrap();
    attempt(&mut root).unwrap_err();
}

#[test]
fn links_lead_only_inside_the_image() {
    let mut root = release("bookworm");
    let hosts = text(&root, "/etc/hosts");
    put(&mut root, "/shared/hosts", hosts.into_bytes(), FILE);
    root.symlink(b"/etc/hosts", b"../../../../shared/hosts", FILE).unwrap();
    attempt(&mut root).unwrap();
    assert!(text(&root, "/shared/hosts").contains("127.0.1.1\t\tnode1\n"));
}

#[test]
fn files_of_bytes_that_are_no_text_keep_them() {
    let mut root = release("bookworm");
    let passwd = b"root:x:0:0:r\xf6\xf6t:/root:/bin/bash\n\xff\xfe broken line\n".to_vec();
    put(&mut root, "/etc/passwd", passwd.clone(), FILE);
    attempt(&mut root).unwrap();
    let now = root.read(b"/etc/passwd", 1 << 16).unwrap().unwrap();
    assert!(now.starts_with(&passwd));
    assert!(now.ends_with(b":/home/ops:/bin/bash\n"));
}

#[test]
fn huge_files_are_not_read() {
    let mut root = release("bookworm");
    put(&mut root, "/etc/fstab", vec![b'#'; 5 << 20], FILE);
    let error = attempt(&mut root).unwrap_err();
    assert_eq!(error.exit(), crate::error::Exit::Failed, "{error:?}");
}

#[test]
fn a_directory_in_the_way_is_named() {
    let mut root = release("bookworm");
    root.mkdir_all(b"/usr/local/bin/k3s/x", FILE).unwrap();
    let error = attempt(&mut root).unwrap_err();
    assert!(format!("{error:?}").contains("/usr/local/bin/k3s"), "{error:?}");
}

#[test]
fn a_time_zone_the_image_lacks_is_the_profiles_fault() {
    let mut root = release("bookworm");
    root.remove_file(b"/usr/share/zoneinfo/Europe/Berlin").unwrap();
    assert_eq!(attempt(&mut root).unwrap_err().exit(), crate::error::Exit::Usage);
}
