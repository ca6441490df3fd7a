use std::io::Write;

use liblzma::stream::{Check, MtStreamBuilder, Stream};
use proptest::prelude::*;

use super::*;

fn limits() -> Limits {
    Limits { output: 8 << 20, memory: 128 << 20, threads: 2 }
}

/// Text with structure, some zeros and some noise, so that every coder has something to do.
fn image() -> Vec<u8> {
    let mut state = 1_u32;
    let mut data: Vec<u8> = (0..300_000_u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    data.resize(2 << 20, 0);
    data.extend((0..200_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    data
}

fn xz(data: &[u8]) -> Vec<u8> {
    xz_with(data, Stream::new_easy_encoder(0, Check::Crc64).unwrap())
}

fn xz_blocks(data: &[u8]) -> Vec<u8> {
    let mut builder = MtStreamBuilder::new();
    builder.threads(2).block_size(1 << 18).preset(0).check(Check::Crc64);
    xz_with(data, builder.encoder().unwrap())
}

fn xz_with(data: &[u8], stream: Stream) -> Vec<u8> {
    let mut writer = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut writer = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    writer.include_checksum(true).unwrap();
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

fn zip_of(files: &[(&str, &[u8])], method: ::zip::CompressionMethod) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, data) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(data).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn zip(data: &[u8]) -> Vec<u8> {
    zip_of(&[("2021-05-07-raspios.img", data)], ::zip::CompressionMethod::Deflated)
}

/// Every way to pack the image, by name.
fn packed(data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let stored = zip_of(&[("a.img", data)], ::zip::CompressionMethod::Stored);
    vec![
        ("xz", xz(data)),
        ("xz of several blocks", xz_blocks(data)),
        ("gzip", gzip(data)),
        ("zstd", zstd(data)),
        ("zip", zip(data)),
        ("zip, stored", stored),
    ]
}

fn fault(input: &[u8]) -> DecodeFault {
    let error = decompress(input, limits()).unwrap_err();
    error.get_ref().and_then(|e| e.downcast_ref::<DecodeFault>()).expect("a fault").clone()
}

#[test]
fn every_format_gives_the_image_back() {
    let data = image();
    for (name, input) in packed(&data) {
        assert_eq!(decompress(&input, limits()).unwrap(), data, "{name}");
    }
    assert_eq!(decompress(&data, limits()).unwrap(), data, "raw");
}

#[test]
fn streams_members_and_frames_may_follow_each_other() {
    let data = image();
    let (head, tail) = data.split_at(data.len() / 3);
    for pack in [xz, xz_blocks, gzip, zstd] {
        let joined = [pack(head), pack(tail)].concat();
        assert_eq!(decompress(&joined, limits()).unwrap(), data);
    }
    let padded = [xz(head), vec![0; 8], xz(tail), vec![0; 4]].concat();
    assert_eq!(decompress(&padded, limits()).unwrap(), data, "stream padding");
    let skippable = [&b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"[..], &zstd(&data)].concat();
    assert_eq!(decompress(&skippable, limits()).unwrap(), data, "a skippable frame");
}

#[test]
fn truncation_is_told() {
    let data = image();
    for (name, input) in packed(&data) {
        for cut in [1, 2, 9, input.len() / 2, input.len() - 30] {
            let error = decompress(&input[..input.len() - cut], limits());
            assert!(error.is_err(), "{name} without its last {cut} bytes");
        }
    }
    for pack in [xz, xz_blocks, gzip, zstd] {
        let input = pack(&data);
        assert_eq!(fault(&input[..input.len() - 1]), DecodeFault::Truncated);
        assert_eq!(fault(&input[..input.len() / 2]), DecodeFault::Truncated);
    }
}

#[test]
fn trailing_bytes_are_told() {
    let data = image();
    for (name, input) in packed(&data) {
        for garbage in [&b"x"[..], b"<html>", &[0xff; 5000]] {
            let fault = fault(&[&input[..], garbage].concat());
            assert_eq!(fault, DecodeFault::Trailing, "{name} and {} bytes", garbage.len());
        }
    }
    assert_eq!(fault(&[xz(&data), vec![0; 3]].concat()), DecodeFault::Trailing, "odd padding");
}

#[test]
fn flipped_bits_are_found() {
    let data = image();
    for (name, input) in packed(&data) {
        for at in (20..input.len()).step_by(input.len() / 50) {
            let mut damaged = input.clone();
            damaged[at] ^= 0x10;
            if let Ok(output) = decompress(&damaged, limits()) {
                assert!(output == data, "{name}: a flipped bit at {at} changed the image unseen");
            }
        }
    }
}

#[test]
fn output_is_bounded() {
    let data = image();
    let exact = Limits { output: data.len() as u64, ..limits() };
    let short = Limits { output: data.len() as u64 - 1, ..limits() };
    for (name, input) in packed(&data) {
        assert_eq!(decompress(&input, exact).unwrap().len(), data.len(), "{name}");
        let error = decompress(&input, short).unwrap_err();
        assert!(error.to_string().contains("unpacks to more than"), "{name}: {error}");
    }
}

#[test]
fn memory_is_bounded() {
    let tight = Limits { memory: 4 << 20, ..limits() };
    let stream = Stream::new_easy_encoder(6, Check::Crc64).unwrap();
    let error = decompress(&xz_with(&image(), stream), tight).unwrap_err();
    assert!(error.to_string().contains("of memory"), "{error}");
    let mut writer = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    writer.window_log(27).unwrap();
    writer.write_all(&image()).unwrap();
    let error = decompress(&writer.finish().unwrap(), tight).unwrap_err();
    assert!(error.to_string().contains("of memory"), "{error}");
}

#[test]
fn an_archive_must_hold_one_file() {
    let two = zip_of(&[("a.img", b"a"), ("b.txt", b"b")], ::zip::CompressionMethod::Stored);
    let text = fault(&two).to_string();
    assert!(text.contains("2 files") && text.contains("a.img, b.txt"), "{text}");
    let none = zip_of(&[], ::zip::CompressionMethod::Stored);
    assert!(fault(&none).to_string().contains("0 files"));
}

#[test]
fn other_formats_are_refused_by_name() {
    for (head, name) in [
        (&b"QFI\xfb\0\0\0\x03"[..], "a qcow2 disk"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"BZh91AY", "bzip2 data"),
        (b"\n<!DOCTYPE HTML>", "a web page"),
        (b"", "an empty file"),
    ] {
        let text = fault(head).to_string();
        assert!(text.contains(name), "{text}");
    }
    let error = into_error(
        decompress(b"QFI\xfb", limits()).unwrap_err(),
        "debian.qcow2",
        std::path::Path::new("debian.qcow2"),
    );
    assert_eq!(error.to_string(), "debian.qcow2 is not supported: a qcow2 disk");
    assert!(error.hints()[0].contains("qemu-img convert -O raw"), "{:?}", error.hints());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Mutated archives end in an image or in an error, never in a panic, a hang, or more output
    /// than allowed.
    #[test]
    fn hostile_input_ends(
        pick in 0_usize..6,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
    ) {
        let data: Vec<u8> = (0..6000_u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        let (_, mut input) = packed(&data).swap_remove(pick);
        for (at, byte) in edits {
            let at = at.index(input.len());
            input[at] = byte;
        }
        if shorten {
            input.truncate(cut.index(input.len()));
        }
        let limits = Limits { output: 1 << 20, memory: 64 << 20, threads: 2 };
        if let Ok(output) = decompress(&input, limits) {
            prop_assert!(output.len() <= 1 << 20);
        }
    }
}
