//! Tokens: `password`, or `K10<CA hash>::<user>:<password>` (K3s docs, token).

use std::fs;
use std::path::Path;

use crate::Fatal;
use crate::config::Config;

/// A token as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Hash of the CA that it pins.
    pub pin: Option<String>,
    /// The secret part.
    pub password: String,
}

impl Token {
    /// Takes a token apart.
    pub fn parse(text: &str) -> Result<Self, Fatal> {
        let text = text.trim();
        let Some(full) = text.strip_prefix("K10") else {
            return Ok(Self { pin: None, password: text.to_owned() });
        };
        let (pin, credentials) = full.split_once("::").ok_or("invalid token format")?;
        let (_, password) = credentials.split_once(':').ok_or("invalid token format")?;
        Ok(Self { pin: Some(pin.to_owned()), password: password.to_owned() })
    }

    /// `KEY` or what `KEY-file` names.
    pub fn configured(config: &Config, key: &str) -> Result<Option<Self>, Fatal> {
        if let Some(text) = config.get(key) {
            return Self::parse(text).map(Some);
        }
        let Some(file) = config.get(&format!("{key}-file")) else { return Ok(None) };
        let file = match file.starts_with('/') && !Path::new(file).exists() {
            true => crate::rooted(file),
            false => file.into(),
        };
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        Self::parse(&text).map(Some)
    }

    /// The token as K3s writes it into its files.
    pub fn full(&self, hash: &str, user: &str) -> String {
        format!("K10{hash}::{user}:{}\n", self.password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let short = Token { pin: None, password: "s3cret".into() };
        assert_eq!(Token::parse("s3cret\n"), Ok(short));
        let full = Token { pin: Some("ab12".into()), password: "s3cret".into() };
        assert_eq!(Token::parse("K10ab12::server:s3cret"), Ok(full.clone()));
        assert_eq!(full.full("ab12", "server"), "K10ab12::server:s3cret\n");
        assert!(Token::parse("K10ab12:s3cret").is_err());
    }
}
