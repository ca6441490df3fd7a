//! Logins in the addresses of package sources: used where they stand, and told nobody.

use nodeconf::Secret;
use url::Url;

use super::image;
use super::sources::{Source, Sources};
use crate::arch::Arch;
use crate::error::Result;
use crate::fs::root::Root;

/// Who asks. Where there is only a user, that is the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    user: Secret,
    password: Option<Secret>,
}

impl Login {
    /// The login in an address, where there is one.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        let password = url.password().map(Secret::new);
        let some = !url.username().is_empty() || password.is_some();
        some.then(|| Self { user: Secret::new(url.username()), password })
    }

    fn put_into(&self, url: &mut Url) {
        // Both fail only for URLs that cannot have one, and this came out of such a URL.
        let _ = url.set_username(self.user.expose());
        let _ = url.set_password(self.password.as_ref().map(Secret::expose));
    }
}

/// The logins of an image's package sources.
#[derive(Debug, Clone, Default)]
pub struct Logins(Vec<(String, Login)>);

impl Logins {
    /// Reads them.
    ///
    /// # Errors
    /// Unreadable trees. Sources that cannot be understood have none.
    pub fn read(root: &Root, architecture: Arch) -> Result<Self> {
        let sources = Sources::read(&image::source_lists(root)?, architecture.name());
        Ok(Self::of(&sources.unwrap_or_default().found))
    }

    pub(super) fn of(sources: &[Source]) -> Self {
        let all = sources.iter().filter_map(|s| Some((format!("{}/", s.uri), s.login.clone()?)));
        Self(all.collect())
    }

    /// The URL, with the login of the source that it lies below.
    pub(super) fn url(&self, text: &str) -> Result<Url, url::ParseError> {
        let mut url = Url::parse(text)?;
        if let Some((_, login)) = self.0.iter().find(|(uri, _)| url.as_str().starts_with(uri)) {
            login.put_into(&mut url);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::super::image::Text;
    use super::*;

    #[test]
    fn a_login_is_for_its_source_alone_and_for_no_eye() {
        let content = "deb http://ops:hunter2@a.example/debs stable main\n\
                       deb http://t0ken@b.example ./\n\
                       deb http://c.example/debs stable main\n\
                       deb s3://key:hunter2@bucket/ stable main\n";
        let file = Text { path: "/etc/apt/sources.list".into(), content: content.into() };
        let sources = Sources::read(&[file], "arm64").unwrap();
        assert_eq!(sources.found[0].uri, "http://a.example/debs");
        let logins = Logins::of(&sources.found);
        for (asked, url) in [
            ("http://a.example/debs/a.deb", "http://ops:hunter2@a.example/debs/a.deb"),
            ("http://b.example/a.deb", "http://t0ken@b.example/a.deb"),
            ("http://c.example/debs/a.deb", "http://c.example/debs/a.deb"),
            ("http://a.example/debsy/a.deb", "http://a.example/debsy/a.deb"),
            ("http://a.example/debs/../b.deb", "http://a.example/b.deb"),
            ("http://b.example.org/a.deb", "http://b.example.org/a.deb"),
            ("https://b.example/a.deb", "https://b.example/a.deb"),
        ] {
            assert_eq!(logins.url(asked).unwrap().as_str(), url);
        }
        assert_eq!(sources.left_out.len(), 1);
        let shown = format!("{sources:?} {logins:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("t0ken"), "{shown}");
    }

    #[test]
    fn an_address_that_is_no_url_is_not_shown() {
        let content = "deb https://ops:hunter2@[x stable main\n".to_owned();
        let file = Text { path: "/etc/apt/sources.list".into(), content };
        let fault = Sources::read(&[file], "arm64").unwrap_err();
        assert!(fault.contains("no URL") && !fault.contains("hunter2"), "{fault}");
    }
}
