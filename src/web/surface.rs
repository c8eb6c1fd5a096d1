//! The kinds of places that answers are for: what they are counted as, and which headers they carry.
//!
//! Not who may go there: that is the business of each route.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

/// A kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Threads, counts and feeds, as readers fetch them.
    Read,
    /// Submissions.
    Submit,
    /// What authors and readers do with one comment.
    Author,
    /// Pages for readers.
    Page,
    /// What the pages are made of.
    Asset,
    /// The moderators' API.
    Moderate,
    /// The console.
    Console,
    /// Health, numbers, documentation.
    Operate,
    /// Doors for other services' clients.
    Door,
    /// Everything else.
    Other,
}

const CSP_NOTHING: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
const CSP_PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
);
const CSP_CONSOLE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types anteroom",
);

impl Surface {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Submit,
        Self::Author,
        Self::Page,
        Self::Asset,
        Self::Moderate,
        Self::Console,
        Self::Operate,
        Self::Door,
        Self::Other,
    ];

    /// Its name in numbers and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Author => "author",
            Self::Page => "page",
            Self::Asset => "asset",
            Self::Moderate => "moderate",
            Self::Console => "console",
            Self::Operate => "operate",
            Self::Door => "door",
            Self::Other => "other",
        }
    }

    /// The place that a request is for, known from its address alone.
    #[must_use]
    pub fn of(method: &Method, path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/api/v1/") else {
            return Self::of_page(path);
        };
        if let Some(site) = rest.strip_prefix("sites/") {
            let counts = site.ends_with("/counts");
            let writes = method == Method::POST && !counts;
            return if writes { Self::Submit } else { Self::Read };
        }
        let Some(comment) = rest.strip_prefix("comments/") else {
            return Self::Moderate;
        };
        match comment.split_once('/') {
            None | Some((_, "appeal" | "reports")) => Self::Author,
            Some(_) => Self::Moderate,
        }
    }

    fn of_page(path: &str) -> Self {
        let mut parts = path.splitn(3, '/');
        parts.next();
        match parts.next().unwrap_or_default() {
            "console" => Self::Console,
            "assets" | "embed.js" | "favicon.ico" => Self::Asset,
            "" | "demo" | "c" | "problems" => Self::Page,
            "healthz" | "readyz" | "metrics" | "openapi.json" | "docs" => Self::Operate,
            "1.1" | "1.2" | "v1alpha1" => Self::Door,
            _ => Self::Other,
        }
    }

    /// True if pages of the site may call it from a browser.
    #[must_use]
    pub const fn is_public_api(self) -> bool {
        matches!(self, Self::Read | Self::Submit | Self::Author)
    }

    /// Sets the headers that keep a browser from doing more with an answer than is meant. What a handler has set stays.
    pub(super) fn set_headers(self, headers: &mut HeaderMap, is_https: bool) {
        let is_page = headers
            .get(axum::http::header::CONTENT_TYPE)
            .is_some_and(|media| media.as_bytes().starts_with(b"text/html"));
        let mut set = |name: HeaderName, value: HeaderValue| {
            headers.entry(name).or_insert(value);
        };
        set(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self {
            _ if is_page && self == Self::Console => set(CONTENT_SECURITY_POLICY, CSP_CONSOLE),
            _ if is_page => set(CONTENT_SECURITY_POLICY, CSP_PAGE),
            _ => set(CONTENT_SECURITY_POLICY, CSP_NOTHING),
        }
        match self {
            // Other people's pages embed these.
            Self::Read | Self::Submit | Self::Author | Self::Asset => {
                set(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
            }
            Self::Page
            | Self::Moderate
            | Self::Console
            | Self::Operate
            | Self::Door
            | Self::Other => {
                set(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
            }
        }
        if !matches!(self, Self::Read | Self::Asset) {
            set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if is_page {
            // Elsewhere the address of a page is nobody's business. The readers' pages tell it to this service, or browsers
            // would hide the origin of their forms too, by which a submission is let in.
            let referrer = match self {
                Self::Console => HeaderValue::from_static("no-referrer"),
                _ => HeaderValue::from_static("same-origin"),
            };
            set(REFERRER_POLICY, referrer);
            set(OPENER_POLICY, HeaderValue::from_static("same-origin"));
            match self {
                Self::Console => {
                    set(EMBEDDER_POLICY, HeaderValue::from_static("require-corp"));
                    set(PERMISSIONS_POLICY, HeaderValue::from_static(NOTHING_AT_ALL));
                }
                _ => set(PERMISSIONS_POLICY, HeaderValue::from_static(NO_PERMISSIONS)),
            }
        }
        if is_https {
            let two_years = HeaderValue::from_static("max-age=63072000; includeSubDomains");
            set(STRICT_TRANSPORT_SECURITY, two_years);
        }
    }
}

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const NO_PERMISSIONS: &str =
    "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()";

/// Every feature that a browser asks people about, or that tells something of them or their machine.
/// Chromium reports a name that it does not know as an error, so only those are listed that it does know.
const NOTHING_AT_ALL: &str = "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), \
     clipboard-read=(), clipboard-write=(), compute-pressure=(), display-capture=(), encrypted-media=(), \
     fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), identity-credentials-get=(), \
     idle-detection=(), keyboard-map=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), \
     otp-credentials=(), payment=(), picture-in-picture=(), publickey-credentials-create=(), \
     publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), usb=(), \
     window-management=(), xr-spatial-tracking=()";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_for_one_kind_of_place() {
        for (method, path, surface) in [
            (Method::GET, "/api/v1/sites/demo/comments", Surface::Read),
            (Method::POST, "/api/v1/sites/demo/comments", Surface::Submit),
            (Method::POST, "/api/v1/sites/demo/counts", Surface::Read),
            (Method::GET, "/api/v1/sites/demo/feed.atom", Surface::Read),
            (Method::PATCH, "/api/v1/comments/1", Surface::Author),
            (Method::POST, "/api/v1/comments/1/appeal", Surface::Author),
            (
                Method::POST,
                "/api/v1/comments/1/decision",
                Surface::Moderate,
            ),
            (Method::POST, "/api/v1/comments/1/reveal", Surface::Moderate),
            (Method::GET, "/api/v1/queue", Surface::Moderate),
            (Method::GET, "/console/queue", Surface::Console),
            (Method::GET, "/consoles", Surface::Other),
            (Method::GET, "/c/1", Surface::Page),
            (Method::GET, "/", Surface::Page),
            (Method::GET, "/metrics", Surface::Operate),
            (Method::POST, "/1.1/comment-check", Surface::Door),
            (Method::GET, "/.env", Surface::Other),
        ] {
            assert_eq!(Surface::of(&method, path), surface, "{method} {path}");
        }
    }

    #[test]
    fn their_numbers_are_their_places_in_the_list() {
        for (place, surface) in Surface::ALL.into_iter().enumerate() {
            assert_eq!(surface as usize, place);
        }
    }
}
