use bake::profile::{SHIPPED, schema};
use serde_json::{Value, json};

use super::{GOOD, read};

/// An independent reader of YAML and an independent judge of JSON Schema.
fn judge(text: &str) -> Result<(), String> {
    let instance: Value = serde_saphyr::from_str(text).unwrap();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("profile.json", schema().clone()).unwrap();
    // Compiling checks the schema against the meta-schema it names.
    let index = compiler.compile("profile.json", &mut schemas).unwrap();
    schemas.validate(&instance, index).map_err(|e| e.to_string())
}

#[test]
fn shipped_profiles_fit_the_schema() {
    for (name, text) in SHIPPED.iter().copied().chain([("good", GOOD)]) {
        assert_eq!(judge(text), Ok(()), "{name}");
    }
}

/// Where the structure is wrong, the schema and the parser agree that it is.
#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    for (from, to) in [
        ("version: 1", "version: 2"),
        ("version: 1\n", ""),
        ("name: edge", "nam: edge"),
        ("topology: embedded-etcd", "topology: etcd"),
        ("vip: {address: 192.168.24.40}", "vip: {}"),
        ("vip: {address: 192.168.24.40}", "vip: {address: 5}"),
        ("vip: {address: 192.168.24.40}", "vip: {address: 192.168.24.40, port: 0}"),
        ("role: agent", "role: worker"),
        ("gateway: 192.168.24.1,", "gateway: 192.168.24.1, prefix: 0,"),
        ("k3s: {version: v1.36.5+k3s1}", "k3s: {version: v1.36.5+k3s1, airgap: 1}"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        assert!(judge(&text).is_err(), "the schema takes `{to}`");
        assert!(read(&text, &[]).is_err(), "the parser takes `{to}`");
    }
}

#[test]
fn every_key_is_described() {
    fn undescribed(name: &str, schema: &Value, found: &mut Vec<String>) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        for (key, property) in properties {
            if property.get("description").is_none_or(|d| d == &json!("")) && key != "designated" {
                found.push(format!("{name}.{key}"));
            }
        }
    }
    let mut found = Vec::new();
    undescribed("profile", schema(), &mut found);
    for (name, definition) in schema()["$defs"].as_object().unwrap() {
        undescribed(name, definition, &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
}
