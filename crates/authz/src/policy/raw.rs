//! A policy's elements as they stand (IAM User Guide, "Grammar of the IAM JSON policy language"): which there are, and
//! of what type. What they say is looked at later.

use std::collections::BTreeSet;

use super::json::{self, Json};
use super::{Effect, PolicyError, PolicyKind, Version};

/// A document.
#[derive(Debug)]
pub(crate) struct RawPolicy {
    pub(crate) version: Version,
    pub(crate) id: Option<String>,
    pub(crate) statements: Vec<RawStatement>,
}

/// A statement.
#[derive(Debug)]
pub(crate) struct RawStatement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) principal: Option<Element<Json>>,
    pub(crate) action: Option<Element<Vec<String>>>,
    pub(crate) resource: Option<Element<Vec<String>>>,
    pub(crate) conditions: Vec<RawCondition>,
}

/// An element, or its negation.
#[derive(Debug)]
pub(crate) struct Element<T> {
    pub(crate) negated: bool,
    pub(crate) value: T,
}

/// A key under an operator.
#[derive(Debug)]
pub(crate) struct RawCondition {
    pub(crate) operator: String,
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

impl RawPolicy {
    /// Reads `text`, which is not too long.
    ///
    /// # Errors
    /// [`PolicyError`] in the words for `kind`.
    pub(crate) fn parse(text: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        let malformed =
            if kind == PolicyKind::Trust || kind.is_bucket() { PolicyError::Json } else { PolicyError::Syntax };
        if kind.is_bucket() && !text.starts_with('{') {
            return Err(PolicyError::FirstByte);
        }
        let members = match json::parse(text) {
            Some(Json::Object(members)) => members,
            Some(_) | None => return Err(malformed),
        };
        let mut policy = Members::new(members, &["Version", "Id", "Statement"], kind)?;
        let version = read_version(policy.take("Version"), kind)?;
        let id = optional_text(policy.take("Id"), kind)?;
        let statements = match policy.take("Statement") {
            None => return Err(kind.or_syntax(PolicyError::MissingField("Statement"))),
            Some(Json::List(list)) if list.is_empty() => return Err(kind.or_syntax(PolicyError::EmptyStatement)),
            Some(Json::List(list)) => list,
            Some(single) => vec![single],
        };
        let statements: Result<Vec<_>, _> =
            statements.into_iter().map(|statement| RawStatement::parse(statement, kind)).collect();
        let statements = statements?;
        if version == Version::V2008 && !kind.names_principals() {
            return Err(PolicyError::OldVersion);
        }
        Ok(Self { version, id, statements })
    }
}

fn read_version(value: Option<Json>, kind: PolicyKind) -> Result<Version, PolicyError> {
    match value {
        None => Ok(Version::V2008),
        Some(Json::Text(text)) if text == "2012-10-17" => Ok(Version::V2012),
        Some(Json::Text(text)) if text == "2008-10-17" => Ok(Version::V2008),
        Some(_) => Err(kind.or_syntax(PolicyError::Version)),
    }
}

const STATEMENT_ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

impl RawStatement {
    fn parse(value: Json, kind: PolicyKind) -> Result<Self, PolicyError> {
        let Json::Object(members) = value else { return Err(kind.syntax()) };
        let mut statement = Members::new(members, &STATEMENT_ELEMENTS, kind)?;
        let sid = optional_text(statement.take("Sid"), kind)?;
        let effect = match statement.take("Effect") {
            None => return Err(kind.or_syntax(PolicyError::MissingField("Effect"))),
            Some(Json::Text(text)) => match text.as_str() {
                "Allow" => Effect::Allow,
                "Deny" => Effect::Deny,
                _ => return Err(kind.or_syntax(PolicyError::Effect(text))),
            },
            Some(_) => return Err(kind.syntax()),
        };
        let principal = statement.element("Principal", "NotPrincipal")?;
        let action = statement.element("Action", "NotAction")?;
        let resource = statement.element("Resource", "NotResource")?;
        Ok(Self {
            sid,
            effect,
            principal,
            action: texts_of(action, kind)?,
            resource: texts_of(resource, kind)?,
            conditions: read_conditions(statement.take("Condition"), kind)?,
        })
    }
}

fn read_conditions(value: Option<Json>, kind: PolicyKind) -> Result<Vec<RawCondition>, PolicyError> {
    let operators = match value {
        None => return Ok(Vec::new()),
        Some(Json::Object(operators)) => operators,
        Some(_) => return Err(kind.syntax()),
    };
    refuse_twice(operators.iter().map(|(operator, _)| operator.clone()), kind)?;
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let Json::Object(keys) = keys else { return Err(kind.syntax()) };
        // Case is of no matter in keys, so none can be there twice by another spelling.
        refuse_twice(keys.iter().map(|(key, _)| key.to_ascii_lowercase()), kind)?;
        for (key, values) in keys {
            let values = match values {
                Json::List(values) => values,
                single => vec![single],
            };
            let values: Option<Vec<String>> = values.into_iter().map(scalar).collect();
            let values = values.ok_or(kind.syntax())?;
            conditions.push(RawCondition { operator: operator.clone(), key, values });
        }
    }
    Ok(conditions)
}

/// A condition's value: text, number or truth.
fn scalar(value: Json) -> Option<String> {
    match value {
        Json::Text(text) | Json::Number(text) => Some(text),
        Json::Bool(value) => Some(value.to_string()),
        Json::Null | Json::List(_) | Json::Object(_) => None,
    }
}

/// The members of an object, each known and there once.
struct Members {
    members: Vec<(String, Json)>,
    kind: PolicyKind,
}

impl Members {
    fn new(members: Vec<(String, Json)>, known: &[&str], kind: PolicyKind) -> Result<Self, PolicyError> {
        if let Some((name, _)) = members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            return Err(kind.or_syntax(PolicyError::UnknownField(name.clone())));
        }
        refuse_twice(members.iter().map(|(name, _)| name.clone()), kind)?;
        Ok(Self { members, kind })
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.members.iter().position(|(found, _)| found == name)?;
        Some(self.members.swap_remove(at).1)
    }

    /// An element or its negation, not both.
    fn element(&mut self, name: &str, negation: &str) -> Result<Option<Element<Json>>, PolicyError> {
        match (self.take(name), self.take(negation)) {
            (Some(_), Some(_)) => Err(self.kind.or_syntax(PolicyError::AlreadyHas(name.to_owned()))),
            (Some(value), None) => Ok(Some(Element { negated: false, value })),
            (None, Some(value)) => Ok(Some(Element { negated: true, value })),
            (None, None) => Ok(None),
        }
    }
}

fn refuse_twice(names: impl Iterator<Item = String>, kind: PolicyKind) -> Result<(), PolicyError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(kind.or_syntax(PolicyError::AlreadyHas(name)));
        }
        seen.insert(name);
    }
    Ok(())
}

fn optional_text(value: Option<Json>, kind: PolicyKind) -> Result<Option<String>, PolicyError> {
    match value {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(kind.syntax()),
    }
}

fn texts_of(element: Option<Element<Json>>, kind: PolicyKind) -> Result<Option<Element<Vec<String>>>, PolicyError> {
    let Some(Element { negated, value }) = element else { return Ok(None) };
    let value = texts(value).ok_or(kind.syntax())?;
    Ok(Some(Element { negated, value }))
}

/// A text, or a list of texts.
pub(crate) fn texts(value: Json) -> Option<Vec<String>> {
    match value {
        Json::Text(text) => Some(vec![text]),
        Json::List(list) => list
            .into_iter()
            .map(|item| match item {
                Json::Text(text) => Some(text),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}
