//! Recognising a file by its magic bytes.

use std::fmt;

/// How many bytes from the start [`detect`] wants to see: POSIX tar has its magic at 257.
pub const HEAD_LEN: usize = 512;

/// What a file is, as far as unpacking it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Not compressed, as far as can be seen.
    Raw,
    /// `.xz` (XZ file format 1.2, 2.1.1.1).
    Xz,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878), skippable frames included.
    Zstd,
    /// ZIP (PKWARE APPNOTE 4.3.7).
    Zip,
    /// Something recognised that is no base image as it is.
    Refused(Refused),
}

/// Recognised, and not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// QEMU's copy-on-write disk (qemu docs/interop/qcow2.rst).
    Qcow2,
    /// VMware disk.
    Vmdk,
    /// Hyper-V disk.
    Vhdx,
    /// 7-Zip archive.
    SevenZip,
    /// bzip2 stream.
    Bzip2,
    /// tar archive.
    Tar,
    /// Android sparse image.
    AndroidSparse,
    /// A web page: an error page or a captive portal saved as a file.
    Html,
    /// No bytes at all.
    Empty,
}

impl Refused {
    /// What the user can do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Qcow2 => "convert it with `qemu-img convert -O raw IN.qcow2 OUT.img`",
            Self::Vmdk => "convert it with `qemu-img convert -f vmdk -O raw IN.vmdk OUT.img`",
            Self::Vhdx => "convert it with `qemu-img convert -f vhdx -O raw IN.vhdx OUT.img`",
            Self::SevenZip => "unpack it with `7z x` and give the image inside",
            Self::Bzip2 => "unpack it with `bunzip2` and give the image",
            Self::Tar => "unpack it with `tar -xf` and give the image inside",
            Self::AndroidSparse => "convert it with `simg2img IN OUT.img`",
            Self::Html => "download the image again; a proxy or an error page answered instead",
            Self::Empty => "download the image again",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qcow2 => "a qcow2 disk",
            Self::Vmdk => "a VMDK disk",
            Self::Vhdx => "a VHDX disk",
            Self::SevenZip => "a 7z archive",
            Self::Bzip2 => "bzip2 data",
            Self::Tar => "a tar archive",
            Self::AndroidSparse => "an Android sparse image",
            Self::Html => "a web page",
            Self::Empty => "an empty file",
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("raw"),
            Self::Xz => f.write_str("xz"),
            Self::Gzip => f.write_str("gzip"),
            Self::Zstd => f.write_str("zstd"),
            Self::Zip => f.write_str("zip"),
            Self::Refused(kind) => kind.fmt(f),
        }
    }
}

/// Recognises a file by its first [`HEAD_LEN`] bytes (fewer only where the file is shorter).
#[must_use]
pub fn detect(head: &[u8]) -> Format {
    const MAGIC: &[(&[u8], Format)] = &[
        (b"\xfd7zXZ\0", Format::Xz),
        (b"\x1f\x8b", Format::Gzip),
        (b"\x28\xb5\x2f\xfd", Format::Zstd),
        (b"PK\x03\x04", Format::Zip),
        (b"PK\x05\x06", Format::Zip),
        (b"QFI\xfb", Format::Refused(Refused::Qcow2)),
        (b"KDMV", Format::Refused(Refused::Vmdk)),
        (b"vhdxfile", Format::Refused(Refused::Vhdx)),
        (b"7z\xbc\xaf\x27\x1c", Format::Refused(Refused::SevenZip)),
        (b"BZh", Format::Refused(Refused::Bzip2)),
        (b"\x3a\xff\x26\xed", Format::Refused(Refused::AndroidSparse)),
    ];
    if head.is_empty() {
        return Format::Refused(Refused::Empty);
    }
    if let Some((_, format)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return *format;
    }
    if is_skippable_zstd(head) {
        return Format::Zstd;
    }
    if head.get(257..262) == Some(b"ustar") {
        return Format::Refused(Refused::Tar);
    }
    if is_html(head) {
        return Format::Refused(Refused::Html);
    }
    Format::Raw
}

/// A skippable frame: magic 0x184D2A50 to 0x184D2A5F, little-endian (RFC 8878, 3.1.2).
fn is_skippable_zstd(head: &[u8]) -> bool {
    matches!(head, [first, 0x2a, 0x4d, 0x18, ..] if first & 0xf0 == 0x50)
}

fn is_html(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    [&b"<!doctype html"[..], b"<html"]
        .iter()
        .any(|tag| text.get(..tag.len()).is_some_and(|t| t.eq_ignore_ascii_case(tag)))
}
