//! What a request's value is held against: a condition's values, compiled for its operator.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use types::Timestamp;

use super::address::{Cidr, parse_address};
use super::number::Decimal;
use super::operator::{Comparison, Order};
use super::time::parse_time;
use crate::context::Value;
use crate::evaluation::Asked;
use crate::pattern::{Pattern, Wildcards};

/// The values of a condition.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// Patterns, of which `StringEquals` has no wildcards.
    Text(Box<[Pattern]>),
    /// Patterns in lower case.
    TextIgnoringCase(Box<[Pattern]>),
    Arn(Box<[Box<[Pattern]>]>),
    Number(Order, Box<[Decimal]>),
    Date(Order, Box<[Timestamp]>),
    Bool(Box<[bool]>),
    Binary(Box<[Box<[u8]>]>),
    Address(Box<[Cidr]>),
    Null(Box<[bool]>),
}

/// How a request's value stands to a condition's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It matches one of them.
    Matches,
    /// It matches none of them.
    Differs,
    /// It matches none of them, and one has a variable that the request does not have.
    Unresolved,
    /// The decision has looked at more than it may.
    TooCostly,
}

impl Outcome {
    /// Whether it was matched; `None` if that cost too much.
    pub(crate) fn of(matched: Option<bool>) -> Self {
        match matched {
            Some(true) => Self::Matches,
            Some(false) => Self::Differs,
            None => Self::TooCostly,
        }
    }
}

/// A value that its operator can't compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueError {
    Address,
    Other,
}

/// The parts of an ARN that are compared one by one.
const ARN_PARTS: usize = 6;

impl Test {
    /// Compiles `values` for `comparison`; `variables` says whether the policy's version has them.
    ///
    /// # Errors
    /// [`ValueError`], of the first value that is not one.
    pub(crate) fn new(comparison: Comparison, values: &[&str], variables: bool) -> Result<Self, ValueError> {
        let texts = |wildcards| values.iter().map(|value| Pattern::parse(value, wildcards, variables)).collect();
        let other = |value: Option<_>| value.ok_or(ValueError::Other);
        Ok(match comparison {
            Comparison::StringEquals => Self::Text(texts(Wildcards::None)),
            Comparison::StringLike => Self::Text(texts(Wildcards::All)),
            Comparison::StringEqualsIgnoreCase => {
                let patterns: Box<[Pattern]> = texts(Wildcards::None);
                Self::TextIgnoringCase(patterns.iter().map(Pattern::to_lowercase).collect())
            }
            Comparison::Arn => Self::Arn(values.iter().map(|value| arn_patterns(value, variables)).collect()),
            Comparison::Numeric(order) => {
                Self::Number(order, collect(values, |value| other_of(Decimal::parse(value)))?)
            }
            Comparison::Date(order) => Self::Date(order, collect(values, |value| other_of(parse_time(value)))?),
            Comparison::Bool => Self::Bool(collect(values, |value| other(parse_bool(value)))?),
            Comparison::Null => Self::Null(collect(values, |value| other(parse_bool(value)))?),
            Comparison::Binary => Self::Binary(collect(values, |value| {
                BASE64_STANDARD.decode(value).map(Vec::into_boxed_slice).map_err(|_| ValueError::Other)
            })?),
            Comparison::IpAddress => {
                Self::Address(collect(values, |value| Cidr::parse(value).ok_or(ValueError::Address))?)
            }
        })
    }

    /// The patterns whose variables are asked for.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let (plain, parts): (&[Pattern], &[Box<[Pattern]>]) = match self {
            Self::Text(patterns) | Self::TextIgnoringCase(patterns) => (patterns, &[]),
            Self::Arn(arns) => (&[], arns),
            _ => (&[], &[]),
        };
        plain.iter().chain(parts.iter().flatten())
    }

    /// Compares one value of a request.
    pub(crate) fn outcome(&self, value: &Value<'_>, asked: &Asked<'_>) -> Outcome {
        let found = |some: bool| if some { Outcome::Matches } else { Outcome::Differs };
        match self {
            Self::Text(patterns) => any_of(patterns.iter().map(|pattern| pattern.outcome(&value.text(), asked))),
            Self::TextIgnoringCase(patterns) => {
                let text = value.text().to_ascii_lowercase();
                any_of(patterns.iter().map(|pattern| pattern.outcome_ignoring_case(&text, asked)))
            }
            Self::Arn(arns) => {
                let text = value.text();
                any_of(arns.iter().map(|parts| arn_outcome(parts, &text, asked)))
            }
            Self::Number(order, wanted) => {
                let number = match value {
                    Value::Number(number) => Some(Decimal::from(*number)),
                    value => value.utf8().and_then(Decimal::parse),
                };
                found(number.is_some_and(|number| wanted.iter().any(|wanted| order.holds(&number, wanted))))
            }
            Self::Date(order, wanted) => {
                let time = match value {
                    Value::Time(time) => Some(*time),
                    Value::Number(seconds) => u64::try_from(*seconds).ok().map(Timestamp::from_seconds),
                    value => value.utf8().and_then(parse_time),
                };
                found(time.is_some_and(|time| wanted.iter().any(|wanted| order.holds(&time, wanted))))
            }
            Self::Bool(wanted) => {
                let is = match value {
                    Value::Bool(is) => Some(*is),
                    value => value.utf8().and_then(parse_bool),
                };
                found(is.is_some_and(|is| wanted.contains(&is)))
            }
            Self::Binary(wanted) => found(wanted.iter().any(|wanted| **wanted == *value.text())),
            Self::Address(wanted) => {
                let address = match value {
                    Value::Address(address) => Some(*address),
                    value => value.utf8().and_then(parse_address),
                };
                found(address.is_some_and(|address| wanted.iter().any(|cidr| cidr.contains(address))))
            }
            Self::Null(_) => Outcome::Differs,
        }
    }
}

fn collect<T>(values: &[&str], read: impl Fn(&str) -> Result<T, ValueError>) -> Result<Box<[T]>, ValueError> {
    values.iter().map(|value| read(value)).collect()
}

fn other_of<T>(value: Option<T>) -> Result<T, ValueError> {
    value.ok_or(ValueError::Other)
}

fn any_of(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    let mut all = Outcome::Differs;
    for outcome in outcomes {
        match outcome {
            Outcome::Matches | Outcome::TooCostly => return outcome,
            Outcome::Unresolved => all = Outcome::Unresolved,
            Outcome::Differs => {}
        }
    }
    all
}

fn parse_bool(text: &str) -> Option<bool> {
    [true, false].into_iter().find(|known| text.eq_ignore_ascii_case(if *known { "true" } else { "false" }))
}

/// A pattern for each part of an ARN; one without colons is for all of it.
fn arn_patterns(value: &str, variables: bool) -> Box<[Pattern]> {
    value.splitn(ARN_PARTS, ':').map(|part| Pattern::parse(part, Wildcards::All, variables)).collect()
}

/// Compares part by part, so that a wildcard does not pass over a colon but in the last one.
fn arn_outcome(parts: &[Pattern], text: &[u8], asked: &Asked<'_>) -> Outcome {
    let found: Vec<&[u8]> = text.splitn(ARN_PARTS, |&byte| byte == b':').collect();
    if let [all] = parts {
        return all.outcome(text, asked);
    }
    if found.len() != parts.len() {
        return Outcome::Differs;
    }
    let mut all = Outcome::Matches;
    for (part, text) in parts.iter().zip(found) {
        let outcome = part.outcome(text, asked);
        match outcome {
            Outcome::Differs | Outcome::TooCostly => return outcome,
            Outcome::Unresolved => all = Outcome::Unresolved,
            Outcome::Matches => {}
        }
    }
    all
}
