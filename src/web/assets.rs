//! The files a page loads: style sheet, scripts, icon. They are part of the program.
//!
//! Their addresses carry a hash of their content, so a browser may keep them for ever. Only `/embed.js` has a fixed
//! address, for it stands in other people's pages. Invariant: nothing here names another host.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A file, ready to be sent.
#[derive(Clone, Debug)]
pub struct Asset {
    /// The path it is served under: `/assets/console.1f2e3d4c5b.js`.
    pub path: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
    /// An entity tag, in quotes.
    pub etag: String,
    name: &'static str,
}

/// Name, media type, content.
const FILES: [(&str, &str, &[u8]); 4] = [
    (
        "anteroom.css",
        "text/css; charset=utf-8",
        include_bytes!("assets/anteroom.css"),
    ),
    (
        "embed.css",
        "text/css; charset=utf-8",
        include_bytes!("assets/embed.css"),
    ),
    (
        "console.js",
        "text/javascript; charset=utf-8",
        include_bytes!("assets/console.js"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_bytes!("assets/icon.svg"),
    ),
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    FILES
        .into_iter()
        .map(|(name, content_type, bytes)| {
            let hash = short_hash(bytes);
            let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
            Asset {
                path: format!("/assets/{stem}.{hash}.{extension}"),
                content_type,
                bytes,
                etag: format!("\"{hash}\""),
                name,
            }
        })
        .collect()
});

/// The embed's script with its style sheet inside, so that a page loads one file.
static EMBED: LazyLock<(String, String)> = LazyLock::new(|| {
    let style = compact(include_str!("assets/embed.css"));
    let style = serde_json::Value::from(style).to_string();
    let script = compact(include_str!("assets/embed.js")).replace("\"{{style}}\"", &style);
    let etag = format!("\"{}\"", short_hash(script.as_bytes()));
    (script, etag)
});

/// The file served under `path`, which may be kept for ever (`immutable`).
#[must_use]
pub fn at(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// The path of the file called `name`.
///
/// # Panics
/// If there is no such file: names stand in templates, and a test renders each.
#[must_use]
pub fn path(name: &str) -> &'static str {
    ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .map(|asset| asset.path.as_str())
        .expect("templates name only files that exist")
}

/// The script at `/embed.js`.
#[must_use]
pub fn embed_script() -> &'static str {
    &EMBED.0
}

/// The entity tag of the script at `/embed.js`, in quotes.
#[must_use]
pub fn embed_etag() -> &'static str {
    &EMBED.1
}

/// Leaves out indentation, empty lines and lines that are comments; a line of ours never begins inside a string.
fn compact(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for line in source.lines().map(str::trim) {
        let is_comment = line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
        if !line.is_empty() && !is_comment {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

fn short_hash(bytes: &[u8]) -> String {
    let mut hash = hex::encode(Sha256::digest(bytes));
    hash.truncate(12);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_under_its_path() {
        for (name, _, bytes) in FILES {
            let asset = at(path(name)).expect(name);
            assert_eq!(asset.bytes, bytes);
            assert!(asset.path.contains(asset.etag.trim_matches('"')));
        }
        assert!(at("/assets/console.js").is_none());
    }

    #[test]
    fn the_embed_is_one_small_file_with_its_style_inside() {
        let script = embed_script();

        assert!(!script.contains("{{style}}"));
        assert!(script.contains(".ar-form"));
        assert!(script.len() < 24_000, "{} bytes", script.len());
    }

    #[test]
    fn no_file_names_another_host_or_sets_a_cookie() {
        let texts = FILES
            .iter()
            .map(|(_, _, bytes)| String::from_utf8_lossy(bytes).into_owned())
            .chain([embed_script().to_owned()]);
        for text in texts {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            let names_a_host = text
                .split("://")
                .skip(1)
                .any(|rest| rest.starts_with(char::is_alphanumeric));
            assert!(!names_a_host);
            assert!(!text.contains("document.cookie") && !text.contains("@import"));
        }
    }
}
