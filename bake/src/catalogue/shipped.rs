//! The files of `images/`, embedded; a test holds this list to the folder.

/// Name and text of every catalogue of images.
pub(super) const IMAGES: [(&str, &str); 2] = [
    ("raspios.yaml", include_str!("../../../images/raspios.yaml")),
    ("ubuntu.yaml", include_str!("../../../images/ubuntu.yaml")),
];

/// Manifests of other projects.
pub(super) const MANIFESTS: (&str, &str) =
    ("manifests.yaml", include_str!("../../../images/manifests.yaml"));

/// Digests of K3s releases.
pub(super) const K3S: (&str, &str) = ("k3s.yaml", include_str!("../../../images/k3s.yaml"));

/// Keys that sign base images.
pub(super) const KEYS: [(&str, &str); 2] = [
    (
        "raspberrypi-downloads-2017.asc",
        include_str!("../../../images/keys/raspberrypi-downloads-2017.asc"),
    ),
    ("ubuntu-cdimage-2012.asc", include_str!("../../../images/keys/ubuntu-cdimage-2012.asc")),
];
