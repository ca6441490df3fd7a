//! CycloneDX 1.6 as JSON. Licences are left out: nobody has looked.

use serde::Serialize;

use super::{Bill, Kind, Part};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Component<'a>>,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    timestamp: String,
    tools: Tools<'a>,
    component: Component<'a>,
}

#[derive(Debug, Serialize)]
struct Tools<'a> {
    components: [Component<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bom_ref: Option<&'a str>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashes: Option<[Hash<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property<'a>>,
}

#[derive(Debug, Serialize)]
struct Hash<'a> {
    alg: &'static str,
    content: &'a str,
}

#[derive(Debug, Serialize)]
struct Property<'a> {
    name: &'static str,
    value: &'a str,
}

pub(super) fn document(bill: &Bill) -> Document<'_> {
    let tool = Component {
        version: Some(&bill.tool_version),
        bom_ref: None,
        ..plain("application", "", &bill.tool)
    };
    let components = std::iter::once(&bill.base).chain(&bill.parts).map(component).collect();
    Document {
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", bill.uuid()),
        version: 1,
        metadata: Metadata {
            timestamp: bill.created(),
            tools: Tools { components: [tool] },
            component: plain("operating-system", "image", &bill.name),
        },
        components,
    }
}

fn component(part: &Part) -> Component<'_> {
    let kind = match part.kind {
        Kind::System => "operating-system",
        Kind::Program => "application",
        Kind::Installed | Kind::Staged => "library",
    };
    let mut properties = Vec::new();
    if part.kind == Kind::Staged {
        properties.push(Property { name: "bake:installed-by", value: "firstboot" });
    }
    if let Some((name, version)) = &part.source {
        properties.push(Property { name: "bake:source-package", value: name });
        properties.push(Property { name: "bake:source-version", value: version });
    }
    Component {
        version: part.version.as_deref(),
        hashes: part.sha256.as_deref().map(|content| [Hash { alg: "SHA-256", content }]),
        purl: part.purl.as_deref(),
        properties,
        ..plain(kind, &part.id, &part.name)
    }
}

fn plain<'a>(kind: &'static str, id: &'a str, name: &'a str) -> Component<'a> {
    let bom_ref = Some(id);
    Component {
        kind,
        bom_ref,
        name,
        version: None,
        hashes: None,
        purl: None,
        properties: Vec::new(),
    }
}
