//! SPDX 2.3 as JSON. Who holds which right, and where something was downloaded, is not asserted:
//! nobody has looked.

use serde::Serialize;

use super::{Bill, Kind, Part};

const NOBODY_KNOWS: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-image";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    spdxid: &'static str,
    name: &'a str,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package<'a>>,
    relationships: Vec<Relationship>,
}

#[derive(Debug, Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    #[serde(rename = "SPDXID")]
    spdxid: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
    supplier: &'static str,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksums: Option<[Checksum<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    license_concluded: &'static str,
    license_declared: &'static str,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_refs: Option<[ExternalRef<'a>; 1]>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum<'a> {
    algorithm: &'static str,
    checksum_value: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef<'a> {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

pub(super) fn document(bill: &Bill) -> Document<'_> {
    let relation = |from: &str, kind: &'static str, to: &str| Relationship {
        spdx_element_id: from.to_owned(),
        relationship_type: kind,
        related_spdx_element: to.to_owned(),
    };
    let mut packages = vec![image(bill), package(&bill.base)];
    let mut relationships = vec![
        relation(DOCUMENT, "DESCRIBES", IMAGE),
        relation(IMAGE, "GENERATED_FROM", &packages[1].spdxid),
    ];
    for part in &bill.parts {
        let package = package(part);
        relationships.push(relation(IMAGE, "CONTAINS", &package.spdxid));
        packages.push(package);
    }
    Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        spdxid: DOCUMENT,
        name: &bill.name,
        document_namespace: format!(
            "{}/spdx/{}-{}",
            env!("CARGO_PKG_REPOSITORY"),
            super::id(&bill.name),
            bill.uuid()
        ),
        creation_info: CreationInfo {
            created: bill.created(),
            creators: [format!("Tool: {}-{}", bill.tool, bill.tool_version)],
        },
        packages,
        relationships,
    }
}

fn image(bill: &Bill) -> Package<'_> {
    let purpose = Some("OPERATING-SYSTEM");
    Package { primary_package_purpose: purpose, ..plain(IMAGE.into(), &bill.name) }
}

fn package(part: &Part) -> Package<'_> {
    let purl = part.purl.as_deref();
    Package {
        version_info: part.version.as_deref(),
        primary_package_purpose: match part.kind {
            Kind::System => Some("OPERATING-SYSTEM"),
            Kind::Program => Some("APPLICATION"),
            Kind::Staged => Some("INSTALL"),
            Kind::Installed => None,
        },
        checksums: part
            .sha256
            .as_deref()
            .map(|checksum_value| [Checksum { algorithm: "SHA256", checksum_value }]),
        source_info: part
            .source
            .as_ref()
            .map(|(name, version)| format!("built from the source package {name} {version}")),
        external_refs: purl.map(|reference_locator| {
            [ExternalRef {
                reference_category: "PACKAGE-MANAGER",
                reference_type: "purl",
                reference_locator,
            }]
        }),
        ..plain(format!("SPDXRef-{}", part.id), &part.name)
    }
}

fn plain(spdxid: String, name: &str) -> Package<'_> {
    Package {
        spdxid,
        name,
        version_info: None,
        primary_package_purpose: None,
        supplier: NOBODY_KNOWS,
        download_location: NOBODY_KNOWS,
        files_analyzed: false,
        checksums: None,
        source_info: None,
        license_concluded: NOBODY_KNOWS,
        license_declared: NOBODY_KNOWS,
        copyright_text: NOBODY_KNOWS,
        external_refs: None,
    }
}
