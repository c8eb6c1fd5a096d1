//! The directions of ARCHITECTURE.md, read off the source: who may name whom, and that both
//! databases are built by the same steps.
//!
//! Not a style check. A module missing from `LAYERS` fails here, so that a new one finds its place
//! before it finds its users.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// One module at the root of the crate.
struct Layer {
    module: &'static str,
    /// The modules it may name, besides itself.
    uses: &'static [&'static str],
    /// Crates and standard modules that have no business in it.
    never: &'static [&'static str],
}

const PURE: &[&str] = &[
    "axum",
    "clap",
    "futures_util",
    "getrandom",
    "hyper",
    "metrics",
    "notify",
    "sqlx",
    "std::env",
    "std::fs",
    "std::net::Tcp",
    "tokio",
    "tracing",
];
const BELOW_APP: &[&str] = &["domain", "text", "rules", "model", "seal", "store"];
const BELOW_DOORS: &[&str] = &[
    "domain",
    "text",
    "rules",
    "model",
    "seal",
    "store",
    "app",
    "config",
    "telemetry",
];

const LAYERS: &[Layer] = &[
    Layer {
        module: "domain",
        uses: &[],
        never: PURE,
    },
    Layer {
        module: "text",
        uses: &["domain"],
        never: PURE,
    },
    Layer {
        module: "model",
        uses: &["domain", "text"],
        never: PURE,
    },
    Layer {
        module: "rules",
        uses: &["domain", "text", "model"],
        never: PURE,
    },
    Layer {
        module: "seal",
        uses: &["domain"],
        never: &["axum", "clap", "hyper", "sqlx"],
    },
    Layer {
        module: "config",
        uses: &["domain"],
        never: &["axum", "hyper", "sqlx"],
    },
    Layer {
        module: "telemetry",
        uses: &["domain", "config"],
        never: &["axum", "sqlx"],
    },
    Layer {
        module: "store",
        uses: &["domain", "text", "rules", "model", "seal"],
        never: &["axum", "clap", "hyper"],
    },
    Layer {
        module: "app",
        uses: BELOW_APP,
        never: &["axum", "clap", "hyper", "sqlx"],
    },
    Layer {
        module: "web",
        uses: BELOW_DOORS,
        never: &["clap", "sqlx"],
    },
    Layer {
        module: "work",
        uses: BELOW_DOORS,
        never: &["axum", "clap", "sqlx"],
    },
    // The command `serve` is what starts the two others.
    Layer {
        module: "cli",
        uses: &[
            "domain",
            "text",
            "rules",
            "model",
            "seal",
            "store",
            "app",
            "config",
            "telemetry",
            "web",
            "work",
        ],
        never: &["sqlx"],
    },
];

#[test]
fn arrows_between_modules_point_only_downwards() {
    let mut wrong = Vec::new();
    for file in source_files() {
        let Some(layer) = layer_of(&file) else {
            continue;
        };
        for name in modules_named_in(&code_of(&file)) {
            let is_module = LAYERS.iter().any(|layer| layer.module == name);
            if is_module && name != layer.module && !layer.uses.contains(&name.as_str()) {
                wrong.push(format!(
                    "{}: `{}` must not use `{name}`",
                    file.display(),
                    layer.module
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_layer_does_not_touch_what_belongs_to_another() {
    let mut wrong = Vec::new();
    for file in source_files() {
        let Some(layer) = layer_of(&file) else {
            continue;
        };
        let code = without_tests(&code_of(&file));
        for outsider in layer.never {
            if Regex::new(&format!(r"\b{outsider}(::|\w*\b)"))
                .unwrap()
                .find_iter(&code)
                .any(|found| found.as_str().contains("::"))
            {
                wrong.push(format!(
                    "{}: `{}` must not use `{outsider}`",
                    file.display(),
                    layer.module
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_of_the_crate_has_its_place() {
    let placed: BTreeSet<_> = LAYERS.iter().map(|layer| layer.module.to_owned()).collect();
    let declared = Regex::new(r"(?m)^(?:pub(?:\(\w+\))? )?mod (\w+);").unwrap();
    let face = code_of(Path::new("src/lib.rs"));

    for module in declared.captures_iter(&face) {
        assert!(
            placed.contains(&module[1]),
            "`{}` is in no layer",
            &module[1]
        );
    }
}

#[test]
fn the_root_is_left_by_name_and_never_by_super() {
    let chain = Regex::new(r"\b(?:super::)+").unwrap();
    for file in source_files() {
        let depth = file.components().count() - 1;
        for found in chain.find_iter(&without_tests(&code_of(&file))) {
            let levels = found.as_str().matches("super::").count();
            assert!(
                levels < depth,
                "{}: write `crate::` for the root",
                file.display()
            );
        }
    }
}

#[test]
fn both_databases_are_built_by_the_same_steps() {
    let steps = |database: &str| -> BTreeSet<String> {
        std::fs::read_dir(format!("migrations/{database}"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };

    assert_eq!(steps("sqlite"), steps("postgres"));
}

#[test]
fn the_reader_of_paths_sees_through_groups_and_comments() {
    let code = "use crate::{store::{Tx, on}, web};\n//! [`crate::cli`]\nfn f() { crate::app::g() }";

    let names = modules_named_in(&strip_comments(code));

    assert_eq!(names, ["app", "store", "web"].map(String::from).into());
}

fn layer_of(file: &Path) -> Option<&'static Layer> {
    let module = file.components().nth(1).unwrap();
    let module = Path::new(module.as_os_str()).file_stem().unwrap();
    LAYERS.iter().find(|layer| layer.module == module)
}

fn source_files() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn code_of(file: &Path) -> String {
    strip_comments(&std::fs::read_to_string(file).unwrap())
}

fn strip_comments(code: &str) -> String {
    let kept = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    kept.collect::<Vec<_>>().join("\n")
}

/// What stands before the unit tests, which may bring their own tools.
fn without_tests(code: &str) -> String {
    let start = Regex::new(r"#\[cfg\(test\)\]\n(?:pub\(crate\) )?mod ").unwrap();
    start.split(code).next().unwrap_or_default().to_owned()
}

/// The root modules that follow a `crate::`, alone or as a group.
fn modules_named_in(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, root) in code.match_indices("crate::") {
        let rest = &code[at + root.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            names.extend(first_words_of_group(group));
        } else {
            names.insert(first_word(rest));
        }
    }
    names
}

fn first_words_of_group(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut starts = vec![0];
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts
        .iter()
        .map(|&at| first_word(group[at..].trim_start()))
        .collect()
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}
