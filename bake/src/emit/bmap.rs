//! Block maps, version 2.0 (bmap-tools, `BmapCreate.py`): which blocks of an image must be
//! written, with a sha256 of each range.

use std::fmt::Write as _;
use std::io::Write as _;

use sha2::{Digest, Sha256};

use super::Output;
use super::digest::MappedRange;
use crate::error::{IoContext, Result};

/// Bytes of a block.
pub(super) const BLOCK: u64 = 4096;

/// Stands in for the file's own checksum while that is computed.
const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Writes the block map of an image of `len` bytes.
pub(super) fn write(output: &Output, len: u64, ranges: &[MappedRange]) -> Result<()> {
    output.file().write_all(text(len, ranges).as_bytes()).at("writing", output.path())
}

/// The block map of an image of `len` bytes.
pub(super) fn text(len: u64, ranges: &[MappedRange]) -> String {
    let text = render(len, ranges, BLANK);
    let checksum = hex::encode(Sha256::digest(&text));
    text.replacen(BLANK, &checksum, 1)
}

fn render(len: u64, ranges: &[MappedRange], checksum: &str) -> String {
    let blocks = |r: &MappedRange| (r.range.end - r.range.start).div_ceil(BLOCK);
    let mapped: u64 = ranges.iter().map(blocks).sum();
    let count = len.div_ceil(BLOCK);
    let mut xml = format!(
        "<?xml version=\"1.0\" ?>\n\
         <bmap version=\"2.0\">\n\
         \x20   <ImageSize> {len} </ImageSize>\n\
         \x20   <BlockSize> {BLOCK} </BlockSize>\n\
         \x20   <BlocksCount> {count} </BlocksCount>\n\
         \x20   <MappedBlocksCount> {mapped} </MappedBlocksCount>\n\
         \x20   <ChecksumType> sha256 </ChecksumType>\n\
         \x20   <BmapFileChecksum> {checksum} </BmapFileChecksum>\n\
         \x20   <BlockMap>\n"
    );
    for mapped in ranges {
        let first = mapped.range.start / BLOCK;
        let last = first + blocks(mapped) - 1;
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        // Writing to a string cannot fail.
        let _ = writeln!(xml, "        <Range chksum=\"{}\"> {range} </Range>", mapped.sha256);
    }
    xml + "    </BlockMap>\n</bmap>\n"
}
