//! The order in which rules run: a rule after those whose hits it counts.

use super::super::Rule;
use super::super::source::log::Log;
use super::super::source::rule::RawRule;

/// Orders rules so that `hits()` asks only about earlier ones; a circle is an error at the rule that closes it.
pub(super) fn by_hits(rules: &[Rule], raw: &[RawRule<'_>], log: &mut Log) -> Vec<u32> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Entered,
        Done,
    }
    let mut seen = vec![Seen::Not; rules.len()];
    let mut order = Vec::with_capacity(rules.len());
    let asks = |index: usize| {
        rules[index]
            .when
            .as_ref()
            .map_or(&[][..], |when| &when.hits[..])
    };
    for root in 0..rules.len() {
        // An explicit stack: chains of hits() may be as long as there are rules.
        let mut stack = vec![(root, 0)];
        while let Some((index, next)) = stack.last_mut() {
            let index = *index;
            if *next == 0 {
                if seen[index] == Seen::Done {
                    stack.pop();
                    continue;
                }
                seen[index] = Seen::Entered;
            }
            let asked = asks(index).get(*next).map(|asked| *asked as usize);
            *next += 1;
            match asked {
                None => {
                    seen[index] = Seen::Done;
                    order.extend(u32::try_from(index));
                    stack.pop();
                }
                Some(asked) if seen[asked] == Seen::Entered => {
                    let raw = &raw[index];
                    let span = raw.when.as_ref().map_or(&raw.span, |when| &when.span);
                    let message = format!(
                        "hits('{}') closes a circle: that rule waits for `{}`",
                        rules[asked].id, rules[index].id
                    );
                    log.error(raw.file, "circle", span, message);
                }
                Some(asked) if seen[asked] == Seen::Done => {}
                Some(asked) => stack.push((asked, 0)),
            }
        }
    }
    order
}
