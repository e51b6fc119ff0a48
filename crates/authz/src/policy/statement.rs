//! One statement, compiled, and whether it applies.

use types::BucketName;

use super::actions::{CompiledActions, compile_actions};
use super::principals::{Principals, Reach};
use super::raw::{RawCondition, RawStatement};
use super::resources::Resources;
use super::{Effect, PolicyError, PolicyKind, Version};
use crate::action::ActionSet;
use crate::condition::{Condition, Operator, Test, ValueError};
use crate::context::{KeyName, KeySet, OwnedKey, applies_to};
use crate::evaluation::Asked;

/// A statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) principals: Principals,
    pub(crate) actions: ActionSet,
    pub(crate) resources: Resources,
    pub(crate) conditions: Box<[Condition]>,
    /// The keys of its conditions and variables.
    pub(crate) asks: KeySet,
}

/// Why a statement does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    Action,
    Principal,
    Resource,
    /// The condition with this index.
    Condition(usize),
}

impl Statement {
    /// Compiles a statement; `bucket` is whose policy it is of, for that kind.
    ///
    /// # Errors
    /// [`PolicyError`] in the words for `kind`.
    pub(crate) fn compile(
        raw: RawStatement,
        version: Version,
        kind: PolicyKind,
        bucket: Option<&BucketName>,
    ) -> Result<Self, PolicyError> {
        let variables = version == Version::V2012;
        let principals = Principals::parse(raw.principal, raw.effect, kind)?;
        let no_actions = raw.action.as_ref().is_none_or(|action| action.value.is_empty());
        if no_actions && !kind.names_principals() {
            return Err(PolicyError::NoActions);
        }
        // Of a bucket policy that lacks both, S3 names the action.
        if no_actions {
            return Err(PolicyError::MissingField("Action"));
        }
        let resources = Resources::compile(raw.resource, kind, bucket, variables)?;
        let (patterns, negated) = raw.action.map_or((Vec::new(), false), |action| (action.value, action.negated));
        let actions = compile_actions(&patterns, negated, kind)?;
        let conditions: Result<Box<[Condition]>, PolicyError> =
            raw.conditions.iter().map(|condition| compile_condition(condition, variables, kind)).collect();
        let conditions = conditions?;
        if let Some(sid) = raw.sid.as_ref().filter(|_| !kind.is_bucket())
            && !sid.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(PolicyError::Sid);
        }
        if let Some(bucket) = bucket {
            check_fit(&actions, negated, &resources, &conditions, bucket)?;
        }
        let asks = keys_of(&resources, &conditions);
        let sid = raw.sid.map(Into::into);
        Ok(Self { sid, effect: raw.effect, principals, actions: actions.set, resources, conditions, asks })
    }

    /// Whether it applies, and how directly it names who asks. What costs least is looked at first.
    pub(crate) fn applies(&self, asked: &Asked<'_>) -> Result<Reach, Mismatch> {
        if !self.actions.contains(asked.action) {
            return Err(Mismatch::Action);
        }
        let reach = self.principals.reach(asked).ok_or(Mismatch::Principal)?;
        if !self.resources.apply(asked, self.effect) {
            return Err(Mismatch::Resource);
        }
        match self.conditions.iter().position(|condition| !condition.holds(asked, self.effect)) {
            Some(at) => Err(Mismatch::Condition(at)),
            None => Ok(reach),
        }
    }
}

fn compile_condition(raw: &RawCondition, variables: bool, kind: PolicyKind) -> Result<Condition, PolicyError> {
    let unknown = || {
        let refused = PolicyError::ConditionType(raw.operator.clone());
        if kind.is_bucket() { refused } else { PolicyError::Syntax }
    };
    let operator = Operator::parse(&raw.operator).ok_or_else(unknown)?;
    let key = OwnedKey::parse(&raw.key);
    if kind.is_bucket() && !is_key_of_s3(&key, &raw.key) {
        return Err(PolicyError::ConditionKey);
    }
    let values: Vec<&str> = raw.values.iter().map(String::as_str).collect();
    let test = Test::new(operator.comparison, &values, variables).map_err(|error| match error {
        _ if !kind.is_bucket() => PolicyError::Syntax,
        ValueError::Address => PolicyError::ConditionAddress,
        ValueError::Other => PolicyError::ConditionValue,
    })?;
    Ok(Condition { operator, key, test })
}

/// Whether a bucket policy may have the key: S3's and the global ones. Of the latter S3 refuses none.
fn is_key_of_s3(key: &OwnedKey, written: &str) -> bool {
    match key.name {
        KeyName::Other => written.get(..4).is_some_and(|vendor| vendor.eq_ignore_ascii_case("aws:")),
        name => ["aws:", "s3:"].iter().any(|vendor| name.as_str().starts_with(vendor)),
    }
}

/// Whether actions, resources and conditions of a bucket policy go together. An action that is named alone must fit by
/// itself, a pattern by one of its actions.
fn check_fit(
    actions: &CompiledActions,
    negated: bool,
    resources: &Resources,
    conditions: &[Condition],
    bucket: &BucketName,
) -> Result<(), PolicyError> {
    if negated {
        return Ok(());
    }
    let scope = resources.scope(bucket);
    for (set, is_single) in &actions.named {
        if !set.iter().any(|action| scope.fits(action)) {
            return Err(PolicyError::ActionDoesNotApply);
        }
        let says =
            |key: KeyName| set.iter().any(|action| (*is_single || scope.fits(action)) && applies_to(key, action));
        if !conditions.iter().all(|condition| says(condition.key.name)) {
            return Err(PolicyError::ConditionDoesNotApply);
        }
    }
    Ok(())
}

fn keys_of(resources: &Resources, conditions: &[Condition]) -> KeySet {
    let mut asks = KeySet::default();
    let tested = conditions.iter().flat_map(|condition| condition.test.patterns());
    let variables = resources.patterns().iter().chain(tested).flat_map(|pattern| pattern.keys());
    for key in conditions.iter().map(|condition| &condition.key).chain(variables) {
        asks.insert(key.name);
    }
    asks
}
