//! What a person should look at although the set loads.
//!
//! Invariant: nothing here keeps a set from loading, and nothing here is needed to run one.

mod covered;
mod never;

use std::collections::HashMap;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::facts::{FactId, Value};
use super::source::Sources;
use super::source::list::ListKind;
use super::source::log::Log;
use super::source::rule::RawRule;
use super::{Effect, Mode, RuleSet, Subject, eval, lists};
use crate::domain::time::Timestamp;
use crate::domain::verdict::Action;

/// A client most readers have; a rule that names it hits everyone.
const COMMON_AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
];

/// Warns about rules that load and yet are likely not what was meant.
pub(super) fn lint(set: &RuleSet, sources: &Sources<'_>, today: Timestamp, log: &mut Log) {
    for raw in &sources.rules {
        neglect(raw, today, log);
        capitals(raw, log);
        if let Some(words) = &raw.words
            && let Some(matching) = &words.matching
            && matching.value == "substring"
        {
            let message = "substrings hit inside innocent words (the Scunthorpe problem)";
            let help = "`word` or `prefix` is safer; name innocent words in `except`";
            log.warn(raw.file, "substring", &matching.span, message, Some(help));
        }
    }
    never::lint(set, sources, log);
    covered::lint(sources, log);
    everyone(set, sources, log);
    twins(sources, log);
    whole_internet(sources, log);
}

fn neglect(raw: &RawRule<'_>, today: Timestamp, log: &mut Log) {
    let id = &raw.id.value;
    if raw.tests.is_empty() {
        let help = "tests = [{ name = \"…\", body = \"…\", expect = \"match\" }]";
        let message = format!("the rule `{id}` has no tests");
        log.warn(raw.file, "no-tests", &raw.id.span, message, Some(help));
    }
    if let Some(day) = &raw.review_by
        && day.value <= today
    {
        let help = "look at `anteroom rules stats`, then move the date or drop the rule";
        let message = format!("the rule `{id}` was to be reviewed by now");
        log.warn(raw.file, "review", &day.span, message, Some(help));
    }
}

/// A pattern with capitals cannot match a text that was folded to lower case.
fn capitals(raw: &RawRule<'_>, log: &mut Log) {
    let Some(pattern) = &raw.pattern else { return };
    let is_folded = pattern
        .see
        .as_ref()
        .is_none_or(|see| see.value.iter().any(|name| name.value == "fold"));
    let Ok(hir) = regex_syntax::parse(&pattern.regex.value) else {
        return;
    };
    if is_folded && demands_capitals(&hir) {
        let message = "this pattern asks for capitals, but `fold` reads everything in lower case";
        let help = "write it in lower case, or give `see` without \"fold\"";
        log.warn(
            raw.file,
            "capitals",
            &pattern.regex.span,
            message,
            Some(help),
        );
    }
}

fn demands_capitals(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.iter().any(u8::is_ascii_uppercase),
        HirKind::Class(Class::Unicode(class)) => class
            .iter()
            .all(|range| range.start().is_ascii_uppercase() && range.end().is_ascii_uppercase()),
        HirKind::Class(Class::Bytes(_)) | HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Repetition(repetition) => repetition.min > 0 && demands_capitals(&repetition.sub),
        HirKind::Capture(capture) => demands_capitals(&capture.sub),
        HirKind::Concat(parts) => parts.iter().any(demands_capitals),
        HirKind::Alternation(parts) => parts.iter().all(demands_capitals),
    }
}

/// Rules that match a comment without anything in it, or everyone with a common browser.
fn everyone(set: &RuleSet, sources: &Sources<'_>, log: &mut Log) {
    let empty = Subject {
        site: "",
        body: "",
        name: "",
        url: "",
    };
    let facts = set.newcomer();
    let on_empty = eval::matching(set, &empty, &facts);
    for rule in on_empty.iter().filter(|rule| does_something(set, **rule)) {
        let raw = &sources.rules[*rule as usize];
        let span = raw.when.as_ref().map_or(&raw.id.span, |when| &when.span);
        let message = format!(
            "the rule `{}` matches an empty comment of a newcomer",
            raw.id.value
        );
        log.warn(
            raw.file,
            "matches-empty",
            span,
            message,
            Some("ask for something the comment holds"),
        );
    }
    for agent in COMMON_AGENTS {
        let mut facts = facts.clone();
        facts.set(FactId::ClientUserAgent, Value::Text(agent.into()));
        for rule in eval::matching(set, &empty, &facts) {
            if on_empty.contains(&rule) || !does_something(set, rule) {
                continue;
            }
            let raw = &sources.rules[rule as usize];
            let span = raw.when.as_ref().map_or(&raw.id.span, |when| &when.span);
            let message = format!("the rule `{}` matches a common user agent", raw.id.value);
            log.warn(raw.file, "common-agent", span, message, Some(agent));
        }
    }
}

/// Whether a match of the rule changes anything for the worse.
fn does_something(set: &RuleSet, rule: u32) -> bool {
    let rule = &set.rules[rule as usize];
    rule.mode != Mode::Off
        && match &rule.effect {
            Effect::Score { points, .. } => *points > 0.0,
            Effect::Hard { action, .. } => *action != Action::Approve,
        }
}

/// Rules with the same condition always fire together.
fn twins(sources: &Sources<'_>, log: &mut Log) {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for raw in &sources.rules {
        if let Some(other) = seen.get(&*condition(raw)) {
            let message = format!(
                "the rules `{other}` and `{}` always fire together",
                raw.id.value
            );
            log.warn(
                raw.file,
                "twins",
                &raw.id.span,
                message,
                Some("join them into one rule"),
            );
            continue;
        }
        seen.insert(condition(raw), &raw.id.value);
    }
}

/// The condition of a rule as text, without what it is called and what it does.
fn condition(raw: &RawRule<'_>) -> String {
    use super::source::log::At;
    let texts = |list: &Option<At<Vec<At<String>>>>| -> Option<Vec<String>> {
        list.as_ref()
            .map(|list| list.value.iter().map(|text| text.value.clone()).collect())
    };
    let words = raw.words.as_ref().map(|words| {
        let list = words.list.as_ref().map(|list| &list.value);
        let matching = words.matching.as_ref().map(|matching| &matching.value);
        let (entries, except) = (texts(&words.entries), texts(&words.except));
        format!(
            "{list:?} {entries:?} {:?} {matching:?} {:?} {except:?}",
            texts(&words.on),
            texts(&words.see)
        )
    });
    let pattern = raw.pattern.as_ref().map(|pattern| {
        format!(
            "{:?} {:?} {:?}",
            pattern.regex.value,
            texts(&pattern.on),
            texts(&pattern.see)
        )
    });
    let when = raw
        .when
        .as_ref()
        .map(|when| when.value.split_whitespace().collect::<String>());
    format!("{when:?} {words:?} {pattern:?}")
}

/// Networks that hold all of IPv4 or all of the IPv6 in use.
fn whole_internet(sources: &Sources<'_>, log: &mut Log) {
    for list in sources
        .lists
        .iter()
        .filter(|list| list.kind == ListKind::Cidr)
    {
        for entry in &list.entries {
            let Some(net) = lists::parse_net(entry.text) else {
                continue;
            };
            // 2000::/3 is all that was ever given out.
            let is_everyone = if net.addr().is_ipv6() {
                net.prefix_len() <= 3
            } else {
                net.prefix_len() == 0
            };
            if is_everyone {
                let family = if net.addr().is_ipv6() { "IPv6" } else { "IPv4" };
                let message = format!("`{}` holds every {family} address", entry.text);
                log.warn(
                    list.file,
                    "every-address",
                    &entry.span,
                    message,
                    Some("name the networks that are meant"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::rules::tests::compiled;

    const HEAD: &str =
        "[[rule]]\nid = 'a'\nlabel = 'spam'\npoints = 1\ntests = [{ expect = 'no match' }]\n";

    fn codes(files: &[(&str, &str)]) -> Vec<String> {
        let compiled = compiled(files);
        assert!(compiled.rule_set.is_some(), "{:?}", compiled.diagnostics);
        compiled
            .diagnostics
            .iter()
            .map(|one| format!("{} {}:{}", one.code, one.path, one.line))
            .collect()
    }

    #[rstest]
    #[case(
        "when = \"links.count > 3 && links.count < 3\"\n",
        "never-matches 10.toml:6"
    )]
    #[case("when = '''false && body.chars > 1'''\n", "never-matches 10.toml:6")]
    #[case("when = \"author.approved == 0\"\n", "matches-empty 10.toml:6")]
    #[case(
        "when = \"client.user_agent.contains('Mozilla')\"\n",
        "common-agent 10.toml:6"
    )]
    #[case(
        "[rule.words]\nentries = ['ass']\nmatch = 'substring'\n",
        "substring 10.toml:8"
    )]
    #[case(
        "[rule.words]\nentries = ['pill', 'pills']\nmatch = 'prefix'\n",
        "covered 10.toml:7"
    )]
    #[case("[rule.words]\nentries = ['pill', 'Pill']\n", "covered 10.toml:7")]
    #[case("[rule.pattern]\nregex = 'Call now'\n", "capitals 10.toml:7")]
    #[case("[rule.pattern]\nregex = '[0-9]{5}'\n", "no-literal 10.toml:7")]
    #[case(
        "review_by = 2026-11-01\nwhen = 'links.count > 1'\n",
        "review 10.toml:6"
    )]
    fn a_doubtful_rule_is_named(#[case] rest: &str, #[case] expected: &str) {
        let mut found = codes(&[("10.toml", &format!("{HEAD}{rest}"))]);
        found.dedup();
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_rule_without_tests_is_named() {
        let text = "[[rule]]\nid = 'a'\nlabel = 'spam'\npoints = 1\nwhen = 'links.count > 1'\n";
        assert_eq!(codes(&[("10.toml", text)]), ["no-tests 10.toml:2"]);
    }

    #[test]
    fn two_rules_with_one_condition_are_named() {
        let text = format!("{HEAD}when = 'links.count > 1'\n");
        let both = format!(
            "{text}{}",
            text.replace("'a'", "'b'").replace("> 1", ">  1")
        );
        assert_eq!(codes(&[("10.toml", &both)]), ["twins 10.toml:8"]);
    }

    #[test]
    fn lines_of_lists_that_do_nothing_are_named() {
        let domains = "#! type = \"domain\" ttl = \"90d\"\n*.a.test | added 2026-11-20\nb.a.test | until 2027-01-01\n\
                       old.test | until 2026-11-23 | complaint\nlast.test | until 2026-11-24\nbare.test\n";
        let nets = "#! type = \"cidr\"\n2000::/3\n192.0.2.0/24\n192.0.2.7\n";
        assert_eq!(
            codes(&[
                ("policy.toml", "format = 1\n"),
                ("lists/d.txt", domains),
                ("lists/n.txt", nets)
            ]),
            [
                "covered lists/d.txt:3",
                "expired lists/d.txt:4",
                "no-date lists/d.txt:6",
                "every-address lists/n.txt:2",
                "covered lists/n.txt:4"
            ]
        );
    }

    #[test]
    fn an_override_that_ended_is_named_and_does_nothing() {
        let rule = format!("{HEAD}when = 'links.count > 1'\n");
        let site = "[override.a]\nmode = 'off'\nreason = 'seeds'\nuntil = 2026-11-01\n";
        assert_eq!(
            codes(&[("10.toml", &rule), ("sites/garden.toml", site)]),
            ["expired sites/garden.toml:4"]
        );
    }
}
