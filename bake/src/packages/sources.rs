//! Where an image's apt takes packages from (sources.list(5)).

use url::Url;

use super::deb822;
use super::image::Text;
use super::login::Login;
use crate::fetch::shown;

/// Whose signature a source must have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Any key that apt trusts for every source.
    Everyone,
    /// Keys in these files of the image.
    Files(Vec<String>),
    /// These keys, by fingerprint, of those that apt trusts for every source.
    Fingerprints(Vec<String>),
    /// This armoured key, written into the source itself.
    Inline(String),
}

/// One suite of one archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `http(s)://host/path`, without a slash at the end and without a login.
    pub uri: String,
    /// The login that stands in its address.
    pub login: Option<Login>,
    /// `bookworm-updates`, or a path that ends in a slash where the archive is flat.
    pub suite: String,
    /// `main contrib`; none where the archive is flat.
    pub components: Vec<String>,
    /// Whose signature counts.
    pub trust: Trust,
    /// Whether a `Release` past its `Valid-Until` is refused.
    pub check_valid_until: bool,
    /// The file it stands in, for messages.
    pub file: String,
}

/// All sources of an image for one architecture, and what was left out, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// In the order of the files and of what stands in them.
    pub found: Vec<Source>,
    /// What cannot be used, and why.
    pub left_out: Vec<String>,
}

/// What the options of one entry come to.
struct Options {
    architectures: Option<Vec<String>>,
    trust: Trust,
    trusted: bool,
    check_valid_until: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            architectures: None,
            trust: Trust::Everyone,
            trusted: false,
            check_valid_until: true,
        }
    }
}

impl Sources {
    /// Reads `sources.list`, `*.list` and `*.sources` for `architecture`.
    ///
    /// # Errors
    /// The file, and what apt could not read either.
    pub fn read(files: &[Text], architecture: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for file in files {
            let at = |fault: String| format!("{}: {fault}", file.path);
            if file.path.ends_with(".sources") {
                all.paragraphs(file, architecture).map_err(at)?;
            } else {
                all.lines(file, architecture).map_err(at)?;
            }
        }
        Ok(all)
    }

    /// `deb [option=value …] uri suite [component …]`, one a line.
    fn lines(&mut self, file: &Text, architecture: &str) -> Result<(), String> {
        for (index, line) in file.content.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some(rest) = line.strip_prefix("deb").filter(|r| r.starts_with([' ', '\t', '[']))
            else {
                if line.is_empty() || line.starts_with("deb-src") {
                    continue;
                }
                return Err(format!("line {} is no source", index + 1));
            };
            let wrong = || format!("line {} is no source", index + 1);
            let mut rest = rest.trim_start();
            let mut options = Options::default();
            if let Some(inside) = rest.strip_prefix('[') {
                let (inside, after) = inside.split_once(']').ok_or_else(wrong)?;
                for option in inside.split_whitespace() {
                    let (name, value) = option.split_once('=').ok_or_else(wrong)?;
                    options.set(name.trim_end_matches(['+', '-']), value);
                }
                rest = after;
            }
            if rest.trim_start().starts_with("cdrom:") {
                // Its name has blanks in it; Debian's installer leaves it behind.
                self.left_out.push(format!("the CD in {} is not used", file.path));
                continue;
            }
            let mut words = rest.split_whitespace().map(str::to_owned);
            let (uri, suite) = words.next().zip(words.next()).ok_or_else(wrong)?;
            self.add(file, architecture, &options, &uri, &suite, words.collect())?;
        }
        Ok(())
    }

    /// One paragraph, several types, URIs and suites.
    fn paragraphs(&mut self, file: &Text, architecture: &str) -> Result<(), String> {
        let paragraphs = deb822::all(file.content.as_bytes(), true).map_err(|e| e.to_string())?;
        for paragraph in paragraphs {
            let words = |name| paragraph.text(name).split_whitespace().map(str::to_owned);
            if no(paragraph.text("Enabled")) || !words("Types").any(|t| t == "deb") {
                continue;
            }
            let mut options = Options::default();
            for name in ["Architectures", "Signed-By", "Trusted", "Check-Valid-Until"] {
                if let Some(value) = paragraph.get(name) {
                    options.set(name, value);
                }
            }
            for uri in words("URIs") {
                for suite in words("Suites") {
                    let components = words("Components").collect();
                    self.add(file, architecture, &options, &uri, &suite, components)?;
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        file: &Text,
        architecture: &str,
        options: &Options,
        uri: &str,
        suite: &str,
        components: Vec<String>,
    ) -> Result<(), String> {
        if options.architectures.as_ref().is_some_and(|a| !a.iter().any(|a| a == architecture)) {
            return Ok(());
        }
        // Of what is no URL nothing is shown: it may hold a password.
        let url = Url::parse(uri).map_err(|e| format!("an address is no URL: {e}"))?;
        let login = Login::of(&url);
        let uri = if login.is_some() { shown(&url) } else { uri.to_owned() };
        let mut skip = |why: &str| {
            let text = format!("the source {uri} {suite} of {} is not used: {why}", file.path);
            if !self.left_out.contains(&text) {
                self.left_out.push(text);
            }
            Ok(())
        };
        if !uri.starts_with("http://") && !uri.starts_with("https://") {
            return skip("only HTTP and HTTPS can be asked from here");
        }
        if options.trusted {
            return skip("it is trusted without a signature, and nothing unsigned is baked");
        }
        let suite = suite.replace("$(ARCH)", architecture);
        if suite.ends_with('/') != components.is_empty() {
            return Err(format!("{uri} {suite} needs components, or a suite that ends in a slash"));
        }
        let source = Source {
            uri: uri.trim_end_matches('/').to_owned(),
            login,
            suite,
            components,
            trust: options.trust.clone(),
            check_valid_until: options.check_valid_until,
            file: file.path.clone(),
        };
        let same = |other: &&mut Source| (&other.uri, &other.suite) == (&source.uri, &source.suite);
        match self.found.iter_mut().find(same) {
            Some(other) if other.trust == source.trust => {
                let new = source.components.into_iter().filter(|c| !other.components.contains(c));
                other.components.extend(new.collect::<Vec<_>>());
            }
            Some(_) => return Err(format!("{uri} {} has two kinds of Signed-By", source.suite)),
            None => self.found.push(source),
        }
        Ok(())
    }
}

impl Options {
    /// Options of the one-line style are fields of the other in lower case; `arch` is short.
    fn set(&mut self, name: &str, value: &str) {
        let list = |value: &str| {
            let words = value.split([' ', ',', '\n', '\t']).filter(|w| !w.is_empty());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        match name.to_ascii_lowercase().as_str() {
            "arch" | "architectures" => self.architectures = Some(list(value)),
            "trusted" => self.trusted = yes(value),
            "check-valid-until" => self.check_valid_until = !no(value),
            "signed-by" if value.contains("-----BEGIN PGP") => {
                // In a field, ` .` stands for an empty line.
                let lines =
                    value.lines().map(|line| if line.trim() == "." { "" } else { line.trim() });
                self.trust = Trust::Inline(lines.collect::<Vec<_>>().join("\n"));
            }
            "signed-by" if value.trim_start().starts_with('/') => {
                self.trust = Trust::Files(list(value));
            }
            "signed-by" => {
                let keys = list(value)
                    .iter()
                    .map(|k| k.trim_end_matches('!').to_ascii_uppercase())
                    .collect();
                self.trust = Trust::Fingerprints(keys);
            }
            _ => {}
        }
    }
}

/// What apt takes for false (apt.conf(5)).
fn no(value: &str) -> bool {
    ["no", "false", "without", "off", "disable"]
        .contains(&value.trim().to_ascii_lowercase().as_str())
}

fn yes(value: &str) -> bool {
    ["yes", "true", "with", "on", "enable"].contains(&value.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, content: &str) -> Result<Sources, String> {
        Sources::read(&[Text { path: path.into(), content: content.into() }], "arm64")
    }

    #[test]
    fn lines_are_read() {
        let text = "# deb http://a x y\n\
            deb http://deb.example/debian/ bookworm main contrib # why\n\
            deb-src http://deb.example/debian bookworm main\n\
            deb\t[ arch=arm64,armhf signed-by=/k/a.gpg,/k/b.asc ] https://two.example/d s c\n\
            deb [arch=amd64] http://other.example/ s c\n\
            deb http://flat.example ./$(ARCH)/\n\
            deb http://deb.example/debian bookworm non-free\n";
        let found = read("/etc/apt/sources.list", text).unwrap().found;
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].uri, "http://deb.example/debian");
        assert_eq!(found[0].components, ["main", "contrib", "non-free"]);
        assert_eq!(found[1].trust, Trust::Files(vec!["/k/a.gpg".into(), "/k/b.asc".into()]));
        assert_eq!((found[2].suite.as_str(), found[2].components.len()), ("./arm64/", 0));
    }

    #[test]
    fn paragraphs_are_read() {
        let text = "Types: deb deb-src\nURIs: http://a.example/ubuntu https://b.example\n\
            Suites: noble noble-updates\nComponents: main universe\n\
            Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDME\n -----END PGP PUBLIC KEY BLOCK-----\n\n\
            Types: deb\nURIs: http://c.example\nSuites: s\nComponents: main\nEnabled: no\n\n\
            # comment\nTypes: deb\nURIs: http://d.example\nSuites: s\nComponents: main\nCheck-Valid-Until: no\nSigned-By: 0123abcd\n";
        let found = read("/etc/apt/sources.list.d/x.sources", text).unwrap().found;
        assert_eq!(found.len(), 5);
        let Trust::Inline(key) = &found[0].trust else { panic!("{:?}", found[0].trust) };
        assert!(key.trim_start().starts_with("-----BEGIN") && key.contains("\n\nmDME\n"), "{key}");
        assert_eq!(found[4].trust, Trust::Fingerprints(vec!["0123ABCD".into()]));
        assert!(!found[4].check_valid_until && found[0].check_valid_until);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let text = "deb cdrom:[Debian GNU/Linux 12]/ bookworm main\n\
            deb file:/srv/debs ./\ndeb [trusted=yes] http://a.example ./\n";
        let sources = read("/etc/apt/sources.list", text).unwrap();
        assert_eq!((sources.found.len(), sources.left_out.len()), (0, 3));
        for text in
            ["dep http://a b c", "deb http://a", "deb http://a bookworm", "deb [x http://a b c"]
        {
            assert!(read("/etc/apt/sources.list", text).is_err(), "{text}");
        }
    }
}
