//! A small drawing for every author, made of a seed: no third party, no file, always the same.
//!
//! Not a fingerprint of anybody: the seed is chosen by the caller and never an address or anything computed from one.
//! Invariant: the drawing is less than a kilobyte and holds nothing but shapes.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Ground, and three inks that keep apart from it and from each other.
const PALETTES: [[&str; 4]; 10] = [
    ["efe3cf", "1f4e5f", "d9793d", "e9b44c"],
    ["dfe8e6", "274c5a", "5b9aa0", "e07a5f"],
    ["ece4ee", "4b3b6b", "9a6fb0", "e5a4a4"],
    ["e2ead8", "33523a", "7fa653", "d8a83f"],
    ["f3dfd5", "7a2e39", "d0604c", "34616b"],
    ["dde6f0", "243b63", "5d87bd", "e2a458"],
    ["f2e8c9", "5a4a1c", "c29a2e", "3f7d7b"],
    ["e6e3de", "3a3a3f", "8d8a83", "c8553d"],
    ["d7ecec", "16515a", "3f9c9c", "f0b67f"],
    ["f0dde4", "5c2a4a", "b5587f", "6c8a4f"],
];

/// Draws the seed as an SVG document: four tiles of simple shapes on a quiet ground.
#[must_use]
pub fn svg(seed: &[u8]) -> String {
    let hash = Sha256::digest(seed);
    let palette = PALETTES[usize::from(hash[0]) % PALETTES.len()];
    let mut out = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 40 40'><path fill='#{}' d='M0 0h40v40H0z'/>",
        palette[0]
    );
    let mut used = usize::from(hash[1]) % 3;
    for tile in 0..4 {
        let (x, y) = (tile % 2 * 20, tile / 2 * 20);
        let shape = hash[2 + tile];
        // Never the ink of the tile before: neighbours stay apart.
        used = (used + 1 + usize::from(hash[6 + tile]) % 2) % 3;
        let ink = palette[1 + used];
        let turn = usize::from(shape >> 4) % 4 * 90;
        let path = match shape % 8 {
            0 => "M0 0h20A20 20 0 0 1 0 20z",                  // quarter
            1 => "M0 0A20 20 0 0 1 20 20A20 20 0 0 1 0 0z",    // leaf
            2 => "M0 0h20A10 10 0 0 1 0 0z",                   // half
            3 => "M0 0h20L0 20z",                              // triangle
            4 => "M10 3a7 7 0 1 1 0 14a7 7 0 0 1 0-14z",       // disc
            5 => "M0 0h20v20z M0 20A8 8 0 0 1 8 20z",          // triangle and corner
            6 => "M0 0h20v7H0z M0 13h20v7H0z",                 // bars
            _ => "M0 0A20 20 0 0 0 20 20V12A12 12 0 0 1 8 0z", // arc
        };
        let turned = if turn == 0 {
            String::new()
        } else {
            format!("rotate({turn} 10 10)")
        };
        let _ = write!(
            out,
            "<path fill='#{ink}' transform='translate({x} {y}){turned}' d='{path}'/>"
        );
    }
    out.push_str("</svg>");
    out
}

/// The drawing as a `data:` address for an image.
#[must_use]
pub fn data_uri(seed: &[u8]) -> String {
    let svg = svg(seed);
    let mut uri = String::with_capacity(svg.len() + 128);
    uri.push_str("data:image/svg+xml,");
    for c in svg.chars() {
        match c {
            '#' => uri.push_str("%23"),
            '<' => uri.push_str("%3C"),
            '>' => uri.push_str("%3E"),
            ' ' => uri.push_str("%20"),
            _ => uri.push(c),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_drawing() {
        assert_eq!(svg(b"ada"), svg(b"ada"));
        assert_ne!(svg(b"ada"), svg(b"bob"));
    }

    #[test]
    fn drawings_are_small_and_hardly_ever_alike() {
        let seeds = 0..2_000_u32;

        let drawings: HashSet<String> = seeds.map(|seed| svg(&seed.to_be_bytes())).collect();

        assert!(drawings.iter().all(|svg| svg.len() < 1_000));
        assert!(drawings.len() > 1_990, "{} of 2000", drawings.len());
    }

    #[test]
    fn a_data_address_holds_no_character_that_ends_an_attribute() {
        for seed in 0..100_u8 {
            let uri = data_uri(&[seed]);
            assert!(!uri.contains(['"', '<', '>', '#', ' ']), "{uri}");
        }
    }
}
