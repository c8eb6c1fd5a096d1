//! The rule commands as an operator uses them: exit status, places, one verdict a line.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::rig::Backend;
use crate::rig::server::Settings;

const POLICY: &str = "format = 1\n[thresholds]\nhold = 4.0\nreject = 10.0\n";
const RULE: &str = r#"
[[rule]]
id = "links.many"
title = "More than one link"
because = "{links.count} links"
label = "spam"
when = "links.count > 1"
points = 5.0
tests = [
  { name = "two", body = "see http://a.test and http://b.test", expect = "match" },
  { name = "none", body = "see you", expect = "no match" },
]
"#;

#[test]
fn sound_rules_pass_check_and_test() {
    let rules = folder_with(RULE);

    let check = run(&["rules", "check", path(&rules)], "");
    let test = run(&["rules", "test", path(&rules)], "");

    assert_eq!(check.status.code(), Some(0), "{check:?}");
    assert_eq!(test.status.code(), Some(0), "{test:?}");
}

#[test]
fn the_shipped_rules_pass_without_a_warning() {
    let check = run(&["rules", "check", "--deny-warnings", "rules"], "");
    let test = run(&["rules", "test", "rules"], "");

    assert_eq!(check.status.code(), Some(0), "{check:?}");
    assert_eq!(test.status.code(), Some(0), "{test:?}");
}

#[test]
fn a_directory_that_lost_its_policy_says_so_and_nothing_else() {
    let empty = tempfile::tempdir().unwrap();
    let without = folder_with(&RULE.replace("points = 5.0", "points = 5.0\ngroup = \"links\""));
    std::fs::remove_file(without.path().join("policy.toml")).unwrap();

    for folder in [&empty, &without] {
        let output = run(&["rules", "check", path(folder)], "");

        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = said(&output);
        assert!(said.contains("there is no policy.toml"), "{said}");
        assert_eq!(said.matches("error[").count(), 1, "{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_the_only_thing_said() {
    let rules = folder_with(&RULE.replace("links.count > 1\"", "links.count > 1"));
    let more = "[[rule]]\nid = \"trust\"\nlabel = \"spam\"\naction = \"approve\"\nover = [\"links.*\"]\n\
                when = \"author.approved > 3\"\n";
    std::fs::write(rules.path().join("20-trust.toml"), more).unwrap();

    let output = run(&["rules", "check", path(&rules)], "");

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = said(&output);
    assert!(said.contains("10-own.toml:7"), "{said}");
    assert!(!said.contains("names no rule"), "{said}");
}

#[test]
fn a_mistake_is_shown_at_its_place_with_the_nearest_name() {
    let rules = folder_with(&RULE.replace("links.count > 1", "links.cuont > 1"));

    let output = run(&["rules", "check", path(&rules)], "");

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = said(&output);
    assert!(said.contains("10-own.toml:7:"), "{said}");
    assert!(said.contains("links.count"), "{said}");
}

#[test]
fn a_warning_fails_only_when_that_is_asked_for() {
    let untested = RULE.split("tests = [").next().unwrap();
    let rules = folder_with(untested);

    let lenient = run(&["rules", "check", path(&rules)], "");
    let strict = run(&["rules", "check", "--deny-warnings", path(&rules)], "");

    assert_eq!(lenient.status.code(), Some(0), "{lenient:?}");
    assert_eq!(strict.status.code(), Some(1), "{strict:?}");
}

#[test]
fn a_test_in_a_rule_file_that_fails_is_named() {
    let rules = folder_with(&RULE.replace("see you", "http://a.test http://b.test"));

    let output = run(&["rules", "test", path(&rules)], "");

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = said(&output);
    assert!(
        said.contains("links.many") && said.contains("none"),
        "{said}"
    );
}

#[test]
fn a_folder_that_is_not_there_is_wrong_usage() {
    let output = run(&["rules", "check", "/nowhere/at/all"], "");

    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn every_line_gets_one_verdict_in_order() {
    let rules = folder_with(RULE);
    let input = concat!(
        r#"{"id": "a", "body": "hello"}"#,
        "\n",
        r#"{"id": "b", "text": "one\r\nhttp://a.test http://b.test", "colour": "green"}"#,
        "\n",
        r#"{"body": "without an id", "name": "Ada", "email": "ada@post.example.org"}"#,
        "\n",
    );

    let output = judged_by(&rules, input);

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = lines(&output);
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["id"], &lines[0]["verdict"]),
        (&"a".into(), &"approve".into())
    );
    assert_eq!(
        (&lines[1]["id"], &lines[1]["verdict"]),
        (&"b".into(), &"hold".into())
    );
    assert_eq!(lines[1]["points"]["spam"], 5.0);
    assert_eq!(lines[1]["spam"], Value::Null);
    let finding = &lines[1]["findings"][0];
    assert_eq!(finding["rule"], "links.many");
    assert_eq!(finding["label"], "spam");
    assert_eq!(finding["points"], 5.0);
    assert_eq!(finding["message"], "2 links");
    assert_eq!(finding["shadow"], false);
    assert!(
        lines[1]["rule_set"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    assert!(!String::from_utf8_lossy(&output.stdout).contains("ada@"));
}

#[test]
fn a_malformed_line_is_an_error_on_its_line_and_the_rest_go_on() {
    let rules = folder_with(RULE);
    let input = "{\"id\": \"a\", \"body\": \"hello\"}\nnot json\n{\"id\": \"c\", \"body\": 7}\n{\"body\": \"bye\"}\n";

    let output = judged_by(&rules, input);

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = lines(&output);
    assert_eq!(lines.len(), 4);
    assert!(lines[1]["error"].is_string() && lines[2]["error"].is_string());
    assert_eq!(lines[2]["id"], "c");
    assert_eq!(lines[3]["verdict"], "approve");
}

#[test]
fn facts_can_be_stated_with_the_line() {
    let rule = RULE.replace("links.count > 1", "links.count > 1 && author.approved == 0");
    let rules = folder_with(rule.split("tests = [").next().unwrap());
    let line = r#"{"body": "http://a.test http://b.test", "facts": {"author.approved": 4}}"#;

    let newcomer = judged_by(&rules, r#"{"body": "http://a.test http://b.test"}"#);
    let regular = judged_by(&rules, line);

    assert_eq!(lines(&newcomer)[0]["verdict"], "hold");
    assert_eq!(lines(&regular)[0]["verdict"], "approve");
}

#[test]
fn a_command_nobody_knows_is_wrong_usage() {
    assert_eq!(run(&["judge"], "").status.code(), Some(2));
    assert_eq!(run(&["--help"], "").status.code(), Some(0));
}

fn folder_with(rules: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
    std::fs::write(folder.path().join("10-own.toml"), rules).unwrap();
    folder
}

fn path(folder: &tempfile::TempDir) -> &str {
    let path: &Path = folder.path();
    path.to_str().unwrap()
}

fn run(words: &[&str], input: &str) -> Output {
    Settings::new(&Backend::Sqlite).command(words, input)
}

fn judged_by(rules: &tempfile::TempDir, input: &str) -> Output {
    Settings::new(&Backend::Sqlite)
        .with("ANTEROOM_RULES__DIR", path(rules))
        .command(&["check", "--jsonl"], input)
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}
