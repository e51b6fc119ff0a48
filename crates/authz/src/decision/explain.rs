//! All that was looked at, for `cairn admin explain`: each statement, and whether it applied or why not.

use std::fmt;

use super::{Found, Policies};
use crate::evaluation::{Asked, Request};
use crate::policy::{Effect, Mismatch, Statement};

/// A statement that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered<'a> {
    /// Which one.
    pub statement: Found<'a>,
    /// What it does where it applies.
    pub effect: Effect,
    /// Whether it applied.
    pub outcome: StatementOutcome,
}

/// Whether a statement applied, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementOutcome {
    /// It applied.
    Applied,
    /// It is about other actions.
    OtherAction,
    /// It is about others.
    OtherPrincipal,
    /// It is about other resources.
    OtherResource,
    /// This condition did not hold.
    Condition {
        /// The operator, as policies have it.
        operator: String,
        /// The key.
        key: String,
        /// What the request has of it, each value as text.
        found: Vec<String>,
    },
}

/// Looks at every statement of every policy, as [`super::decide`] does.
pub fn explain<'a>(request: &Request<'a>, policies: &Policies<'a>) -> Vec<Considered<'a>> {
    let asked = Asked::new(request, policies.bucket.map(|bucket| bucket.owner.account));
    let mut considered = Vec::new();
    for attached in policies.all() {
        let policy = attached.policy;
        for (index, statement) in policy.statements().iter().enumerate() {
            let (source, policy_id, sid) = (attached.source, policy.id(), statement.sid.as_deref());
            considered.push(Considered {
                statement: Found { source, policy_id, index, sid },
                effect: statement.effect,
                outcome: outcome(statement, &asked),
            });
        }
    }
    considered
}

fn outcome(statement: &Statement, asked: &Asked<'_>) -> StatementOutcome {
    match statement.applies(asked) {
        Ok(_) => StatementOutcome::Applied,
        Err(Mismatch::Action) => StatementOutcome::OtherAction,
        Err(Mismatch::Principal) => StatementOutcome::OtherPrincipal,
        Err(Mismatch::Resource) => StatementOutcome::OtherResource,
        Err(Mismatch::Condition(at)) => {
            let condition = &statement.conditions[at];
            let key = condition.key.as_key();
            let values = asked.values(key);
            let shown = values.as_slice().iter().map(|value| String::from_utf8_lossy(&value.text()).into_owned());
            StatementOutcome::Condition {
                operator: condition.operator.to_string(),
                key: key.to_string(),
                found: shown.collect(),
            }
        }
    }
}

impl fmt::Display for Considered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = if self.effect == Effect::Allow { "Allow" } else { "Deny" };
        write!(f, "{} [{effect}]: {}", self.statement, self.outcome)
    }
}

impl fmt::Display for StatementOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied => f.write_str("applies"),
            Self::OtherAction => f.write_str("is about other actions"),
            Self::OtherPrincipal => f.write_str("is about others"),
            Self::OtherResource => f.write_str("is about other resources"),
            Self::Condition { operator, key, found } if found.is_empty() => {
                write!(f, "{operator} of {key} does not hold: the request has none")
            }
            Self::Condition { operator, key, found } => {
                write!(f, "{operator} of {key} does not hold of {}", found.join(", "))
            }
        }
    }
}
