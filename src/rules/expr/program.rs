//! The compiled form of a condition: trees by type, walked directly, in Kleene's three-valued logic.
//!
//! Knows nothing of rules; what it needs to know of a submission it asks of a [`Scope`].
//! Invariant: `None` is unknown, and unknown never becomes true or false but by `&&`, `||`, a choice and `has()`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use regex::Regex;

use super::parse::{Arithmetic, Comparison};
use crate::rules::facts::{FactId, FactSet};

/// What a condition can ask about one submission.
pub trait Scope {
    /// A fact of type int.
    fn int(&self, fact: FactId) -> Option<i64>;
    /// A fact of type double.
    fn float(&self, fact: FactId) -> Option<f64>;
    /// A fact of type bool.
    fn truth(&self, fact: FactId) -> Option<bool>;
    /// A fact of type string.
    fn text(&self, fact: FactId) -> Option<&str>;
    /// Whether a fact has a value.
    fn is_known(&self, fact: FactId) -> bool;
    /// The counter with this index.
    fn counter(&self, counter: u32) -> Option<i64>;
    /// How often the rule with this index hit.
    fn hits(&self, rule: u32) -> i64;
    /// Whether the list with this index holds `value`.
    fn is_listed(&self, list: u32, value: &str) -> bool;
}

/// A condition, ready to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// The condition itself.
    pub root: Cond,
    /// The facts it may ask for.
    pub facts: FactSet,
    /// The rules whose hits it counts.
    pub hits: Vec<u32>,
    /// The lists it looks into.
    pub lists: Vec<u32>,
    /// An upper bound of the steps one run takes, texts counted as one step each.
    pub cost: u32,
}

impl Program {
    /// Whether the condition holds; `None` if that is unknown.
    pub fn run(&self, scope: &impl Scope) -> Option<bool> {
        self.root.run(scope)
    }
}

/// A condition.
#[derive(Clone, Debug)]
pub enum Cond {
    /// Known at load.
    Const(bool),
    /// A fact of type bool.
    Fact(FactId),
    /// Whether a fact is known.
    Has(FactId),
    /// Whether a counter is known.
    HasCounter(u32),
    /// `!`
    Not(Box<Self>),
    /// `&&`
    And(Box<[Self]>),
    /// `||`
    Or(Box<[Self]>),
    /// A fact compared with a number: the commonest condition, without a detour.
    IntFact(Comparison, FactId, i64),
    /// Two whole numbers compared.
    Ints(Comparison, Box<[Whole; 2]>),
    /// Two numbers compared, one of them with a fraction.
    Floats(Comparison, Box<[Real; 2]>),
    /// Two texts compared.
    Texts(Comparison, Box<[Words; 2]>),
    /// Two conditions compared.
    Conds(Comparison, Box<[Self; 2]>),
    /// The first text contains the second.
    Contains(Box<[Words; 2]>),
    /// The first text starts with the second.
    StartsWith(Box<[Words; 2]>),
    /// The first text ends with the second.
    EndsWith(Box<[Words; 2]>),
    /// The text matches a pattern somewhere.
    Matches(Box<Words>, Box<Regex>),
    /// The text is on a list.
    Listed(Box<Words>, u32),
    /// `?:`
    If(Box<[Self; 3]>),
}

/// An expression of type int.
#[derive(Clone, Debug)]
pub enum Whole {
    /// Known at load.
    Const(i64),
    /// A fact.
    Fact(FactId),
    /// A counter.
    Counter(u32),
    /// Hits of a rule.
    Hits(u32),
    /// Length of a text in code points.
    Size(Box<Words>),
    /// A number without its fraction.
    Truncate(Box<Real>),
    /// Arithmetic.
    Calculate(Arithmetic, Box<[Self; 2]>),
    /// `?:`
    If(Box<(Cond, Self, Self)>),
}

/// An expression of type double.
#[derive(Clone, Debug)]
pub enum Real {
    /// Known at load.
    Const(f64),
    /// A fact.
    Fact(FactId),
    /// A whole number.
    Widen(Box<Whole>),
    /// Arithmetic.
    Calculate(Arithmetic, Box<[Self; 2]>),
    /// `?:`
    If(Box<(Cond, Self, Self)>),
}

/// An expression of type string.
#[derive(Clone, Debug)]
pub enum Words {
    /// Known at load.
    Const(Arc<str>),
    /// A fact.
    Fact(FactId),
    /// Two texts joined.
    Join(Box<[Self; 2]>),
    /// `?:`
    If(Box<(Cond, Self, Self)>),
}

impl Cond {
    /// Whether it holds; `None` if that is unknown.
    pub fn run(&self, scope: &impl Scope) -> Option<bool> {
        match self {
            Self::Const(truth) => Some(*truth),
            Self::Fact(fact) => scope.truth(*fact),
            Self::Has(fact) => Some(scope.is_known(*fact)),
            Self::HasCounter(counter) => Some(scope.counter(*counter).is_some()),
            Self::Not(inner) => inner.run(scope).map(|truth| !truth),
            Self::And(parts) => chain(parts, false, scope),
            Self::Or(parts) => chain(parts, true, scope),
            Self::IntFact(comparison, fact, number) => {
                Some(comparison.holds(scope.int(*fact)?.cmp(number)))
            }
            Self::Ints(comparison, sides) => {
                Some(comparison.holds(sides[0].run(scope)?.cmp(&sides[1].run(scope)?)))
            }
            Self::Floats(comparison, sides) => {
                let (left, right) = (sides[0].run(scope)?, sides[1].run(scope)?);
                // Neither side is NaN: arithmetic that is not finite is unknown.
                Some(comparison.holds(left.partial_cmp(&right)?))
            }
            Self::Texts(comparison, sides) => {
                Some(comparison.holds(sides[0].run(scope)?.cmp(&sides[1].run(scope)?)))
            }
            Self::Conds(comparison, sides) => {
                Some(comparison.holds(sides[0].run(scope)?.cmp(&sides[1].run(scope)?)))
            }
            Self::Contains(sides) => pair(sides, scope, |text, part| text.contains(part)),
            Self::StartsWith(sides) => pair(sides, scope, |text, part| text.starts_with(part)),
            Self::EndsWith(sides) => pair(sides, scope, |text, part| text.ends_with(part)),
            Self::Matches(text, pattern) => Some(pattern.is_match(&text.run(scope)?)),
            Self::Listed(text, list) => Some(scope.is_listed(*list, &text.run(scope)?)),
            Self::If(parts) => {
                if parts[0].run(scope)? {
                    parts[1].run(scope)
                } else {
                    parts[2].run(scope)
                }
            }
        }
    }
}

/// `&&` and `||` are one: a part that equals `decides` settles the chain, else one unknown part leaves it unknown.
fn chain(parts: &[Cond], decides: bool, scope: &impl Scope) -> Option<bool> {
    let mut all_known = true;
    for part in parts {
        match part.run(scope) {
            Some(truth) if truth == decides => return Some(decides),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!decides)
}

fn pair(
    sides: &[Words; 2],
    scope: &impl Scope,
    holds: impl Fn(&str, &str) -> bool,
) -> Option<bool> {
    Some(holds(&sides[0].run(scope)?, &sides[1].run(scope)?))
}

impl Whole {
    /// The value, if it is known.
    pub fn run(&self, scope: &impl Scope) -> Option<i64> {
        match self {
            Self::Const(number) => Some(*number),
            Self::Fact(fact) => scope.int(*fact),
            Self::Counter(counter) => scope.counter(*counter),
            Self::Hits(rule) => Some(scope.hits(*rule)),
            Self::Size(text) => i64::try_from(text.run(scope)?.chars().count()).ok(),
            Self::Truncate(number) => truncate(number.run(scope)?),
            Self::Calculate(arithmetic, sides) => {
                let (left, right) = (sides[0].run(scope)?, sides[1].run(scope)?);
                match arithmetic {
                    Arithmetic::Add => left.checked_add(right),
                    Arithmetic::Subtract => left.checked_sub(right),
                    Arithmetic::Multiply => left.checked_mul(right),
                    Arithmetic::Divide => left.checked_div(right),
                    Arithmetic::Remainder => left.checked_rem(right),
                }
            }
            Self::If(parts) => {
                if parts.0.run(scope)? {
                    parts.1.run(scope)
                } else {
                    parts.2.run(scope)
                }
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the range is checked; cutting off the fraction is what int() means"
)]
fn truncate(number: f64) -> Option<i64> {
    let limit = i64::MAX as f64;
    (number > -limit && number < limit).then_some(number as i64)
}

impl Real {
    /// The value, if it is known and finite.
    pub fn run(&self, scope: &impl Scope) -> Option<f64> {
        let number = match self {
            Self::Const(number) => *number,
            Self::Fact(fact) => scope.float(*fact)?,
            Self::Widen(number) => widen(number.run(scope)?),
            Self::Calculate(arithmetic, sides) => {
                let (left, right) = (sides[0].run(scope)?, sides[1].run(scope)?);
                match arithmetic {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                    Arithmetic::Remainder => left % right,
                }
            }
            Self::If(parts) => {
                if parts.0.run(scope)? {
                    parts.1.run(scope)?
                } else {
                    parts.2.run(scope)?
                }
            }
        };
        number.is_finite().then_some(number)
    }
}

/// A whole number as a double; beyond 2^53 to the nearest one.
#[expect(clippy::cast_precision_loss, reason = "that is what double() means")]
pub(super) fn widen(number: i64) -> f64 {
    number as f64
}

impl Words {
    /// The text, if it is known.
    pub fn run<'a>(&'a self, scope: &'a impl Scope) -> Option<Cow<'a, str>> {
        match self {
            Self::Const(text) => Some(Cow::Borrowed(text)),
            Self::Fact(fact) => scope.text(*fact).map(Cow::Borrowed),
            Self::Join(sides) => {
                let mut joined = sides[0].run(scope)?.into_owned();
                joined.push_str(&sides[1].run(scope)?);
                Some(Cow::Owned(joined))
            }
            Self::If(parts) => {
                if parts.0.run(scope)? {
                    parts.1.run(scope)
                } else {
                    parts.2.run(scope)
                }
            }
        }
    }
}

/// The comparison that holds between swapped sides.
pub(super) const fn mirrored(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::More,
        Comparison::AtMost => Comparison::AtLeast,
        Comparison::More => Comparison::Less,
        Comparison::AtLeast => Comparison::AtMost,
        Comparison::Equal | Comparison::Differs => comparison,
    }
}

/// Compares two numbers of which neither is NaN.
pub(super) fn order(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or(Ordering::Equal)
}
