//! The list for Raspberry Pi Imager, against Imager's own schema.

use bake::arch::Arch;
use bake::job::release::os_list::{Listed, OsList};
use serde_json::Value;

fn listed(profile: &str, role: &str, arch: Arch) -> Listed {
    Listed {
        profile: profile.into(),
        role: role.into(),
        arch,
        os: "Debian GNU/Linux 12 (bookworm)".into(),
        file: format!("bake-{profile}-{role}-{arch}.img.xz"),
        bytes: 1234,
        sha256: "ab".repeat(32),
        image_bytes: 5_000_000_000,
        image_sha256: "cd".repeat(32),
        time: 1_750_000_000,
    }
}

fn list(images: &[Listed]) -> Value {
    serde_json::from_str(&OsList::new(images, "https://example.org/v1/").to_json()).unwrap()
}

/// Whether Imager's schema takes it. An image must fit the form of an image and a folder that of
/// a folder: `anyOf` alone would also take an image whose fields are missing for a folder.
pub fn complaints(list: &Value) -> Option<String> {
    let schema: Value = serde_json::from_str(include_str!("os-list-schema.json")).unwrap();
    let mut compiler = boon::Compiler::new();
    let mut schemas = boon::Schemas::new();
    // Its `$id`s repeat each other's addresses, which boon takes for faults of the schema.
    let schema = without_ids(schema);
    let forms = &schema["properties"]["os_list"]["items"]["anyOf"];
    compiler.add_resource("all.json", schema.clone()).unwrap();
    compiler.add_resource("image.json", forms[0].clone()).unwrap();
    let all = compiler.compile("all.json", &mut schemas).unwrap();
    let image = compiler.compile("image.json", &mut schemas).unwrap();
    if let Err(error) = schemas.validate(list, all) {
        return Some(format!("{error:#}"));
    }
    let mut todo: Vec<&Value> = list["os_list"].as_array().unwrap().iter().collect();
    while let Some(entry) = todo.pop() {
        match entry.get("subitems").and_then(Value::as_array) {
            Some(inner) => todo.extend(inner),
            None => {
                if let Err(error) = schemas.validate(entry, image) {
                    return Some(format!("{error:#}"));
                }
            }
        }
    }
    None
}

fn without_ids(schema: Value) -> Value {
    match schema {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, value)| key != "$id" || !value.is_string());
            Value::Object(kept.map(|(key, value)| (key, without_ids(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_ids).collect(),
        other => other,
    }
}

#[test]
fn imager_takes_it() {
    let images = [
        listed("master3", "server", Arch::Arm64),
        listed("master3", "agent", Arch::Arm64),
        listed("single", "server", Arch::Armhf),
        listed("single", "server", Arch::Amd64),
    ];
    let list = list(&images);
    assert_eq!(complaints(&list), None);
    let entries = list["os_list"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["subitems"].as_array().unwrap().len(), 2);
    assert_eq!(
        entries[0]["subitems"][1]["url"],
        "https://example.org/v1/bake-master3-agent-arm64.img.xz"
    );
    assert_eq!(entries[1]["extract_size"], 5_000_000_000_u64);
    assert_eq!(entries[1]["extract_sha256"], "cd".repeat(32));
    assert_eq!(entries[1]["image_download_sha256"], "ab".repeat(32));
    assert_eq!(entries[1]["devices"][3], "pi2-32bit");
    assert_eq!(entries[1]["release_date"], "2025-06-15");
    assert_eq!(
        entries[1]["bmap_url"],
        "https://example.org/v1/bake-single-server-armhf.img.xz.bmap"
    );
    assert!(!list.to_string().contains("amd64"), "no Raspberry Pi boots it");
    // Our own reader of such lists finds what is in it.
    let text = list.to_string();
    let ids: Vec<String> = bake::catalogue::imager::import("it", &text)
        .unwrap()
        .entries
        .into_iter()
        .map(|entry| entry.id)
        .collect();
    assert_eq!(
        ids,
        ["bake-master3-server-arm64", "bake-master3-agent-arm64", "bake-single-server-armhf"]
    );
}

#[test]
fn what_imager_would_not_take_is_found() {
    for (field, value) in [
        ("extract_size", Value::from("many")),
        ("init_format", Value::from("own")),
        ("devices", Value::Null),
        ("url", Value::Null),
    ] {
        let mut list = list(&[listed("single", "server", Arch::Arm64)]);
        match value {
            Value::Null => drop(list["os_list"][0].as_object_mut().unwrap().remove(field)),
            value => list["os_list"][0][field] = value,
        }
        assert!(complaints(&list).is_some(), "{field}");
    }
}
