//! Package URLs (the purl specification, ECMA-427): how SBOMs and attestations name what came from
//! elsewhere.

use std::fmt::Write as _;

/// A Debian package: `pkg:deb/debian/keepalived@1:2.2.8-1?arch=arm64`. `distribution` is the `ID`
/// of its os-release.
#[must_use]
pub fn deb(distribution: &str, name: &str, version: &str, architecture: &str) -> String {
    let arch = encode(architecture);
    format!("{}?arch={arch}", plain("deb", &[distribution, name], Some(version)))
}

/// A package URL without qualifiers: `pkg:github/k3s-io/k3s@v1.36.5%2Bk3s1`.
#[must_use]
pub fn plain(kind: &str, path: &[&str], version: Option<&str>) -> String {
    let path: Vec<String> = path.iter().map(|part| encode(part)).collect();
    let version = version.map_or_else(String::new, |v| format!("@{}", encode(v)));
    format!("pkg:{kind}/{}{version}", path.join("/"))
}

/// Percent-encodes all but what a package URL may hold anywhere as it is.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_debian_and_of_k3s_keep_their_marks() {
        assert_eq!(
            deb("debian", "libstdc++6", "1:12.2.0-14+deb12u1~rpt1", "arm64"),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1~rpt1?arch=arm64"
        );
        assert_eq!(
            plain("github", &["k3s-io", "k3s"], Some("v1.36.5+k3s1")),
            "pkg:github/k3s-io/k3s@v1.36.5%2Bk3s1"
        );
        assert_eq!(plain("generic", &["my image.img"], None), "pkg:generic/my%20image.img");
    }
}
