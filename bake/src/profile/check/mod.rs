//! What a profile means: reads the values `raw` leaves as text and holds them against each other.

mod addresses;
mod cluster;
mod files;
mod k3s;
mod nodes;
pub mod range;
mod subnet;
mod system;

use std::net::Ipv4Addr;

use super::faults::Faults;
use super::path::at;
use super::plan::{ImageSource, LoadBalancer, RootSize};
use super::raw::{self, Role};
use crate::units::parse_size;

pub use files::mode as file_mode;
pub use k3s::SERVER_ONLY;
pub use subnet::Subnet;

/// A profile whose every value has been read. Meaningless where faults were found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The profile as written.
    pub raw: raw::Profile,
    /// The base image; a path is still relative to the profile.
    pub image: ImageSource,
    /// Size of the root file system.
    pub root_size: RootSize,
    /// The shared address.
    pub vip: Option<nodeconf::Vip>,
    /// Who gives addresses to services.
    pub load_balancer: LoadBalancer,
    /// The shared database.
    pub datastore: Option<nodeconf::Datastore>,
    /// Default route.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A node whose every value has been read.
#[derive(Debug, Clone)]
pub struct Node {
    /// Which entry of the profile's `nodes` it comes from.
    pub entry: usize,
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its fixed address, or `None` for DHCP.
    pub address: Option<Ipv4Addr>,
    /// Its network interface.
    pub interface: String,
    /// Kubernetes labels, `key=value`.
    pub labels: Vec<String>,
    /// Kubernetes taints.
    pub taints: Vec<String>,
}

/// Reads everything and reports every fault.
pub fn check(raw: raw::Profile, faults: &mut Faults<'_>) -> Checked {
    let image = image(&raw.image, faults);
    let root_size = root_size(&raw.root_size, faults);
    let nodes = nodes::check(&raw, faults);
    let addresses = addresses::check(&raw, &nodes, faults);
    let datastore = cluster::check(&raw, &nodes, faults);
    k3s::check(&raw, addresses.subnet, faults);
    system::check(&raw, faults);
    files::check(&raw, faults);
    Checked {
        image,
        root_size,
        vip: addresses.vip,
        load_balancer: addresses.load_balancer,
        datastore,
        gateway: addresses.gateway,
        dns: addresses.dns,
        nodes,
        raw,
    }
}

fn image(image: &raw::Image, faults: &mut Faults<'_>) -> ImageSource {
    let path = at!("image");
    match image {
        raw::Image::Download(raw::Download { url, sha256 }) => {
            let parsed = url::Url::parse(url).ok();
            if !parsed.as_ref().is_some_and(|u| matches!(u.scheme(), "http" | "https")) {
                faults.add(&path.key("url"), "not an http or https address");
            } else if parsed.is_some_and(|u| u.password().is_some()) {
                faults.add(&path.key("url"), "holds a password: a profile is no place for one");
            }
            check_digest(&path.key("sha256"), sha256, faults);
            ImageSource::Url { url: url.clone(), sha256: sha256.to_ascii_lowercase() }
        }
        raw::Image::Name(name) if name.starts_with("http://") || name.starts_with("https://") => {
            faults.advise(
                &path,
                "a download needs the digest of what it must deliver",
                "write {url: …, sha256: …}",
            );
            ImageSource::Id(name.clone())
        }
        raw::Image::Name(name) => {
            if name.is_empty() || name.contains('\0') {
                faults.add(&path, "neither an image id nor a path");
            }
            let id = name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
            let file = [".img", ".xz", ".gz", ".zst", ".zip", ".raw"];
            if id && !file.iter().any(|suffix| name.ends_with(suffix)) && !name.starts_with('.') {
                ImageSource::Id(name.clone())
            } else {
                ImageSource::File(name.into())
            }
        }
    }
}

fn root_size(text: &str, faults: &mut Faults<'_>) -> RootSize {
    let size = match text.strip_prefix('+') {
        _ if text == "auto" => Ok(RootSize::Auto),
        Some(more) => parse_size(more).map(RootSize::Plus),
        None => parse_size(text).map(RootSize::Exactly),
    };
    match size {
        Ok(RootSize::Exactly(0)) => {
            faults.add(&at!("root_size"), "a root file system needs room");
            RootSize::Auto
        }
        Ok(size) => size,
        Err(message) => {
            faults.advise(&at!("root_size"), message, "write `auto`, `+1GiB` or `8GiB`");
            RootSize::Auto
        }
    }
}

/// Reports anything but 64 hexadecimal digits.
fn check_digest(path: &super::path::Path, text: &str, faults: &mut Faults<'_>) {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        faults.add(path, "not a SHA-256: 64 hexadecimal digits");
    }
}
