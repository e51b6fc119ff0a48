//! Conditions of statements (IAM User Guide, "Condition operators" and "Multivalued context keys"): an operator, a key
//! and values, compiled.
//!
//! Of the values any may hold (of a negated operator, none). A key that the request does not have fails an operator,
//! holds under a negated one and under `...IfExists`, holds under `ForAllValues:` and fails under `ForAnyValue:`.

mod address;
mod number;
mod operator;
mod test;
mod time;

pub(crate) use operator::{Operator, Quantifier};
pub(crate) use test::{Outcome, Test, ValueError};
pub(crate) use time::time_text;

use crate::context::{OwnedKey, Values};
use crate::evaluation::Asked;
use crate::policy::Effect;

/// One key under one operator.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) operator: Operator,
    pub(crate) key: OwnedKey,
    pub(crate) test: Test,
}

impl Condition {
    /// Whether it holds for what is asked.
    ///
    /// A value with a variable that the request does not have matches nothing. Under a negated operator that could open
    /// an Allow, so there the condition fails, and holds in a Deny. So does one that costs too much to compare.
    pub(crate) fn holds(&self, asked: &Asked<'_>, effect: Effect) -> bool {
        let values = asked.values(self.key.as_key());
        let operator = self.operator;
        if let Test::Null(wanted) = &self.test {
            let is_null = values.as_slice().is_empty();
            return wanted.contains(&is_null);
        }
        if is_absent(&values, operator.quantifier) {
            return match operator.quantifier {
                Quantifier::ForAllValues => true,
                Quantifier::ForAnyValue => operator.if_exists,
                Quantifier::None => operator.if_exists || operator.negated,
            };
        }
        let satisfied = |outcome| match outcome {
            Outcome::Matches => !operator.negated,
            Outcome::Differs => operator.negated,
            Outcome::Unresolved => operator.negated && effect == Effect::Deny,
            Outcome::TooCostly => effect == Effect::Deny,
        };
        let mut outcomes = values.as_slice().iter().map(|value| self.test.outcome(value, asked));
        match operator.quantifier {
            Quantifier::ForAllValues => outcomes.all(satisfied),
            Quantifier::ForAnyValue => outcomes.any(satisfied),
            // Of several values that are asked for without a quantifier any may match; under a negated operator none.
            Quantifier::None if operator.negated => outcomes.all(satisfied),
            Quantifier::None => outcomes.any(satisfied),
        }
    }
}

/// Whether there is nothing to compare. Sets count a lone empty text as nothing.
fn is_absent(values: &Values<'_>, quantifier: Quantifier) -> bool {
    match values.as_slice() {
        [] => true,
        [only] => quantifier != Quantifier::None && only.text().is_empty(),
        _ => false,
    }
}
