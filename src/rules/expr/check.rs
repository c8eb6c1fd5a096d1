//! Types and names: from the tree of an expression to a program, or to what is wrong with it.
//!
//! Invariant: a program that comes out of here asks each fact only as the type the table gives it.

use std::collections::HashMap;
use std::ops::Range;

use regex::RegexBuilder;

use super::parse::{Arithmetic, Comparison, ExprError, Kind, Node, parse};
use super::program::{Cond, Program, Real, Whole, Words, mirrored, order, widen};
use crate::rules::diagnostic::nearest;
use crate::rules::facts::{FactId, FactSet, Type};

/// The names a condition may use beside the facts.
#[derive(Debug, Default)]
pub struct Names<'a> {
    /// Counters by name, in the order of their indexes.
    pub counters: Vec<&'a str>,
    /// Rules by id.
    pub rules: HashMap<&'a str, u32>,
    /// Lists by path.
    pub lists: HashMap<&'a str, u32>,
}

/// The functions a condition may call: how it is written, and what it means.
pub const FUNCTIONS: [(&str, &str); 10] = [
    ("has(fact)", "whether the value of the fact is known"),
    (
        "in_list(text, 'lists/x.txt')",
        "whether the text is on the list, compared as the list's type says",
    ),
    (
        "hits('rule.id')",
        "how often that rule hit; 0 if it did not match or is off",
    ),
    ("text.contains(part)", "whether the part occurs in the text"),
    (
        "text.startsWith(part)",
        "whether the text begins with the part",
    ),
    ("text.endsWith(part)", "whether the text ends with the part"),
    (
        "text.matches('pattern')",
        "whether the pattern, a literal, matches somewhere in the text",
    ),
    (
        "size(text)",
        "length of the text in code points; also text.size()",
    ),
    ("double(number)", "a whole number as one with a fraction"),
    ("int(number)", "a number without its fraction"),
];

/// Compiles a condition.
///
/// # Errors
/// Everything that is wrong with it; syntax errors end at the first.
pub fn compile(text: &str, names: &Names<'_>) -> Result<Program, Vec<ExprError>> {
    let tree = parse(text).map_err(|error| vec![error])?;
    let mut checker = Checker {
        names,
        errors: Vec::new(),
        facts: FactSet::default(),
        hits: Vec::new(),
        lists: Vec::new(),
        cost: 0,
    };
    let root = checker.cond(&tree);
    match root {
        Some(root) if checker.errors.is_empty() => Ok(Program {
            root,
            facts: checker.facts,
            hits: checker.hits,
            lists: checker.lists,
            cost: checker.cost,
        }),
        _ => Err(checker.errors),
    }
}

/// An expression of any type.
enum Expr {
    Cond(Cond),
    Whole(Whole),
    Real(Real),
    Words(Words),
}

impl Expr {
    const fn type_of(&self) -> Type {
        match self {
            Self::Cond(_) => Type::Bool,
            Self::Whole(_) => Type::Int,
            Self::Real(_) => Type::Float,
            Self::Words(_) => Type::Text,
        }
    }
}

struct Checker<'a> {
    names: &'a Names<'a>,
    errors: Vec<ExprError>,
    facts: FactSet,
    hits: Vec<u32>,
    lists: Vec<u32>,
    cost: u32,
}

/// What a name stands for.
enum Named {
    Fact(FactId),
    Counter(u32),
}

impl Checker<'_> {
    /// Notes an error; `None` so that it can be returned in the same breath.
    fn refuse<T>(&mut self, error: ExprError) -> Option<T> {
        self.errors.push(error);
        None
    }

    fn mismatch<T>(&mut self, span: &Range<usize>, wanted: &str, found: Type) -> Option<T> {
        let message = format!("expected {wanted}, this is {}", found.with_article());
        self.refuse(ExprError::new("wrong-type", span.clone(), message))
    }

    fn cond(&mut self, node: &Node) -> Option<Cond> {
        match self.expr(node)? {
            Expr::Cond(cond) => Some(cond),
            other => {
                let mut error = ExprError::new(
                    "wrong-type",
                    node.span.clone(),
                    format!(
                        "expected a condition, this is {}",
                        other.type_of().with_article()
                    ),
                );
                if matches!(node.kind, Kind::Name(_)) {
                    error.help = Some("compare it with something: `… > 0`, `… == 'x'`".to_owned());
                }
                self.refuse(error)
            }
        }
    }

    fn words(&mut self, node: &Node) -> Option<Words> {
        match self.expr(node)? {
            Expr::Words(words) => Some(words),
            other => self.mismatch(&node.span, "a string", other.type_of()),
        }
    }

    fn expr(&mut self, node: &Node) -> Option<Expr> {
        self.cost = self.cost.saturating_add(1);
        match &node.kind {
            Kind::Int(number) => Some(Expr::Whole(Whole::Const(*number))),
            Kind::Float(number) => Some(Expr::Real(Real::Const(*number))),
            Kind::Bool(truth) => Some(Expr::Cond(Cond::Const(*truth))),
            Kind::Text(text) => Some(Expr::Words(Words::Const((**text).into()))),
            Kind::Null => self.refuse(
                ExprError::new("null", node.span.clone(), "no fact is ever null")
                    .with_help("whether a value is known is asked by `has(fact)`"),
            ),
            Kind::Name(name) => self.fact(name, &node.span),
            Kind::Not(inner) => Some(Expr::Cond(match self.cond(inner)? {
                Cond::Const(truth) => Cond::Const(!truth),
                inner => Cond::Not(Box::new(inner)),
            })),
            Kind::Negate(inner) => self.negate(inner),
            Kind::And(parts) => self.chain(parts, false).map(Expr::Cond),
            Kind::Or(parts) => self.chain(parts, true).map(Expr::Cond),
            Kind::Compare(comparison, sides) => {
                self.compare(*comparison, sides, &node.span).map(Expr::Cond)
            }
            Kind::Calculate(arithmetic, sides) => self.calculate(*arithmetic, sides, &node.span),
            Kind::In(sides) => self.member_of(sides).map(Expr::Cond),
            Kind::If(parts) => self.choice(parts),
            Kind::Call {
                name,
                name_span,
                target,
                arguments,
            } => self.call(name, name_span, target.as_deref(), arguments, node),
            Kind::List(_) => self.refuse(
                ExprError::new(
                    "wrong-type",
                    node.span.clone(),
                    "a list can stand only after `in`",
                )
                .with_help("`author.url_domain in ['a.test', 'b.test']`"),
            ),
        }
    }

    fn named(&mut self, name: &str, span: &Range<usize>) -> Option<Named> {
        if let Some(counter) = name.strip_prefix("rate.") {
            if let Some(index) = self
                .names
                .counters
                .iter()
                .position(|known| *known == counter)
            {
                return u32::try_from(index).ok().map(Named::Counter);
            }
            let message = format!("there is no counter `{counter}`");
            let mut error = ExprError::new("unknown-counter", span.clone(), message);
            error.help = Some(
                match nearest(counter, self.names.counters.iter().copied()) {
                    Some(known) => format!("did you mean `rate.{known}`?"),
                    None => format!("declare it in policy.toml under [counters.{counter}]"),
                },
            );
            return self.refuse(error);
        }
        if let Some(fact) = FactId::by_name(name) {
            self.facts.insert(fact);
            return Some(Named::Fact(fact));
        }
        let message = format!("there is no fact `{name}`");
        let mut error = ExprError::new("unknown-fact", span.clone(), message);
        let group = name.split('.').next().unwrap_or(name);
        let siblings: Vec<_> = FactId::ALL
            .iter()
            .map(|fact| fact.name())
            .filter(|fact| fact.split('.').next() == Some(group))
            .collect();
        error.help = match nearest(name, FactId::ALL.iter().map(|fact| fact.name())) {
            Some(known) => Some(format!("did you mean `{known}`?")),
            None if !siblings.is_empty() => Some(format!("known: {}", siblings.join(", "))),
            None => Some("`anteroom rules facts` lists them all".to_owned()),
        };
        self.refuse(error)
    }

    fn fact(&mut self, name: &str, span: &Range<usize>) -> Option<Expr> {
        Some(match self.named(name, span)? {
            Named::Counter(counter) => Expr::Whole(Whole::Counter(counter)),
            Named::Fact(fact) => match fact.type_of() {
                Type::Int => Expr::Whole(Whole::Fact(fact)),
                Type::Float => Expr::Real(Real::Fact(fact)),
                Type::Bool => Expr::Cond(Cond::Fact(fact)),
                Type::Text => Expr::Words(Words::Fact(fact)),
            },
        })
    }

    fn negate(&mut self, inner: &Node) -> Option<Expr> {
        match self.expr(inner)? {
            Expr::Whole(number) => Some(Expr::Whole(Whole::Calculate(
                Arithmetic::Subtract,
                Box::new([Whole::Const(0), number]),
            ))),
            Expr::Real(Real::Const(number)) => Some(Expr::Real(Real::Const(-number))),
            Expr::Real(number) => Some(Expr::Real(Real::Calculate(
                Arithmetic::Subtract,
                Box::new([Real::Const(0.0), number]),
            ))),
            other => self.mismatch(&inner.span, "a number", other.type_of()),
        }
    }

    fn chain(&mut self, parts: &[Node], decides: bool) -> Option<Cond> {
        let parts: Vec<_> = parts.iter().map(|part| self.cond(part)).collect();
        let mut kept = Vec::new();
        for part in parts {
            match part? {
                Cond::Const(truth) if truth == decides => return Some(Cond::Const(decides)),
                Cond::Const(_) => {}
                part => kept.push(part),
            }
        }
        Some(match kept.len() {
            0 => Cond::Const(!decides),
            1 => kept.remove(0),
            _ if decides => Cond::Or(kept.into()),
            _ => Cond::And(kept.into()),
        })
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        sides: &[Node; 2],
        span: &Range<usize>,
    ) -> Option<Cond> {
        let (left, right) = (self.expr(&sides[0]), self.expr(&sides[1]));
        let (left, right) = (left?, right?);
        let is_ordering = !matches!(comparison, Comparison::Equal | Comparison::Differs);
        let (left, right) = match (left, right) {
            (Expr::Whole(left), Expr::Whole(right)) => {
                return Some(compare_ints(comparison, left, right));
            }
            (Expr::Real(left), Expr::Real(right)) => {
                return Some(compare_floats(comparison, left, right));
            }
            (Expr::Whole(left), Expr::Real(right)) => {
                return Some(compare_floats(comparison, to_real(left), right));
            }
            (Expr::Real(left), Expr::Whole(right)) => {
                return Some(compare_floats(comparison, left, to_real(right)));
            }
            (Expr::Words(Words::Const(left)), Expr::Words(Words::Const(right))) => {
                return Some(Cond::Const(comparison.holds(left.cmp(&right))));
            }
            (Expr::Words(left), Expr::Words(right)) => {
                return Some(Cond::Texts(comparison, Box::new([left, right])));
            }
            (Expr::Cond(left), Expr::Cond(right)) if !is_ordering => {
                return Some(Cond::Conds(comparison, Box::new([left, right])));
            }
            (left, right) => (left.type_of(), right.type_of()),
        };
        let message = format!(
            "`{}` cannot compare {} with {}",
            comparison.as_str(),
            left.with_article(),
            right.with_article()
        );
        self.refuse(ExprError::new("wrong-type", span.clone(), message))
    }

    fn calculate(
        &mut self,
        arithmetic: Arithmetic,
        sides: &[Node; 2],
        span: &Range<usize>,
    ) -> Option<Expr> {
        let (left, right) = (self.expr(&sides[0]), self.expr(&sides[1]));
        let (left, right) = match (left?, right?) {
            (Expr::Whole(left), Expr::Whole(right)) => {
                return Some(Expr::Whole(Whole::Calculate(
                    arithmetic,
                    Box::new([left, right]),
                )));
            }
            (Expr::Real(left), Expr::Real(right)) if arithmetic != Arithmetic::Remainder => {
                return Some(Expr::Real(Real::Calculate(
                    arithmetic,
                    Box::new([left, right]),
                )));
            }
            (Expr::Words(left), Expr::Words(right)) if arithmetic == Arithmetic::Add => {
                return Some(Expr::Words(Words::Join(Box::new([left, right]))));
            }
            (left, right) => (left.type_of(), right.type_of()),
        };
        let sign = arithmetic.as_str();
        let message = format!(
            "`{sign}` does not work on {} and {}",
            left.with_article(),
            right.with_article()
        );
        let mut error = ExprError::new("wrong-type", span.clone(), message);
        if matches!(
            (left, right),
            (Type::Int, Type::Float) | (Type::Float, Type::Int)
        ) {
            error.help =
                Some("write whole numbers as `2.0`, or convert with `double(…)`".to_owned());
        }
        self.refuse(error)
    }

    /// `x in [a, b]` is `x == a || x == b`.
    fn member_of(&mut self, sides: &[Node; 2]) -> Option<Cond> {
        let Kind::List(items) = &sides[1].kind else {
            return self.refuse(
                ExprError::new(
                    "wrong-type",
                    sides[1].span.clone(),
                    "expected a list in square brackets after `in`",
                )
                .with_help("for a list in a file write `in_list(value, 'lists/x.txt')`"),
            );
        };
        let mut parts = Vec::new();
        for item in items {
            let pair = [sides[0].clone(), item.clone()];
            parts.push(self.compare(Comparison::Equal, &pair, &item.span));
        }
        if items.is_empty() {
            self.expr(&sides[0])?;
        }
        let parts: Option<Vec<_>> = parts.into_iter().collect();
        let mut parts = parts?;
        Some(match parts.len() {
            0 => Cond::Const(false),
            1 => parts.remove(0),
            _ => Cond::Or(parts.into()),
        })
    }

    fn choice(&mut self, parts: &[Node; 3]) -> Option<Expr> {
        let condition = self.cond(&parts[0]);
        let (yes, no) = (self.expr(&parts[1]), self.expr(&parts[2]));
        let (condition, yes, no) = (condition?, yes?, no?);
        Some(match (yes, no) {
            (Expr::Cond(yes), Expr::Cond(no)) => {
                Expr::Cond(Cond::If(Box::new([condition, yes, no])))
            }
            (Expr::Whole(yes), Expr::Whole(no)) => {
                Expr::Whole(Whole::If(Box::new((condition, yes, no))))
            }
            (Expr::Real(yes), Expr::Real(no)) => {
                Expr::Real(Real::If(Box::new((condition, yes, no))))
            }
            (Expr::Words(yes), Expr::Words(no)) => {
                Expr::Words(Words::If(Box::new((condition, yes, no))))
            }
            (yes, no) => {
                let (yes, no) = (yes.type_of(), no.type_of());
                let span = parts[1].span.start..parts[2].span.end;
                let message = format!("both sides of a choice have one type, here {yes} and {no}");
                return self.refuse(ExprError::new("wrong-type", span, message));
            }
        })
    }

    fn call(
        &mut self,
        name: &str,
        name_span: &Range<usize>,
        target: Option<&Node>,
        arguments: &[Node],
        whole: &Node,
    ) -> Option<Expr> {
        match (target, name, arguments) {
            (None, "has", [fact]) => self.has(fact).map(Expr::Cond),
            (None, "in_list", [value, list]) => self.in_list(value, list).map(Expr::Cond),
            (None, "hits", [rule]) => self.hits_of(rule).map(Expr::Whole),
            (None, "size", [text]) | (Some(text), "size", []) => {
                Some(Expr::Whole(Whole::Size(Box::new(self.words(text)?))))
            }
            (None, "double", [number]) => match self.expr(number)? {
                Expr::Whole(number) => Some(Expr::Real(to_real(number))),
                Expr::Real(number) => Some(Expr::Real(number)),
                other => self.mismatch(&number.span, "a number", other.type_of()),
            },
            (None, "int", [number]) => match self.expr(number)? {
                Expr::Whole(number) => Some(Expr::Whole(number)),
                Expr::Real(number) => Some(Expr::Whole(Whole::Truncate(Box::new(number)))),
                other => self.mismatch(&number.span, "a number", other.type_of()),
            },
            (Some(text), "contains" | "startsWith" | "endsWith", [part]) => {
                let (text, part) = (self.words(text), self.words(part));
                let sides = Box::new([text?, part?]);
                Some(Expr::Cond(match name {
                    "contains" => Cond::Contains(sides),
                    "startsWith" => Cond::StartsWith(sides),
                    _ => Cond::EndsWith(sides),
                }))
            }
            (Some(text), "matches", [pattern]) => {
                let (text, pattern) = (self.words(text), self.pattern(pattern));
                Some(Expr::Cond(Cond::Matches(
                    Box::new(text?),
                    Box::new(pattern?),
                )))
            }
            _ => self.refuse(unknown_call(name, name_span, target.is_some(), whole)),
        }
    }

    fn has(&mut self, fact: &Node) -> Option<Cond> {
        let Kind::Name(name) = &fact.kind else {
            return self.refuse(ExprError::new(
                "wrong-type",
                fact.span.clone(),
                "`has` takes the name of a fact",
            ));
        };
        Some(match self.named(name, &fact.span)? {
            Named::Fact(fact) => Cond::Has(fact),
            Named::Counter(counter) => Cond::HasCounter(counter),
        })
    }

    /// The text of a node that must be a literal.
    fn literal<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        if let Kind::Text(text) = &node.kind {
            return Some(text);
        }
        let message = format!("{what} must be written here as a literal");
        self.refuse(ExprError::new("not-literal", node.span.clone(), message))
    }

    fn in_list(&mut self, value: &Node, list: &Node) -> Option<Cond> {
        let value = self.words(value);
        let path = self.literal(list, "the path of the list")?;
        let Some(index) = self.names.lists.get(path).copied() else {
            let message = format!("there is no list `{path}`");
            let mut error = ExprError::new("unknown-list", list.span.clone(), message);
            error.help = nearest(path, self.names.lists.keys().copied())
                .map(|known| format!("did you mean `{known}`?"));
            return self.refuse(error);
        };
        self.lists.push(index);
        Some(Cond::Listed(Box::new(value?), index))
    }

    fn hits_of(&mut self, rule: &Node) -> Option<Whole> {
        let id = self.literal(rule, "the id of the rule")?;
        let Some(index) = self.names.rules.get(id).copied() else {
            let message = format!("there is no rule `{id}`");
            let mut error = ExprError::new("unknown-rule", rule.span.clone(), message);
            error.help = nearest(id, self.names.rules.keys().copied())
                .map(|known| format!("did you mean `{known}`?"));
            return self.refuse(error);
        };
        self.hits.push(index);
        Some(Whole::Hits(index))
    }

    fn pattern(&mut self, node: &Node) -> Option<regex::Regex> {
        let pattern = self.literal(node, "the pattern")?;
        // The limits of patterns in rules; see `super::super::pattern`.
        let compiled = RegexBuilder::new(pattern)
            .size_limit(1 << 20)
            .dfa_size_limit(2 << 20)
            .nest_limit(50)
            .build();
        match compiled {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let message = format!("this pattern is refused: {}", last_line(&error.to_string()));
                self.refuse(ExprError::new("bad-pattern", node.span.clone(), message))
            }
        }
    }
}

/// The regex crate draws the pattern above its message; the message is the last line.
pub(crate) fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or(message);
    line.trim().trim_start_matches("error: ").to_owned()
}

fn unknown_call(name: &str, name_span: &Range<usize>, has_target: bool, whole: &Node) -> ExprError {
    let known = FUNCTIONS.iter().find(|(signature, _)| {
        let head = signature.split('(').next().unwrap_or(signature);
        head.rsplit('.').next() == Some(name) && head.contains('.') == has_target
    });
    if let Some((signature, _)) = known {
        let message = format!("`{name}` is called with other arguments");
        return ExprError::new("wrong-call", whole.span.clone(), message)
            .with_help(format!("write `{signature}`"));
    }
    let heads = FUNCTIONS.iter().filter_map(|(signature, _)| {
        signature
            .split('(')
            .next()
            .and_then(|head| head.rsplit('.').next())
    });
    let mut error = ExprError::new(
        "unknown-function",
        name_span.clone(),
        format!("there is no function `{name}`"),
    );
    error.help = match nearest(name, heads) {
        Some(known) => FUNCTIONS
            .iter()
            .find(|(signature, _)| {
                signature
                    .split('(')
                    .next()
                    .and_then(|head| head.rsplit('.').next())
                    == Some(known)
            })
            .map(|(signature, _)| format!("did you mean `{signature}`?")),
        None => Some("`anteroom rules facts` lists them all".to_owned()),
    };
    error
}

fn to_real(number: Whole) -> Real {
    match number {
        Whole::Const(number) => Real::Const(widen(number)),
        number => Real::Widen(Box::new(number)),
    }
}

fn compare_ints(comparison: Comparison, left: Whole, right: Whole) -> Cond {
    match (left, right) {
        (Whole::Const(left), Whole::Const(right)) => {
            Cond::Const(comparison.holds(left.cmp(&right)))
        }
        (Whole::Fact(fact), Whole::Const(number)) => Cond::IntFact(comparison, fact, number),
        (Whole::Const(number), Whole::Fact(fact)) => {
            Cond::IntFact(mirrored(comparison), fact, number)
        }
        (left, right) => Cond::Ints(comparison, Box::new([left, right])),
    }
}

fn compare_floats(comparison: Comparison, left: Real, right: Real) -> Cond {
    match (left, right) {
        (Real::Const(left), Real::Const(right)) => {
            Cond::Const(comparison.holds(order(left, right)))
        }
        (left, right) => Cond::Floats(comparison, Box::new([left, right])),
    }
}
