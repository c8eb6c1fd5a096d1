//! What holds for every page, whatever strangers have typed into it.

use regex::Regex;

use super::samples::{all_pages, as_typed};
use crate::web::assets;

/// Texts that would be markup, or end an attribute, if a page let them.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' autofocus onfocus='alert(1)",
    "</textarea><script>alert(1)</script>",
    "</title><svg/onload=alert(1)>",
    "<!--<img src=\"--><img src=x onerror=alert(1)//\">",
    "javascript:alert(1)",
    "jAvAsCrIpT&colon;alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "&lt;b&gt; &amp;#x3c;script&amp;#x3e;",
    "{{ 7 * 7 }} {% if true %} ${7*7}",
    "<blockquote cite=\"\n\" onmouseover=alert(1)>",
    "`-alert(1)-`",
    "//evil.example/x",
    "/\\evil.example",
];

#[test]
fn a_hostile_text_changes_no_tag_and_no_attribute_of_any_page() {
    for hostile in HOSTILE {
        // Of the same length, so that marks fall on the same places.
        let plain = all_pages(&|_| "x".repeat(hostile.len()));
        for ((name, page), (_, plain)) in all_pages(&|_| (*hostile).to_owned()).iter().zip(&plain) {
            for mark in ['<', '>', '"'] {
                assert_eq!(
                    page.matches(mark).count(),
                    plain.matches(mark).count(),
                    "{mark} on page {name} for {hostile}"
                );
            }
        }
    }
}

#[test]
fn a_hostile_text_is_shown_as_it_was_typed() {
    for hostile in HOSTILE {
        for (name, page) in all_pages(&|_| (*hostile).to_owned()) {
            // These two show nothing that anybody typed.
            if matches!(name, "problem-404" | "setup-late") {
                continue;
            }
            assert!(
                unescape(&page).contains(hostile),
                "{hostile} on page {name}"
            );
        }
    }
}

#[test]
fn a_hostile_address_is_never_a_link() {
    let target = Regex::new(r#"(?:href|src|action)="([^"]*)""#).expect("a valid pattern");
    for hostile in HOSTILE {
        for (name, page) in all_pages(&|_| (*hostile).to_owned()) {
            for found in target.captures_iter(&page) {
                let leads_to = unescape(&found[1]);
                let is_ours = leads_to.starts_with(['#', '?'])
                    || (leads_to.starts_with('/') && !leads_to.starts_with("//"))
                    || leads_to.starts_with("data:image/svg+xml,%3Csvg");
                assert!(is_ours, "{leads_to} on page {name}");
            }
        }
    }
}

#[test]
fn no_page_needs_inline_script_or_style_or_another_host() {
    let handler = Regex::new(r"(?i)<[^>]*\s(?:on\w+|style)\s*=").expect("a valid pattern");
    let loads = Regex::new(r#"(?:src|<link[^>]* href|action)="([^"]*)""#).expect("a valid pattern");
    for (name, page) in all_pages(&as_typed) {
        assert!(
            !handler.is_match(&page),
            "inline handler or style on page {name}"
        );
        assert!(!page.contains("<style"), "style on page {name}");
        for script in page.split("<script").skip(1) {
            let tag = script.split("</script>").next().unwrap_or_default();
            assert!(
                tag.contains("src=\"/") && tag.ends_with('>'),
                "inline script on page {name}"
            );
        }
        for found in loads.captures_iter(&page) {
            let from = &found[1];
            let is_ours = from.starts_with('/') && !from.starts_with("//");
            assert!(
                is_ours || from.starts_with("data:image/svg+xml,"),
                "{from} on page {name}"
            );
        }
    }
}

#[test]
fn every_form_behind_the_login_carries_the_token_against_forgery() {
    for (name, page) in all_pages(&as_typed) {
        for form in page.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap_or_default();
            let is_console = form.contains(r#"method="post" action="/console"#)
                && !form.contains(r#"action="/console/setup""#);
            assert!(
                !is_console || form.contains(r#"name="csrf""#),
                "a form on page {name}"
            );
        }
    }
}

#[test]
fn every_field_has_a_label_and_no_id_is_given_twice() {
    let id = Regex::new(r#"\sid="([^"]*)""#).expect("a valid pattern");
    let field = Regex::new(r"<(?:input|textarea|select)[^>]*>").expect("a valid pattern");
    for (name, page) in all_pages(&as_typed) {
        let mut seen = std::collections::HashSet::new();
        for found in id.captures_iter(&page) {
            assert!(
                seen.insert(found[1].to_owned()),
                "id {} twice on page {name}",
                &found[1]
            );
        }
        for found in field.find_iter(&page) {
            let tag = found.as_str();
            let is_labelled = tag.contains("type=\"hidden\"")
                || tag.contains("aria-label=")
                || id
                    .captures(tag)
                    .is_some_and(|id| page.contains(&format!("for=\"{}\"", &id[1])))
                || is_inside_a_label(&page[..found.start()]);
            assert!(is_labelled, "{tag} on page {name}");
        }
    }
}

fn is_inside_a_label(before: &str) -> bool {
    before.matches("<label").count() > before.matches("</label>").count()
}

#[test]
fn the_form_says_what_is_required_and_that_the_address_stays_private() {
    let pages = all_pages(&as_typed);
    let (_, demo) = pages
        .iter()
        .find(|(name, _)| *name == "demo")
        .expect("a demo page");

    let text = Regex::new("<[^>]+>")
        .expect("a valid pattern")
        .replace_all(demo, "");
    assert!(
        text.contains("Your email address will not be published. Required fields are marked *"),
    );
    for field in ["name=\"name\"", "name=\"email\"", "name=\"body\""] {
        let tag = demo
            .split('<')
            .find(|tag| tag.contains(field))
            .unwrap_or_default();
        assert!(tag.contains(" required"), "{field}");
    }
}

#[test]
fn a_console_page_weighs_less_than_a_hundred_kilobytes_with_everything() {
    let files: usize = ["anteroom.css", "console.js", "icon.svg"]
        .iter()
        .filter_map(|name| assets::at(assets::path(name)))
        .map(|asset| asset.bytes.len())
        .sum();
    for (name, page) in all_pages(&as_typed) {
        assert!(
            page.len() + files < 100_000,
            "{name}: {} bytes",
            page.len() + files
        );
    }
}

#[test]
fn every_page_is_written_out_for_a_look() {
    let dir = std::env::temp_dir().join("anteroom-pages");
    std::fs::create_dir_all(dir.join("assets")).expect("a writable temporary directory");
    for (name, page) in all_pages(&as_typed) {
        std::fs::write(dir.join(format!("{name}.html")), page).expect("a page is written");
    }
    for name in ["anteroom.css", "embed.css", "console.js", "icon.svg"] {
        let asset = assets::at(assets::path(name)).expect(name);
        std::fs::write(dir.join(asset.path.trim_start_matches('/')), asset.bytes)
            .expect("an asset is written");
    }
    std::fs::write(dir.join("embed.js"), assets::embed_script()).expect("the embed is written");
}

/// Undoes the templates' escaping, once.
fn unescape(html: &str) -> String {
    html.replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
}
