//! Who wrote: the typed name, address and website.
//!
//! Invariant: an [`EmailAddress`] cannot be printed, compared or serialised; whoever needs its text says
//! [`EmailAddress::expose`], which is easy to search for.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A name as typed, trimmed, without control characters, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Trims `typed`. `Err` carries the code of what is wrong.
    ///
    /// # Errors
    /// [`Wrong`] if nothing is left, it is longer than `max_bytes`, or it holds a control character.
    pub fn parse(typed: &str, max_bytes: usize) -> Result<Self, Wrong> {
        let name = typed.trim();
        if is_blank(name) {
            return Err(Wrong::Missing);
        }
        if name.len() > max_bytes {
            return Err(Wrong::TooLong { max_bytes });
        }
        if name.chars().any(char::is_control) {
            return Err(Wrong::ControlCharacter);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// True if `text` shows nothing: only white space and characters without ink.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_whitespace()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
                | '\u{2066}'..='\u{2069}' | '\u{00ad}' | '\u{feff}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{2800}')
    })
}

/// An e-mail address: valid by RFC 5321/5322 addr-spec, with a domain that has a dot.
#[derive(Clone)]
pub struct EmailAddress(SecretString);

impl EmailAddress {
    /// Parses an address without display name or angle brackets.
    ///
    /// # Errors
    /// [`Wrong`] if it is blank, too long or not an address.
    pub fn parse(typed: &str, max_bytes: usize) -> Result<Self, Wrong> {
        use email_address::{EmailAddress as Parser, Options};
        let text = typed.trim();
        if is_blank(text) {
            return Err(Wrong::Missing);
        }
        if text.len() > max_bytes {
            return Err(Wrong::TooLong { max_bytes });
        }
        let options = Options::default()
            .without_display_text()
            .without_domain_literal()
            .with_required_tld();
        let parsed = Parser::parse_with_options(text, options).map_err(|_| Wrong::NotAnEmail)?;
        // The parser accepts a domain whose labels DNS could not hold; nobody can be reached there.
        let ascii = idna::domain_to_ascii_strict(parsed.domain()).map_err(|_| Wrong::NotAnEmail)?;
        let has_top_level = ascii.rsplit_once('.').is_some_and(|(rest, top)| {
            !rest.is_empty() && !top.is_empty() && !top.bytes().all(|b| b.is_ascii_digit())
        });
        if !has_top_level {
            return Err(Wrong::NotAnEmail);
        }
        Ok(Self(SecretString::from(text.to_owned())))
    }

    /// The address in plain. Only sealing, the blind index, filters in memory and a granted reveal may ask.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The form under which two spellings are one address: NFC, the domain as a lower-case A-label, the local
    /// part in lower case. Dots and plus parts stay: they are different mailboxes at most providers.
    #[must_use]
    pub fn canonical(&self) -> SecretString {
        use unicode_normalization::UnicodeNormalization;
        let text: String = self.expose().nfc().collect();
        let (local, domain) = text.rsplit_once('@').unwrap_or((&text, ""));
        let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase());
        SecretString::from(format!("{}@{domain}", local.to_lowercase()))
    }

    /// The domain as a lower-case A-label: a fact for the filters, sealed where it is stored.
    #[must_use]
    pub fn domain(&self) -> String {
        let domain = self
            .expose()
            .rsplit_once('@')
            .map_or("", |(_, domain)| domain);
        idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase())
    }

    /// The part before the `@`, in lower case.
    #[must_use]
    pub fn local_part(&self) -> String {
        let local = self
            .expose()
            .rsplit_once('@')
            .map_or("", |(local, _)| local);
        local.to_lowercase()
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[email]")
    }
}

/// An author's website: an absolute http or https URL with a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Website(String);

impl Website {
    /// Parses a typed website; a blank one is none.
    ///
    /// # Errors
    /// [`Wrong`] if it is too long or not an http(s) URL.
    pub fn parse(typed: &str, max_bytes: usize) -> Result<Option<Self>, Wrong> {
        let text = typed.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > max_bytes {
            return Err(Wrong::TooLong { max_bytes });
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Wrong::NotAnHttpUrl);
        }
        let url = url::Url::parse(text).map_err(|_| Wrong::NotAnHttpUrl)?;
        let is_http = matches!(url.scheme(), "http" | "https");
        // user:password@ in a link is only ever a disguise for the host behind it.
        if !is_http
            || url.host_str().is_none_or(str::is_empty)
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return Err(Wrong::NotAnHttpUrl);
        }
        Ok(Some(Self(String::from(url))))
    }

    /// The URL in its serialised form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a field was refused. Values are never part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Required, and blank.
    #[error("this field is required")]
    Missing,
    /// Longer than the limit; nothing is cut.
    #[error("this field may have at most {max_bytes} bytes")]
    TooLong {
        /// The limit, in bytes of UTF-8.
        max_bytes: usize,
    },
    /// A control character other than tab (and, in a body, line feed).
    #[error("this field holds a control character, which cannot be shown")]
    ControlCharacter,
    /// Not an address as RFC 5321 and 5322 write it, or without a dot in its domain.
    #[error("this is not an e-mail address; it should look like name@example.org")]
    NotAnEmail,
    /// Not an absolute http or https URL.
    #[error("this is not a web address; it should start with https:// or http://")]
    NotAnHttpUrl,
    /// Not an id of a comment.
    #[error("this is not the id of a comment")]
    NotAnId,
}

impl Wrong {
    /// The stable code for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "required",
            Self::TooLong { .. } => "too_long",
            Self::ControlCharacter => "control_character",
            Self::NotAnEmail => "invalid_email",
            Self::NotAnHttpUrl => "invalid_url",
            Self::NotAnId => "invalid_id",
        }
    }
}
