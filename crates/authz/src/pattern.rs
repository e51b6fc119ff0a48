//! Texts of policies with wildcards and variables (IAM User Guide, "Variables and tags").
//!
//! In documents of version 2012-10-17 `${aws:username}` stands for what the request has of that key, `${aws:username,
//! 'nobody'}` for `nobody` if it has nothing, and `${*}`, `${?}` and `${$}` for the characters themselves. What a
//! variable stands for is compared byte by byte: a `*` in it is no wildcard.

use crate::condition::Outcome;
use crate::context::OwnedKey;
use crate::evaluation::Asked;
use crate::glob::{Glob, Token, matches_within, wildcard};

/// Which characters of a text are wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wildcards {
    /// None.
    None,
    /// `*` and `?`.
    All,
}

/// A compiled text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Without variables.
    Plain(Glob),
    /// With variables, whose values are put in for each request.
    Variable(Box<[Part]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Token(Token),
    Variable { key: OwnedKey, default: Option<Box<[u8]>> },
}

impl Pattern {
    /// Compiles `text`; without `variables` a `${` is text like any other.
    pub(crate) fn parse(text: &str, wildcards: Wildcards, variables: bool) -> Self {
        let mut parts: Vec<Part> = Vec::with_capacity(text.len());
        let mut left = text;
        while !left.is_empty() {
            if let Some((part, rest)) = variables.then(|| read_variable(left)).flatten() {
                parts.push(part);
                left = rest;
                continue;
            }
            let first_bytes = left.chars().next().map_or(1, char::len_utf8);
            let plain_bytes = left[first_bytes..].find("${").map_or(left.len(), |at| at + first_bytes);
            let token = |byte| match wildcards {
                Wildcards::None => Token::Byte(byte),
                Wildcards::All => wildcard(byte),
            };
            parts.extend(left.bytes().take(plain_bytes).map(|byte| Part::Token(token(byte))));
            left = &left[plain_bytes..];
        }
        let tokens: Option<Vec<Token>> = parts
            .iter()
            .map(|part| match part {
                Part::Token(token) => Some(*token),
                Part::Variable { .. } => None,
            })
            .collect();
        tokens.map_or_else(|| Self::Variable(parts.into()), |tokens| Self::Plain(Glob::new(&tokens)))
    }

    /// The same in lower case.
    pub(crate) fn to_lowercase(&self) -> Self {
        match self {
            Self::Plain(glob) => {
                // What ignores case has no wildcards: all of it is the prefix.
                let lower: Vec<Token> =
                    glob.prefix().iter().map(|byte| Token::Byte(byte.to_ascii_lowercase())).collect();
                Self::Plain(Glob::new(&lower))
            }
            Self::Variable(parts) => Self::Variable(
                parts
                    .iter()
                    .map(|part| match part {
                        Part::Token(Token::Byte(byte)) => Part::Token(Token::Byte(byte.to_ascii_lowercase())),
                        part => part.clone(),
                    })
                    .collect(),
            ),
        }
    }

    /// Whether `text` is matched.
    pub(crate) fn outcome(&self, text: &[u8], asked: &Asked<'_>) -> Outcome {
        self.compare(text, asked, false)
    }

    /// Whether `text`, in lower case like the pattern, is matched.
    pub(crate) fn outcome_ignoring_case(&self, text: &[u8], asked: &Asked<'_>) -> Outcome {
        self.compare(text, asked, true)
    }

    fn compare(&self, text: &[u8], asked: &Asked<'_>, lower: bool) -> Outcome {
        let mut steps = asked.steps_left.get();
        let outcome = match self {
            Self::Plain(glob) => Outcome::of(glob.matches_within(text, &mut steps)),
            Self::Variable(parts) => match resolve(parts, asked, lower, &mut steps) {
                Ok(tokens) => Outcome::of(matches_within(&tokens, text, &mut steps)),
                Err(outcome) => outcome,
            },
        };
        // Once the steps are used up they stay so.
        asked.steps_left.set(if outcome == Outcome::TooCostly { 0 } else { steps });
        outcome
    }

    /// The keys of its variables.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &OwnedKey> {
        let parts: &[Part] = match self {
            Self::Plain(_) => &[],
            Self::Variable(parts) => parts,
        };
        parts.iter().filter_map(|part| match part {
            Part::Token(_) => None,
            Part::Variable { key, .. } => Some(key),
        })
    }

    /// The glob that matches all that it matches for any request: variables are taken for `*`.
    pub(crate) fn widest(&self) -> Glob {
        match self {
            Self::Plain(glob) => glob.clone(),
            Self::Variable(parts) => {
                let tokens: Vec<Token> = parts
                    .iter()
                    .map(|part| match part {
                        Part::Token(token) => *token,
                        Part::Variable { .. } => Token::Many,
                    })
                    .collect();
                Glob::new(&tokens)
            }
        }
    }

    /// The text itself, if it has neither wildcards nor variables.
    pub(crate) fn fixed(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(glob) if glob.is_fixed() => Some(glob.prefix()),
            _ => None,
        }
    }
}

/// Puts the request's values in.
///
/// # Errors
/// [`Outcome::Unresolved`] if it lacks one, [`Outcome::TooCostly`] if that comes to more than the steps that are left.
fn resolve(parts: &[Part], asked: &Asked<'_>, lower: bool, steps: &mut u64) -> Result<Vec<Token>, Outcome> {
    let mut tokens = Vec::with_capacity(parts.len());
    let byte = |byte: &u8| Token::Byte(if lower { byte.to_ascii_lowercase() } else { *byte });
    for part in parts {
        let before = tokens.len();
        match part {
            Part::Token(token) => tokens.push(*token),
            Part::Variable { key, default } => match (asked.values(key.as_key()).as_slice(), default) {
                ([value], _) => tokens.extend(value.text().iter().map(byte)),
                ([], Some(default)) => tokens.extend(default.iter().map(byte)),
                // Of several values none is the one that was meant.
                _ => return Err(Outcome::Unresolved),
            },
        }
        let added = u64::try_from(tokens.len() - before).unwrap_or(u64::MAX);
        *steps = steps.checked_sub(added).ok_or(Outcome::TooCostly)?;
    }
    Ok(tokens)
}

/// The variable that `text` begins with, and what follows it.
fn read_variable(text: &str) -> Option<(Part, &str)> {
    let inside = text.strip_prefix("${")?;
    // A default may have a brace in its quotes.
    let end = match inside.split_once(", '").or_else(|| inside.split_once(",'")) {
        Some((name, default)) if !name.contains('}') => inside.len() - default.len() + default.find("'}")? + 1,
        _ => inside.find('}')?,
    };
    let (body, rest) = (&inside[..end], &inside[end + 1..]);
    let part = match body {
        "*" | "?" | "$" => Part::Token(Token::Byte(body.as_bytes()[0])),
        body => {
            let (name, default) = match body.split_once(',') {
                Some((name, default)) => (name, Some(default.trim_start().strip_prefix('\'')?.strip_suffix('\'')?)),
                None => (body, None),
            };
            Part::Variable { key: OwnedKey::parse(name.trim()), default: default.map(|text| text.as_bytes().into()) }
        }
    };
    Some((part, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{Key, KeyName, RequestContext, Values};
    use crate::{Action, Principal, Request, Resource};

    struct Bob;

    impl RequestContext for Bob {
        fn values(&self, key: Key<'_>) -> Values<'_> {
            match key.name {
                KeyName::Prefix => "B*b".into(),
                KeyName::TagKeys => Values::Many(vec!["a".into(), "b".into()]),
                KeyName::PrincipalTag if key.rest == "team" => "red".into(),
                _ => Values::Absent,
            }
        }
    }

    fn outcome(pattern: &Pattern, text: &str) -> Outcome {
        let request = Request {
            principal: Principal::Anonymous,
            action: Action::GetObject,
            resource: Resource::Service,
            context: &Bob,
        };
        pattern.outcome(text.as_bytes(), &Asked::new(&request, None))
    }

    fn check(pattern: &str, text: &str, expected: Outcome) {
        let pattern = Pattern::parse(pattern, Wildcards::All, true);
        assert_eq!(outcome(&pattern, text), expected, "{pattern:?} {text}");
    }

    #[test]
    fn variables_stand_for_what_the_request_has() {
        check("home/${s3:prefix}/*", "home/B*b/x", Outcome::Matches);
        check("home/${s3:prefix}/*", "home/Bxb/x", Outcome::Differs);
        check("${aws:PrincipalTag/team}-*", "red-1", Outcome::Matches);
        check("é${S3:PREFIX}é", "éB*bé", Outcome::Matches);
    }

    #[test]
    fn a_variable_without_a_value_matches_nothing_but_its_default() {
        check("${aws:username}", "", Outcome::Unresolved);
        check("*${aws:PrincipalTag/other}*", "anything", Outcome::Unresolved);
        check("${aws:username, 'no}body'}-x", "no}body-x", Outcome::Matches);
        check("${aws:username,''}x", "x", Outcome::Matches);
        check("${s3:prefix, 'nobody'}", "nobody", Outcome::Differs);
        // Several values are none.
        check("${aws:TagKeys}", "a", Outcome::Unresolved);
    }

    #[test]
    fn escapes_are_the_characters_themselves() {
        check("a${*}b", "a*b", Outcome::Matches);
        check("a${*}b", "axb", Outcome::Differs);
        check("a${?}b", "a?b", Outcome::Matches);
        check("${$}{s3:prefix}", "${s3:prefix}", Outcome::Matches);
    }

    #[test]
    fn older_documents_have_no_variables() {
        let pattern = Pattern::parse("a${s3:prefix}*", Wildcards::All, false);
        assert_eq!(outcome(&pattern, "a${s3:prefix}b"), Outcome::Matches);
        let pattern = Pattern::parse("a*${*}", Wildcards::None, true);
        assert_eq!(pattern.fixed(), Some(b"a**".as_slice()));
    }

    #[test]
    fn what_is_no_variable_is_text() {
        for text in ["${", "$", "a${s3:prefix", "$s3:prefix}", "${s3:prefix, nobody}", "${s3:prefix, 'x", "${é"] {
            check(text, text, Outcome::Matches);
        }
    }
}
