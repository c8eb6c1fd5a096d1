//! The grammar of `when`: text to tree, every node with its bytes.
//!
//! Follows the Common Expression Language's grammar (cel.dev) without indexes, maps, messages and macros over lists.
//! Invariant: no input of any kind makes it panic or recurse deeper than [`MAX_DEPTH`].

use std::ops::Range;

/// Longest expression accepted, in bytes.
pub const MAX_BYTES: usize = 2048;
/// Deepest nesting accepted; a chain of arithmetic counts as nesting, one of `&&` or `||` does not.
pub const MAX_DEPTH: u32 = 40;

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its bytes in the expression.
    pub span: Range<usize>,
    depth: u32,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A whole number; unsigned literals are read as these.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// Text in quotes, escapes undone.
    Text(String),
    /// `null`.
    Null,
    /// A dotted name.
    Name(String),
    /// `!x`.
    Not(Box<Node>),
    /// `-x`.
    Negate(Box<Node>),
    /// A chain of `&&`.
    And(Vec<Node>),
    /// A chain of `||`.
    Or(Vec<Node>),
    /// A comparison.
    Compare(Comparison, Box<[Node; 2]>),
    /// Arithmetic.
    Calculate(Arithmetic, Box<[Node; 2]>),
    /// `x in [a, b]`.
    In(Box<[Node; 2]>),
    /// `a ? b : c`.
    If(Box<[Node; 3]>),
    /// `f(x)`, or `x.f(y)` with a target.
    Call {
        /// The function's name.
        name: String,
        /// Its bytes.
        name_span: Range<usize>,
        /// What stands before the dot.
        target: Option<Box<Node>>,
        /// What stands in the brackets.
        arguments: Vec<Node>,
    },
    /// `[a, b]`.
    List(Vec<Node>),
}

/// A comparing operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Differs,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// The operator as written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Differs => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether the operator holds between two values that compare as `ordering`.
    #[must_use]
    pub const fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Differs => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::More => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

/// A calculating operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl Arithmetic {
    /// The operator as written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// Why an expression is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// A stable word for the kind of error.
    pub code: &'static str,
    /// Bytes of the expression.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl ExprError {
    /// An error without advice.
    #[must_use]
    pub fn new(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            span,
            message: message.into(),
            help: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn syntax(span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new("syntax", span, message)
    }
}

/// Parses an expression.
///
/// # Errors
/// The first place where the text leaves the grammar or a limit.
pub fn parse(text: &str) -> Result<Node, ExprError> {
    if text.len() > MAX_BYTES {
        let message = format!(
            "the condition has {} bytes, at most {MAX_BYTES} are read",
            text.len()
        );
        return Err(
            ExprError::new("too-long", 0..text.len(), message).with_help(
                "split it into several rules, or name a part of it by a rule and use hits()",
            ),
        );
    }
    let tokens = lex(text)?;
    let mut parser = Parser {
        // Where something is missing at the end, the last token is pointed at, not a comment or blanks behind it.
        end: tokens.last().map_or(0, |token| token.span.end),
        tokens,
        next: 0,
        open: 0,
    };
    let node = parser.expression()?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => Err(ExprError::syntax(
            token.span.clone(),
            format!(
                "expected an operator or the end, found {}",
                token.what.describe()
            ),
        )),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Lexeme {
    Name(String),
    Int(u64),
    Float(f64),
    Text(String),
    Sign(&'static str),
}

impl Lexeme {
    fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Int(number) => format!("`{number}`"),
            Self::Float(number) => format!("`{number}`"),
            Self::Text(_) => "a text".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
        }
    }
}

#[derive(Clone, Debug)]
struct Token {
    what: Lexeme,
    span: Range<usize>,
}

/// Longer signs first, so that `<=` is not read as `<`.
const SIGNS: [&str; 24] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")",
    "[", "]", "{", "}", ",", ".",
];

fn lex(text: &str) -> Result<Vec<Token>, ExprError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let next = bytes.get(at + 1).copied();
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if byte == b'/' && next == Some(b'/') {
            at += text[at..].find('\n').unwrap_or(text.len() - at);
            continue;
        }
        let (what, end) = match byte {
            b'\'' | b'"' => text_literal(text, at, at, false)?,
            b'r' | b'R' if matches!(next, Some(b'\'' | b'"')) => {
                text_literal(text, at, at + 1, true)?
            }
            b'b' | b'B' if matches!(next, Some(b'\'' | b'"')) => {
                return Err(ExprError::syntax(
                    at..at + 1,
                    "byte strings are not part of rules",
                ));
            }
            b'0'..=b'9' => number(text, at)?,
            b'.' if next.is_some_and(|byte| byte.is_ascii_digit()) => number(text, at)?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let end = text[at..]
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .map_or(text.len(), |length| at + length);
                (Lexeme::Name(text[at..end].to_owned()), end)
            }
            _ => match SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) {
                Some(sign) => (Lexeme::Sign(sign), at + sign.len()),
                None => return Err(stray(text, at)),
            },
        };
        tokens.push(Token {
            what,
            span: at..end,
        });
        at = end;
    }
    Ok(tokens)
}

fn stray(text: &str, at: usize) -> ExprError {
    let stray = text[at..].chars().next().unwrap_or('\u{fffd}');
    let error = ExprError::syntax(
        at..at + stray.len_utf8(),
        format!("`{stray}` means nothing here"),
    );
    match stray {
        '=' => error.with_help("equality is `==`"),
        '&' => error.with_help("`and` is `&&`"),
        '|' => error.with_help("`or` is `||`"),
        '“' | '”' | '‘' | '’' => error.with_help("use straight quotes"),
        _ => error,
    }
}

fn number(text: &str, start: usize) -> Result<(Lexeme, usize), ExprError> {
    let rest = &text[start..];
    if let Some(digits) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let length = digits
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(digits.len());
        let end = start + 2 + length;
        let number = u64::from_str_radix(&digits[..length], 16)
            .map_err(|_| ExprError::syntax(start..end, "this is not a number"))?;
        return Ok((
            Lexeme::Int(number),
            end + usize::from(text[end..].starts_with(['u', 'U'])),
        ));
    }
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = digits(start);
    let mut is_float = false;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
        is_float = true;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
            is_float = true;
        }
    }
    let literal = &text[start..end];
    let bad = || ExprError::syntax(start..end, format!("`{literal}` is too large a number"));
    if is_float {
        let number: f64 = literal.parse().map_err(|_| bad())?;
        return if number.is_finite() {
            Ok((Lexeme::Float(number), end))
        } else {
            Err(bad())
        };
    }
    let number = literal.parse().map_err(|_| bad())?;
    Ok((
        Lexeme::Int(number),
        end + usize::from(text[end..].starts_with(['u', 'U'])),
    ))
}

/// Reads the literal whose quote is at `quote`; `start` is where the token began.
fn text_literal(
    text: &str,
    start: usize,
    quote: usize,
    raw: bool,
) -> Result<(Lexeme, usize), ExprError> {
    let mark = &text[quote..=quote];
    let triple = mark.repeat(3);
    let fence = if text[quote..].starts_with(&triple) {
        &*triple
    } else {
        mark
    };
    let mut out = String::new();
    let mut at = quote + fence.len();
    loop {
        let rest = &text[at..];
        if rest.starts_with(fence) {
            return Ok((Lexeme::Text(out), at + fence.len()));
        }
        match rest.chars().next() {
            Some('\\') if !raw => {
                let (character, length) = escape(rest).ok_or_else(|| {
                    let length = rest.chars().take(2).map(char::len_utf8).sum::<usize>();
                    ExprError::syntax(
                        at..at + length,
                        format!("`{}` is not an escape", &rest[..length]),
                    )
                    .with_help(r"write `\\` for a backslash, or put `r` before the quote")
                })?;
                out.push(character);
                at += length;
            }
            Some(character) if fence.len() == 3 || character != '\n' => {
                out.push(character);
                at += character.len_utf8();
            }
            _ => {
                return Err(ExprError::syntax(
                    start..at,
                    "this text has no closing quote",
                ));
            }
        }
    }
}

/// The character an escape stands for, and the escape's length in bytes.
fn escape(text: &str) -> Option<(char, usize)> {
    let kind = text.as_bytes().get(1)?;
    let code = |from: usize, digits: usize, radix: u32| {
        let digits = text.get(from..from + digits)?;
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        char::from_u32(u32::from_str_radix(is_plain.then_some(digits)?, radix).ok()?)
    };
    Some(match kind {
        b'a' => ('\u{7}', 2),
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'v' => ('\u{b}', 2),
        b'\\' | b'?' | b'"' | b'\'' | b'`' => (char::from(*kind), 2),
        b'x' | b'X' => (code(2, 2, 16)?, 4),
        b'u' => (code(2, 4, 16)?, 6),
        b'U' => (code(2, 8, 16)?, 10),
        b'0'..=b'3' => (code(1, 3, 8)?, 4),
        _ => return None,
    })
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    open: u32,
}

/// How tightly an operator binds; higher binds tighter.
fn binding(sign: &Lexeme) -> Option<u8> {
    match sign {
        Lexeme::Sign("||") => Some(1),
        Lexeme::Sign("&&") => Some(2),
        Lexeme::Sign("==" | "!=" | "<" | "<=" | ">" | ">=") => Some(3),
        Lexeme::Name(name) if name == "in" => Some(3),
        Lexeme::Sign("+" | "-") => Some(4),
        Lexeme::Sign("*" | "/" | "%") => Some(5),
        _ => None,
    }
}

/// Words the language keeps for itself, with what to write where someone means an operator.
const RESERVED: [(&str, Option<&str>); 17] = [
    ("as", None),
    ("break", None),
    ("const", None),
    ("continue", None),
    ("else", None),
    ("for", None),
    ("function", None),
    ("if", Some("choices are written `condition ? one : other`")),
    ("import", None),
    ("let", None),
    ("loop", None),
    ("package", None),
    ("namespace", None),
    ("return", None),
    ("var", None),
    ("void", None),
    ("while", None),
];

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn is_next(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token { what: Lexeme::Sign(next), .. }) if *next == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let is_next = self.is_next(sign);
        self.next += usize::from(is_next);
        is_next
    }

    fn unexpected(&self, wanted: &str) -> ExprError {
        match self.peek() {
            Some(token) => ExprError::syntax(
                token.span.clone(),
                format!("expected {wanted}, found {}", token.what.describe()),
            ),
            None => ExprError::syntax(
                self.end.saturating_sub(1)..self.end,
                format!("expected {wanted}, found the end"),
            ),
        }
    }

    fn expect(&mut self, sign: &'static str) -> Result<usize, ExprError> {
        if self.eat(sign) {
            return Ok(self.tokens[self.next - 1].span.end);
        }
        Err(self.unexpected(&format!("`{sign}`")))
    }

    fn node(kind: Kind, span: Range<usize>, depth: u32) -> Result<Node, ExprError> {
        if depth > MAX_DEPTH {
            let message = format!("this is nested deeper than {MAX_DEPTH} levels");
            return Err(ExprError::new("too-deep", span, message)
                .with_help("split the condition into several rules"));
        }
        Ok(Node {
            kind,
            span,
            depth: depth + 1,
        })
    }

    /// Runs `parse` one level deeper, so that brackets cannot exhaust the stack.
    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Node, ExprError>,
    ) -> Result<Node, ExprError> {
        if self.open >= MAX_DEPTH {
            let span = self
                .peek()
                .map_or(self.end..self.end, |token| token.span.clone());
            let message = format!("this is nested deeper than {MAX_DEPTH} levels");
            return Err(ExprError::new("too-deep", span, message));
        }
        self.open += 1;
        let node = parse(self);
        self.open -= 1;
        node
    }

    fn expression(&mut self) -> Result<Node, ExprError> {
        self.nested(Self::choice)
    }

    fn choice(&mut self) -> Result<Node, ExprError> {
        let condition = self.binary(1)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        let yes = self.nested(|parser| parser.binary(1))?;
        self.expect(":")?;
        let no = self.expression()?;
        let span = condition.span.start..no.span.end;
        let depth = condition.depth.max(yes.depth).max(no.depth);
        Self::node(Kind::If(Box::new([condition, yes, no])), span, depth)
    }

    fn binary(&mut self, weakest: u8) -> Result<Node, ExprError> {
        let mut left = self.unary()?;
        while let Some(token) = self.peek() {
            let Some(strength) = binding(&token.what).filter(|strength| *strength >= weakest)
            else {
                break;
            };
            let operator = token.what.clone();
            self.next += 1;
            let right = self.binary(strength + 1)?;
            left = Self::join(&operator, left, right)?;
        }
        Ok(left)
    }

    fn join(operator: &Lexeme, left: Node, right: Node) -> Result<Node, ExprError> {
        let span = left.span.start..right.span.end;
        let depth = left.depth.max(right.depth);
        let compare = |comparison, sides| Kind::Compare(comparison, Box::new(sides));
        let calculate = |arithmetic, sides| Kind::Calculate(arithmetic, Box::new(sides));
        let kind = match operator {
            Lexeme::Sign(chain @ ("&&" | "||")) => {
                let is_and = *chain == "&&";
                let (mut parts, depth) = match left {
                    Node {
                        kind: Kind::And(parts),
                        depth,
                        ..
                    } if is_and => (parts, depth - 1),
                    Node {
                        kind: Kind::Or(parts),
                        depth,
                        ..
                    } if !is_and => (parts, depth - 1),
                    left => {
                        let depth = left.depth;
                        (vec![left], depth)
                    }
                };
                let depth = depth.max(right.depth);
                parts.push(right);
                let kind = if is_and {
                    Kind::And(parts)
                } else {
                    Kind::Or(parts)
                };
                return Self::node(kind, span, depth);
            }
            Lexeme::Sign("==") => compare(Comparison::Equal, [left, right]),
            Lexeme::Sign("!=") => compare(Comparison::Differs, [left, right]),
            Lexeme::Sign("<") => compare(Comparison::Less, [left, right]),
            Lexeme::Sign("<=") => compare(Comparison::AtMost, [left, right]),
            Lexeme::Sign(">") => compare(Comparison::More, [left, right]),
            Lexeme::Sign(">=") => compare(Comparison::AtLeast, [left, right]),
            Lexeme::Sign("+") => calculate(Arithmetic::Add, [left, right]),
            Lexeme::Sign("-") => calculate(Arithmetic::Subtract, [left, right]),
            Lexeme::Sign("*") => calculate(Arithmetic::Multiply, [left, right]),
            Lexeme::Sign("/") => calculate(Arithmetic::Divide, [left, right]),
            Lexeme::Sign("%") => calculate(Arithmetic::Remainder, [left, right]),
            // `binding` lets nothing else through but `in`.
            _ => Kind::In(Box::new([left, right])),
        };
        Self::node(kind, span, depth)
    }

    fn unary(&mut self) -> Result<Node, ExprError> {
        let Some(start) = self.peek().map(|token| token.span.start) else {
            return Err(self.unexpected("a value"));
        };
        if self.eat("!") {
            let inner = self.nested(Self::unary)?;
            let (span, depth) = (start..inner.span.end, inner.depth);
            return Self::node(Kind::Not(Box::new(inner)), span, depth);
        }
        if self.eat("-") {
            if let Some(Token {
                what: Lexeme::Int(number),
                span,
            }) = self.peek()
            {
                let span = start..span.end;
                let negative = 0i64.checked_sub_unsigned(*number).ok_or_else(|| {
                    ExprError::syntax(span.clone(), format!("`-{number}` is too large a number"))
                })?;
                self.next += 1;
                let literal = Self::node(Kind::Int(negative), span, 0)?;
                return self.members(literal);
            }
            let inner = self.nested(Self::unary)?;
            let (span, depth) = (start..inner.span.end, inner.depth);
            return Self::node(Kind::Negate(Box::new(inner)), span, depth);
        }
        let primary = self.primary()?;
        self.members(primary)
    }

    fn members(&mut self, mut node: Node) -> Result<Node, ExprError> {
        loop {
            if self.is_next("[") {
                return Err(self
                    .unexpected("an operator")
                    .with_help("facts have no indexes"));
            }
            if !self.eat(".") {
                return Ok(node);
            }
            let Some(Token {
                what: Lexeme::Name(name),
                span,
            }) = self.peek().cloned()
            else {
                return Err(self.unexpected("a name after the dot"));
            };
            self.next += 1;
            if self.eat("(") {
                let (arguments, end, depth) = self.arguments(")")?;
                let whole = node.span.start..end;
                let depth = depth.max(node.depth);
                let target = Some(Box::new(node));
                node = Self::node(
                    Kind::Call {
                        name,
                        name_span: span,
                        target,
                        arguments,
                    },
                    whole,
                    depth,
                )?;
                continue;
            }
            let Kind::Name(prefix) = node.kind else {
                return Err(ExprError::syntax(
                    span,
                    format!("a value has no field `{name}`"),
                ));
            };
            let whole = node.span.start..span.end;
            node = Self::node(Kind::Name(format!("{prefix}.{name}")), whole, 0)?;
        }
    }

    fn primary(&mut self) -> Result<Node, ExprError> {
        let Some(token) = self.peek().cloned() else {
            return Err(self.unexpected("a value"));
        };
        let span = token.span;
        let kind = match token.what {
            Lexeme::Int(number) => Kind::Int(i64::try_from(number).map_err(|_| {
                ExprError::syntax(span.clone(), format!("`{number}` is too large a number"))
            })?),
            Lexeme::Float(number) => Kind::Float(number),
            Lexeme::Text(text) => Kind::Text(text),
            Lexeme::Name(name) => return self.named(name, span),
            Lexeme::Sign("(") => {
                self.next += 1;
                let inner = self.expression()?;
                let end = self.expect(")")?;
                return Ok(Node {
                    span: span.start..end,
                    ..inner
                });
            }
            Lexeme::Sign("[") => {
                self.next += 1;
                let (items, end, depth) = self.arguments("]")?;
                return Self::node(Kind::List(items), span.start..end, depth);
            }
            Lexeme::Sign("{") => {
                return Err(ExprError::syntax(span, "maps are not part of rules"));
            }
            Lexeme::Sign(_) => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        Self::node(kind, span, 0)
    }

    fn named(&mut self, name: String, span: Range<usize>) -> Result<Node, ExprError> {
        if let Some((_, help)) = RESERVED.iter().find(|(word, _)| *word == name) {
            let mut error = ExprError::syntax(span, format!("`{name}` is a reserved word"));
            error.help = help.map(str::to_owned);
            return Err(error);
        }
        if name == "in" {
            return Err(self.unexpected("a value"));
        }
        self.next += 1;
        if self.eat("(") {
            let (arguments, end, depth) = self.arguments(")")?;
            let whole = span.start..end;
            return Self::node(
                Kind::Call {
                    name,
                    name_span: span,
                    target: None,
                    arguments,
                },
                whole,
                depth,
            );
        }
        let kind = match &*name {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ => Kind::Name(name),
        };
        Self::node(kind, span, 0)
    }

    /// Reads expressions separated by commas up to `close`.
    fn arguments(&mut self, close: &'static str) -> Result<(Vec<Node>, usize, u32), ExprError> {
        let mut items = Vec::new();
        let mut depth = 0;
        while !self.is_next(close) {
            let item = self.expression()?;
            depth = depth.max(item.depth);
            items.push(item);
            if !self.eat(",") {
                break;
            }
        }
        let end = self.expect(close)?;
        Ok((items, end, depth))
    }
}
