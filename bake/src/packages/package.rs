//! One version of one package, as far as installing it goes.

use std::path::PathBuf;

use super::deb822::Paragraph;
use super::relation::{self, Group, Relation};
use super::version::Version;
use crate::io::digest::Sha256;

/// Where a package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the image.
    Installed,
    /// At a URL.
    Archive {
        /// HTTP or HTTPS.
        url: String,
        /// What its bytes must be.
        sha256: Sha256,
        /// Their number.
        size: u64,
    },
    /// A file of the user's.
    File(PathBuf),
}

/// Whether a package of one architecture serves another (deb-control(5), `Multi-Arch`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MultiArch {
    /// Only its own.
    No,
    /// Beside another of the same name.
    Same,
    /// Any.
    Foreign,
    /// Those that ask for `:any`.
    Allowed,
}

/// One version of a package.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// `all`, or the one it is for.
    pub architecture: String,
    /// Whom it serves.
    pub multi_arch: MultiArch,
    /// 1 for `required` to 5 for `extra`, as apt ranks them.
    pub rank: u8,
    /// Where it is.
    pub origin: Origin,
    depends: Box<str>,
    pre_depends: Box<str>,
    conflicts: Box<str>,
    provides: Box<str>,
}

impl Package {
    /// Reads the paragraph of an index, of dpkg's database or of a package itself.
    ///
    /// # Errors
    /// What is missing or cannot be read.
    pub fn read(paragraph: &Paragraph, origin: Origin) -> Result<Self, String> {
        let name = paragraph.text("Package");
        if !relation::is_package(name) {
            return Err(format!("`{name}` is no name of a package"));
        }
        let about = |fault: String| format!("{name}: {fault}");
        let joined = |a: &str, b: &str| match (paragraph.text(a), paragraph.text(b)) {
            ("", one) | (one, "") => one.into(),
            (one, two) => format!("{one}, {two}").into(),
        };
        let package = Self {
            name: name.to_owned(),
            version: Version::parse(paragraph.text("Version")).map_err(about)?,
            architecture: paragraph.text("Architecture").to_owned(),
            multi_arch: match paragraph.text("Multi-Arch") {
                "same" => MultiArch::Same,
                "foreign" => MultiArch::Foreign,
                "allowed" => MultiArch::Allowed,
                _ => MultiArch::No,
            },
            rank: match paragraph.text("Priority") {
                "required" => 1,
                "important" => 2,
                "standard" => 3,
                "extra" => 5,
                _ => 4,
            },
            origin,
            depends: paragraph.text("Depends").into(),
            pre_depends: paragraph.text("Pre-Depends").into(),
            conflicts: joined("Conflicts", "Breaks"),
            provides: paragraph.text("Provides").into(),
        };
        Ok(package)
    }

    /// What must be configured before it is unpacked.
    ///
    /// # Errors
    /// The part that cannot be read; so with the other three.
    pub fn pre_depends(&self) -> Result<Vec<Group>, String> {
        self.relations(&self.pre_depends)
    }

    /// What must be there for it to work.
    ///
    /// # Errors
    /// As [`Package::pre_depends`].
    pub fn depends(&self) -> Result<Vec<Group>, String> {
        self.relations(&self.depends)
    }

    /// What it cannot be installed with (`Conflicts` and `Breaks`).
    ///
    /// # Errors
    /// As [`Package::pre_depends`].
    pub fn conflicts(&self) -> Result<Vec<Relation>, String> {
        Ok(self.relations(&self.conflicts)?.into_iter().flatten().collect())
    }

    /// Virtual packages it stands in for.
    ///
    /// # Errors
    /// As [`Package::pre_depends`].
    pub fn provides(&self) -> Result<Vec<Relation>, String> {
        Ok(self.relations(&self.provides)?.into_iter().flatten().collect())
    }

    /// `name (version)`, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} ({})", self.name, self.version)
    }

    fn relations(&self, field: &str) -> Result<Vec<Group>, String> {
        relation::parse(field).map_err(|fault| format!("{}: {fault}", self.name))
    }
}
