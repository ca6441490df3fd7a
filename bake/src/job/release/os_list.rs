//! The list that Raspberry Pi Imager reads (`os_list`, and the same as `.rpi-imager-manifest`).
//!
//! Fields as rpi-imager's `doc/json-schema/os-list-schema.json` has them; a test holds the list
//! against that file.

use serde::Serialize;

use crate::arch::Arch;

/// A picture that Imager brings along.
const ICON: &str = "icons/cat_other_specific_purpose_operating_systems.png";

/// The list.
#[derive(Debug, Clone, Serialize)]
pub struct OsList {
    os_list: Vec<Entry>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Entry {
    Image(Box<Image>),
    Folder { name: String, description: String, icon: &'static str, subitems: Vec<Image> },
}

/// An image that Imager can write.
#[derive(Debug, Clone, Serialize)]
struct Image {
    name: String,
    description: String,
    icon: &'static str,
    url: String,
    extract_size: u64,
    extract_sha256: String,
    image_download_size: u64,
    image_download_sha256: String,
    release_date: String,
    /// Imager's customisation would compete with the node's configuration.
    init_format: &'static str,
    devices: &'static [&'static str],
    architecture: &'static str,
    bmap_url: String,
    website: &'static str,
}

/// What a list says of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The profile it belongs to.
    pub profile: String,
    /// Its role.
    pub role: String,
    /// What it runs on.
    pub arch: Arch,
    /// What its base said it is.
    pub os: String,
    /// Name of the compressed file.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Length of the image in it.
    pub image_bytes: u64,
    /// SHA-256 of that.
    pub image_sha256: String,
    /// Time of the bake, seconds since 1970-01-01 UTC.
    pub time: i64,
}

impl OsList {
    /// Lists `images`, found below `url`; a profile with several of them gets a list of its own.
    /// Images that no Raspberry Pi boots are left out.
    #[must_use]
    pub fn new(images: &[Listed], url: &str) -> Self {
        let mut profiles: Vec<(&str, Vec<Image>)> = Vec::new();
        for listed in images {
            let Some(image) = image(listed, url) else { continue };
            match profiles.iter_mut().find(|(name, _)| *name == listed.profile) {
                Some((_, images)) => images.push(image),
                None => profiles.push((&listed.profile, vec![image])),
            }
        }
        let entry = |(profile, mut images): (&str, Vec<Image>)| match images.pop() {
            Some(only) if images.is_empty() => Entry::Image(Box::new(only)),
            last => Entry::Folder {
                name: format!("K3s: {profile}"),
                description: format!("Nodes of the profile {profile}, by role"),
                icon: ICON,
                subitems: images.into_iter().chain(last).collect(),
            },
        };
        Self { os_list: profiles.into_iter().map(entry).collect() }
    }

    /// Its text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Its keys are strings and it holds no floats, so it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn image(listed: &Listed, url: &str) -> Option<Image> {
    let (devices, architecture): (&[&str], _) = match listed.arch {
        Arch::Arm64 => (&["pi5-64bit", "pi4-64bit", "pi3-64bit"], "armv8"),
        Arch::Armhf => (&["pi5-32bit", "pi4-32bit", "pi3-32bit", "pi2-32bit"], "armhf"),
        Arch::Amd64 => return None,
    };
    let time = jiff::Timestamp::from_second(listed.time).unwrap_or_default();
    let at = |file: &str| format!("{}/{file}", url.trim_end_matches('/'));
    Some(Image {
        name: format!("K3s {}: {} ({architecture})", listed.role, listed.profile),
        description: format!(
            "{}; becomes a node with `bake personalise` or `bake flash`",
            listed.os
        ),
        icon: ICON,
        url: at(&listed.file),
        extract_size: listed.image_bytes,
        extract_sha256: listed.image_sha256.clone(),
        image_download_size: listed.bytes,
        image_download_sha256: listed.sha256.clone(),
        release_date: time.strftime("%Y-%m-%d").to_string(),
        init_format: "none",
        devices,
        architecture,
        bmap_url: at(&format!("{}.bmap", listed.file)),
        website: env!("CARGO_PKG_REPOSITORY"),
    })
}
