//! Raspberry Pi Imager's list of systems (`os_list_imagingutility_v4.json`), as catalogue entries.
//!
//! Fields as rpi-imager's own documentation and its `oslistmodel` read them; what is not needed
//! here is not looked at.

use std::collections::BTreeSet;

use serde::Deserialize;
use url::Url;

use super::{Entry, Packing, Trust};
use crate::arch::Arch;
use crate::error::{Error, Result};
use crate::io::digest::Sha256;

/// Depth of nested lists; the published one has three.
const MAX_DEPTH: usize = 16;

#[derive(Deserialize)]
struct List {
    os_list: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    name: String,
    url: Option<String>,
    release_date: Option<String>,
    extract_size: Option<u64>,
    extract_sha256: Option<String>,
    image_download_size: Option<u64>,
    image_download_sha256: Option<String>,
    architecture: Option<String>,
    #[serde(default)]
    devices: Vec<String>,
    #[serde(default)]
    subitems: Vec<Item>,
    subitems_url: Option<String>,
}

/// What a list gave.
#[derive(Debug, Default)]
pub struct Imported {
    /// The entries, in the list's order, each id once.
    pub entries: Vec<Entry>,
    /// Items left out, with the reason.
    pub skipped: Vec<String>,
}

/// Reads a list.
///
/// # Errors
/// [`Error::Corrupt`] where it is no such list; `what` names it.
pub fn import(what: &str, text: &str) -> Result<Imported> {
    let list: List = serde_json::from_str(text)
        .map_err(|e| Error::Corrupt { what: what.into(), reason: e.to_string() })?;
    let mut imported = Imported::default();
    let mut seen = BTreeSet::new();
    walk(list.os_list, 0, &mut imported, &mut seen);
    Ok(imported)
}

fn walk(items: Vec<Item>, depth: usize, out: &mut Imported, seen: &mut BTreeSet<String>) {
    for item in items {
        if let Some(url) = &item.subitems_url {
            out.skipped.push(format!("{}: a list of its own at {url}", item.name));
        }
        if item.url.is_some() {
            match entry(&item) {
                Ok(entry) if seen.insert(entry.id.clone()) => out.entries.push(entry),
                // The same image stands in several sublists, one for each kind of board.
                Ok(_) => {}
                Err(reason) => out.skipped.push(format!("{}: {reason}", item.name)),
            }
        }
        if depth < MAX_DEPTH {
            walk(item.subitems, depth + 1, out, seen);
        }
    }
}

fn entry(item: &Item) -> Result<Entry, String> {
    let text = item.url.as_deref().unwrap_or_default();
    let url = Url::parse(text).map_err(|e| format!("`{text}` is no URL: {e}"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("`{text}` is no HTTP(S) URL"));
    }
    let file = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default().to_owned();
    let (stem, format) = packing(&file).ok_or_else(|| format!("`{file}` is no image"))?;
    if stem.is_empty() {
        return Err(format!("`{file}` is no name of an image"));
    }
    let id = stem.replace(|c: char| !c.is_ascii_alphanumeric() && !"-._+".contains(c), "-");
    let sha256 = digest(item.image_download_sha256.as_deref())?;
    let image_sha256 = digest(item.extract_sha256.as_deref())?;
    if sha256.is_none() && image_sha256.is_none() {
        return Err("it has no digest".into());
    }
    let version = item.release_date.clone().filter(|d| d.bytes().any(|b| b.is_ascii_digit()));
    Ok(Entry {
        arch: architecture(item, &file).ok_or("its architecture cannot be told")?,
        series: None,
        os: system(&file).into(),
        release: release(&file).into(),
        version: version.unwrap_or_else(|| "0".into()),
        boards: boards(&item.devices),
        size: item.image_download_size.filter(|n| *n > 0),
        image_size: item.extract_size.filter(|n| *n > 0),
        trust: Trust::Confirmed,
        signature: None,
        notes: (!item.name.is_empty()).then(|| item.name.clone()),
        id,
        url,
        format,
        sha256,
        image_sha256,
    })
}

/// The list leaves digests it does not have out, or empty.
fn digest(text: Option<&str>) -> Result<Option<Sha256>, String> {
    text.filter(|t| !t.is_empty()).map(str::parse).transpose()
}

fn packing(file: &str) -> Option<(&str, Packing)> {
    const SUFFIXES: [(&str, Packing); 10] = [
        (".img.xz", Packing::Xz),
        (".img.gz", Packing::Gzip),
        (".img.zst", Packing::Zstd),
        (".img.zip", Packing::Zip),
        (".raw.xz", Packing::Xz),
        (".wic.xz", Packing::Xz),
        (".img", Packing::Raw),
        (".xz", Packing::Xz),
        (".gz", Packing::Gzip),
        (".zip", Packing::Zip),
    ];
    SUFFIXES.iter().find_map(|(suffix, format)| Some((file.strip_suffix(suffix)?, *format)))
}

fn architecture(item: &Item, file: &str) -> Option<Arch> {
    let named = [item.architecture.as_deref().unwrap_or_default(), file, &item.name];
    let says = |words: &[&str]| {
        named.iter().any(|text| words.iter().any(|word| text.to_ascii_lowercase().contains(word)))
    };
    if says(&["arm64", "aarch64", "armv8", "64-bit", "64bit"]) {
        return Some(Arch::Arm64);
    }
    if says(&["armhf", "armv7", "armv6", "32-bit", "32bit"]) {
        return Some(Arch::Armhf);
    }
    let all = |suffix| !item.devices.is_empty() && item.devices.iter().all(|d| d.ends_with(suffix));
    if all("-64bit") {
        Some(Arch::Arm64)
    } else if all("-32bit") {
        Some(Arch::Armhf)
    } else {
        None
    }
}

fn system(file: &str) -> &'static str {
    if file.contains("raspios") || file.contains("raspbian") {
        "raspios"
    } else if file.contains("ubuntu") {
        "ubuntu"
    } else {
        "other"
    }
}

fn release(file: &str) -> &'static str {
    const RELEASES: [(&str, &str); 12] = [
        ("buster", "buster"),
        ("bullseye", "bullseye"),
        ("bookworm", "bookworm"),
        ("trixie", "trixie"),
        ("ubuntu-20.04", "focal"),
        ("ubuntu-22.04", "jammy"),
        ("ubuntu-24.04", "noble"),
        ("ubuntu-26.04", "resolute"),
        ("focal", "focal"),
        ("jammy", "jammy"),
        ("noble", "noble"),
        ("resolute", "resolute"),
    ];
    RELEASES.iter().find(|(part, _)| file.contains(part)).map_or("unknown", |(_, name)| name)
}

/// `pi5-64bit` is the board pi5 with a 64-bit system.
fn boards(devices: &[String]) -> Vec<String> {
    let names = devices.iter().map(|d| d.trim_end_matches("-64bit").trim_end_matches("-32bit"));
    let names: BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the shape of the published list: nested, with an image twice, empty digests, a list
    /// elsewhere, and something that is no image.
    const LIST: &str = r#"{
      "imager": {"latest_version": "2.0.0", "devices": []},
      "os_list": [
        {"name": "Raspberry Pi OS (other)", "subitems": [
          {"name": "Raspberry Pi OS Lite (64-bit)",
           "url": "https://downloads.raspberrypi.com/raspios_lite_arm64/images/raspios_lite_arm64-2026-06-19/2026-06-18-raspios-trixie-arm64-lite.img.xz",
           "extract_size": 2977955840,
           "extract_sha256": "e235fd24fc5f039c08daba7d3abc04aecc7313f979d16d2a3fdad29dd44c33a9",
           "image_download_size": 524875608, "image_download_sha256": "",
           "release_date": "2026-06-18", "init_format": "cloudinit-rpi",
           "devices": ["pi5-64bit", "pi4-64bit", "pi3-64bit"]}]},
        {"name": "Ubuntu", "subitems": [{"name": "LTS", "subitems": [
          {"name": "Ubuntu Server 24.04.4 LTS",
           "url": "https://cdimage.ubuntu.com/releases/24.04/release/ubuntu-24.04.4-preinstalled-server-arm64+raspi.img.xz",
           "image_download_size": 1257196128,
           "image_download_sha256": "790652faeb4f61ce7bb12f5cb61734595c61d3cd882915b8b5f9918106c80d37",
           "release_date": "2026-02-12", "devices": ["pi5-64bit"]}]}]},
        {"name": "Again", "url": "https://downloads.raspberrypi.com/raspios_lite_arm64/images/raspios_lite_arm64-2026-06-19/2026-06-18-raspios-trixie-arm64-lite.img.xz",
         "extract_sha256": "e235fd24fc5f039c08daba7d3abc04aecc7313f979d16d2a3fdad29dd44c33a9"},
        {"name": "Others", "subitems_url": "https://example.org/list.json"},
        {"name": "Erase", "url": "internal://format"},
        {"name": "Nameless", "url": "https://example.org/arm64/.img.xz", "devices": ["pi5-64bit"],
         "extract_sha256": "e235fd24fc5f039c08daba7d3abc04aecc7313f979d16d2a3fdad29dd44c33a9"},
        {"name": "Digestless", "url": "https://example.org/a-arm64.img.xz"}
      ]}"#;

    #[test]
    fn nested_lists_become_entries() {
        let imported = import("list", LIST).unwrap();
        let ids: Vec<_> = imported.entries.iter().map(|e| e.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "2026-06-18-raspios-trixie-arm64-lite",
                "ubuntu-24.04.4-preinstalled-server-arm64+raspi"
            ]
        );
        let pi = &imported.entries[0];
        assert_eq!(
            (pi.os.as_str(), pi.release.as_str(), pi.arch),
            ("raspios", "trixie", Arch::Arm64)
        );
        assert_eq!((pi.sha256, pi.image_size), (None, Some(2_977_955_840)));
        assert_eq!(pi.boards, ["pi3", "pi4", "pi5"]);
        assert_eq!(imported.entries[1].release, "noble");
        assert_eq!(imported.skipped.len(), 4, "{:?}", imported.skipped);
        let text = super::super::render(&imported.entries).unwrap();
        assert_eq!(super::super::parse("again", &text).unwrap(), imported.entries, "{text}");
    }

    #[test]
    fn what_is_no_list_is_told() {
        for text in ["", "[]", "{}", r#"{"os_list": 1}"#, "<html>"] {
            assert!(import("list", text).is_err(), "{text}");
        }
    }
}
