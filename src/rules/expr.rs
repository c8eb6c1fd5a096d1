//! `when`: from text in the Common Expression Language to a typed program that is walked directly.
//!
//! The grammar is CEL's (cel.dev), parsed by ourselves because its positions, limits and speed are part of the user
//! interface. Left out: maps, indexes, byte strings, macros over lists, messages. Where CEL would fail at run time
//! (a division by zero, an overflow) the result is unknown.
//! Invariant: a program that was compiled cannot fail, and its cost does not depend on anything but the lengths of
//! the texts it reads.

pub mod check;
pub mod parse;
pub mod program;

pub use check::{Names, compile};
pub use parse::{ExprError, MAX_BYTES, parse};
pub use program::{Program, Scope};

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::rules::facts::{FactId, Facts, Value};

    /// A scope of facts alone.
    struct Known(Facts);

    impl Scope for Known {
        fn int(&self, fact: FactId) -> Option<i64> {
            match self.0.get(fact)? {
                Value::Int(number) => Some(*number),
                _ => None,
            }
        }
        fn float(&self, fact: FactId) -> Option<f64> {
            match self.0.get(fact)? {
                Value::Float(number) => Some(*number),
                _ => None,
            }
        }
        fn truth(&self, fact: FactId) -> Option<bool> {
            match self.0.get(fact)? {
                Value::Bool(truth) => Some(*truth),
                _ => None,
            }
        }
        fn text(&self, fact: FactId) -> Option<&str> {
            match self.0.get(fact)? {
                Value::Text(text) => Some(text),
                _ => None,
            }
        }
        fn is_known(&self, fact: FactId) -> bool {
            self.0.get(fact).is_some()
        }
        fn counter(&self, counter: u32) -> Option<i64> {
            (counter == 0).then_some(7)
        }
        fn hits(&self, rule: u32) -> i64 {
            i64::from(rule)
        }
        fn is_listed(&self, _list: u32, value: &str) -> bool {
            value == "listed"
        }
    }

    fn names() -> Names<'static> {
        Names {
            counters: vec!["ip_10m", "other"],
            rules: HashMap::from([("a.rule", 3)]),
            lists: HashMap::from([("lists/x.txt", 0)]),
        }
    }

    fn run(text: &str) -> Option<bool> {
        let mut facts = Facts::new();
        facts.set(FactId::LinksCount, Value::Int(3));
        facts.set(FactId::BodyCapsRatio, Value::Float(0.5));
        facts.set(FactId::AuthorVerified, Value::Bool(true));
        facts.set(FactId::AuthorUrlDomain, Value::Text("listed".into()));
        let program = compile(text, &names()).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        program.run(&Known(facts))
    }

    fn refused(text: &str) -> (&'static str, String) {
        let errors = compile(text, &names()).expect_err(text);
        (errors[0].code, text[errors[0].span.clone()].to_owned())
    }

    /// Cases after the language's public conformance suite (basic, comparisons, logic, integer and floating-point
    /// arithmetic, parse, string), for the part of the language that rules have.
    #[rstest]
    #[case("true", Some(true))]
    #[case("!true", Some(false))]
    #[case("!!true", Some(true))]
    #[case("false || true", Some(true))]
    #[case("true && false || true", Some(true))]
    #[case("true || false && false", Some(true))]
    #[case("1 == 1 && 2 != 3", Some(true))]
    #[case("5u == 5", Some(true))]
    #[case("0x2A == 42", Some(true))]
    #[case("-0x1 == -1", Some(true))]
    #[case("-9223372036854775808 < 0", Some(true))]
    #[case("1e3 == 1000.0", Some(true))]
    #[case(".5 + .5 == 1.0", Some(true))]
    #[case("1 < 1.5", Some(true))]
    #[case("2.0 >= 2", Some(true))]
    #[case("1 + 2 * 3 == 7", Some(true))]
    #[case("(1 + 2) * 3 == 9", Some(true))]
    #[case("7 / 2 == 3 && -7 / 2 == -3", Some(true))]
    #[case("43 % 5 == 3 && -43 % 5 == -3", Some(true))]
    #[case("2 - 3 - 4 == -5", Some(true))]
    #[case("- -1 == 1", Some(true))]
    #[case("'a' < 'b' && 'A' < 'a'", Some(true))]
    #[case("'abc' + 'def' == 'abcdef'", Some(true))]
    #[case(r#""\u00e9\x41\101\n" == 'éAA' + "\n""#, Some(true))]
    #[case(r"r'\n' == '\\n'", Some(true))]
    #[case("'''it's''' == \"it's\"", Some(true))]
    #[case("size('été') == 3 && 'été'.size() == 3", Some(true))]
    #[case("'foobar'.startsWith('foo') && 'foobar'.endsWith('bar')", Some(true))]
    #[case("'foobar'.contains('oba') && !'foobar'.contains('x')", Some(true))]
    #[case("'hubba'.matches('^h.*a$')", Some(true))]
    #[case("3 in [1, 2, 3] && !(4 in [1, 2])", Some(true))]
    #[case("'a' in []", Some(false))]
    #[case("true ? 1 == 1 : 1 == 2", Some(true))]
    #[case("(false ? 'a' : 'b') == 'b'", Some(true))]
    #[case("true == true && true != false", Some(true))]
    #[case("int(2.9) == 2 && double(2) == 2.0", Some(true))]
    #[case("links.count > 2 // more than two\n && true", Some(true))]
    #[case("links.count == 3 && 2 < links.count", Some(true))]
    #[case("body.caps_ratio * 2.0 == 1.0", Some(true))]
    #[case("rate.ip_10m == 7 && has(rate.ip_10m) && !has(rate.other)", Some(true))]
    #[case("hits('a.rule') == 3", Some(true))]
    #[case("in_list(author.url_domain, 'lists/x.txt')", Some(true))]
    fn it_means_what_the_language_says(#[case] text: &str, #[case] expected: Option<bool>) {
        assert_eq!(run(text), expected, "{text}");
    }

    /// `author.approved` and `author.trusted` are not known.
    #[rstest]
    #[case("author.approved == 0", None)]
    #[case("!(author.approved == 0)", None)]
    #[case("author.trusted && false", Some(false))]
    #[case("false && author.trusted", Some(false))]
    #[case("author.trusted || true", Some(true))]
    #[case("author.trusted && true", None)]
    #[case("author.trusted || false", None)]
    #[case("author.trusted ? true : true", None)]
    #[case("true ? author.trusted : true", None)]
    #[case("has(author.approved)", Some(false))]
    #[case("has(author.approved) && author.approved > 1", Some(false))]
    #[case("author.approved in [1, 2]", None)]
    #[case("author.trusted == author.trusted", None)]
    #[case("1 / 0 == 1", None)]
    #[case("1 % 0 == 1", None)]
    #[case("9223372036854775807 + 1 > 0", None)]
    #[case("1.0 / 0.0 > 1.0", None)]
    #[case("int(1e300) > 0", None)]
    #[case("author.name.contains('x')", None)]
    fn what_is_unknown_stays_unknown(#[case] text: &str, #[case] expected: Option<bool>) {
        assert_eq!(run(text), expected, "{text}");
    }

    #[rstest]
    #[case("links.cuont > 2", "unknown-fact", "links.cuont")]
    #[case("rate.ip10m > 2", "unknown-counter", "rate.ip10m")]
    #[case("links.count > 'a'", "wrong-type", "links.count > 'a'")]
    #[case("links.count", "wrong-type", "links.count")]
    #[case("links.count && true", "wrong-type", "links.count")]
    #[case("links.count + 1.5 > 2.0", "wrong-type", "links.count + 1.5")]
    #[case("true < false", "wrong-type", "true < false")]
    #[case("links.count > 1 > 2", "wrong-type", "links.count > 1 > 2")]
    #[case("in_list(author.name, 'lists/y.txt')", "unknown-list", "'lists/y.txt'")]
    #[case("hits('b.rule') > 0", "unknown-rule", "'b.rule'")]
    #[case("hits(author.name) > 0", "not-literal", "author.name")]
    #[case("author.name.matches('(')", "bad-pattern", "'('")]
    #[case("author.name.begins('x')", "unknown-function", "begins")]
    #[case("author.name.contains()", "wrong-call", "author.name.contains()")]
    #[case("author.approved == null", "null", "null")]
    #[case("links.count = 2", "syntax", "=")]
    #[case("links.count > ", "syntax", ">")]
    #[case("'open", "syntax", "'open")]
    #[case(r"'\q' == 'q'", "syntax", r"\q")]
    #[case("{'a': 1}", "syntax", "{")]
    #[case("[1][0] == 1", "syntax", "[")]
    #[case("if true", "syntax", "if")]
    #[case("99999999999999999999 > 1", "syntax", "99999999999999999999")]
    #[case("author.name in 'x'", "wrong-type", "'x'")]
    #[case("true ? 1 : 'a' == 'a'", "wrong-type", "1 : 'a' == 'a'")]
    fn what_is_wrong_is_said_at_its_place(
        #[case] text: &str,
        #[case] code: &str,
        #[case] place: &str,
    ) {
        assert_eq!(refused(text), (code, place.to_owned()), "{text}");
    }

    #[test]
    fn deep_and_long_conditions_are_refused_without_a_deep_stack() {
        for text in [
            format!("{}true{}", "(".repeat(1000), ")".repeat(1000)),
            format!("{}true", "!".repeat(2000)),
            format!("{}1 == 1", "-".repeat(2000)),
            format!("{}1", "true ? 1 : ".repeat(150)),
            format!("{}1 > 0", "1 + ".repeat(400)),
            format!("{}1{} == 1", "size('a' + ".repeat(100), ")".repeat(100)),
        ] {
            let (code, _) = refused(&text);
            assert!(
                matches!(code, "too-deep" | "syntax"),
                "{code}: {}",
                &text[..20]
            );
        }
        assert_eq!(refused(&"true && ".repeat(400)).0, "too-long");
        assert_eq!(run(&format!("{}true", "true && ".repeat(250))), Some(true));
    }

    #[test]
    fn what_is_missing_at_the_end_is_missing_behind_the_last_token() {
        for text in ["size('a' // \u{bca}", "size('a'  ", "size('a'"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.span, 7..8, "{text}");
        }
        assert_eq!(parse("// nothing \u{bca}").unwrap_err().span, 0..0);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,200}") {
            if let Err(error) = parse(&text) {
                prop_assert!(text.get(error.span).is_some());
            }
        }

        #[test]
        fn any_sequence_of_tokens_is_compiled_or_refused(
            tokens in proptest::collection::vec(proptest::sample::select(vec![
                "true", "1", "2.5", "'a'", "links.count", "author.name", "author.approved", "has(", "size(", "(", ")",
                "!", "-", "&&", "||", "==", "<", "+", "/", "in", "[", "]", ",", "?", ":", ".contains(", ".", "hits('a.rule')",
            ]), 0..40)
        ) {
            let text = tokens.join(" ");
            match compile(&text, &names()) {
                Ok(program) => { let _value = program.run(&Known(Facts::new())); }
                Err(errors) => prop_assert!(errors.iter().all(|error| text.get(error.span.clone()).is_some())),
            }
        }
    }
}
