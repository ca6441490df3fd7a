//! Lists of checksums in the format of sha256sum(1): `sha256sum-<arch>.txt`, `SHA256SUMS`.

use crate::io::digest::Sha256;

/// The digest the list gives for `file_name`; `None` where it does not name it.
///
/// A line is a digest, a space, a space or `*`, and a name; the name may have folders before it.
pub(super) fn lookup(list: &str, file_name: &str) -> Result<Option<Sha256>, String> {
    let mut found = None;
    for (index, line) in list.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let broken = || format!("line {} is no checksum of a file", index + 1);
        let (digest, name) = line.split_once(' ').ok_or_else(broken)?;
        let digest: Sha256 = digest.parse().map_err(|_| broken())?;
        let name = name.trim_start_matches([' ', '*']).trim_end();
        if name.rsplit('/').next() != Some(file_name) {
            continue;
        }
        if found.is_some_and(|other| other != digest) {
            return Err(format!("it has two digests for {file_name}"));
        }
        found = Some(digest);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "92b94582eb7b34a8cf532e6006842b9ed215a6783cf56a3dd6271fd35243b2c0";
    const B: &str = "865b2a63ad7a63fc0db17b7fc2985bf4ae11d5ae93ca1472be6218d20aeb6b23";

    #[test]
    fn names_are_matched_whole() {
        let list = format!("{A}  k3s\n{B} *dist/artifacts/k3s-airgap-images-amd64.tar.zst\n\n");
        assert_eq!(lookup(&list, "k3s").unwrap(), Some(A.parse().unwrap()));
        let bundle = lookup(&list, "k3s-airgap-images-amd64.tar.zst").unwrap();
        assert_eq!(bundle, Some(B.parse().unwrap()));
        assert_eq!(lookup(&list, "k3s-arm64").unwrap(), None);
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for list in ["<html>", "abc  k3s", &format!("{A}k3s"), &format!("{A}  k3s\n{B}  k3s\n")] {
            assert!(lookup(list, "k3s").is_err(), "{list}");
        }
    }
}
