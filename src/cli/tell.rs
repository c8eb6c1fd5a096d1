//! What a command says when it is done: one JSON document, or words and tables for people.
//!
//! Not here: how a command failed, which is [`super::Failure`]. Invariant: with `--json`, standard output holds exactly
//! one JSON document.

use std::io::{self, Write};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value;

use super::Failure;

/// Says one thing in the form that was asked for.
pub(super) fn tell(json: bool, value: &Value, words: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let told = if json {
        writeln!(out, "{value}")
    } else {
        writeln!(out, "{words}")
    };
    match told {
        // Whoever read our output has heard enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        told => told.map_err(Failure::environment),
    }
}

/// Aligned columns under their headings; nothing but the headings when there is nothing to list.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(headings)
        .add_rows(rows);
    // The border that is not drawn leaves a space on the left of every line.
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_its_columns() {
        let rows = vec![
            ["ada".to_owned(), "admin".to_owned()],
            ["bo".to_owned(), String::new()],
        ];
        assert_eq!(table(["NAME", "ROLE"], rows), "NAME  ROLE\nada   admin\nbo");
    }
}
