//! Whether a bucket policy is public (S3 User Guide, "Blocking public access to your Amazon S3 storage", "The meaning
//! of public"): it is, unless every Allow is for fixed values alone.

use super::principals::{PrincipalPattern, Principals};
use super::{Effect, Statement};
use crate::condition::{Condition, Quantifier, Test};
use crate::context::KeyName;
use crate::pattern::Pattern;
use crate::principal::Principal;

/// Whether the statement makes its policy public.
pub(crate) fn is_public(statement: &Statement) -> bool {
    if statement.effect == Effect::Deny {
        return false;
    }
    let everybody = match &statement.principals {
        Principals::Holder => false,
        Principals::Only(patterns) => patterns.iter().any(PrincipalPattern::is_public),
        Principals::Except(_) => true,
    };
    everybody && !statement.conditions.iter().any(bounds)
}

/// Whether the condition holds for fixed values of a key that tells who or where from, and for nobody who lacks the key.
fn bounds(condition: &Condition) -> bool {
    let operator = condition.operator;
    if operator.negated || operator.if_exists || operator.quantifier == Quantifier::ForAllValues {
        return false;
    }
    match &condition.test {
        Test::Address(blocks) => {
            let is_source = condition.key.name == KeyName::SourceIp;
            is_source && !blocks.is_empty() && !blocks.iter().any(|block| block.is_wide())
        }
        Test::Text(patterns) | Test::TextIgnoringCase(patterns) => {
            let is_bound = |pattern: &Pattern| {
                pattern.fixed().is_some_and(|value| !is_anonymous(condition.key.name, value))
                    || names_access_point(condition, pattern)
            };
            tells_who(condition.key.name) && !patterns.is_empty() && patterns.iter().all(is_bound)
        }
        Test::Arn(arns) => {
            let is_fixed = |arn: &[Pattern]| {
                arn.iter().all(|part| part.fixed().is_some())
                    || (condition.key.name == KeyName::DataAccessPointArn && has_fixed_account(arn))
            };
            tells_who(condition.key.name) && !arns.is_empty() && arns.iter().all(|arn| is_fixed(arn))
        }
        Test::Number(..) | Test::Date(..) | Test::Bool(_) | Test::Binary(_) | Test::Null(_) => false,
    }
}

const fn tells_who(key: KeyName) -> bool {
    matches!(
        key,
        KeyName::PrincipalOrgId
            | KeyName::PrincipalOrgPaths
            | KeyName::PrincipalAccount
            | KeyName::PrincipalArn
            | KeyName::PrincipalServiceName
            | KeyName::SourceArn
            | KeyName::SourceVpc
            | KeyName::SourceVpce
            | KeyName::SourceOwner
            | KeyName::SourceAccount
            | KeyName::ServerSideEncryptionAwsKmsKeyId
            | KeyName::UserId
            | KeyName::DataAccessPointArn
            | KeyName::DataAccessPointAccount
    )
}

/// Whether a fixed value is nobody's: who did not sign has an `aws:userid` too.
const fn is_anonymous(key: KeyName, value: &[u8]) -> bool {
    matches!(key, KeyName::UserId) && value.eq_ignore_ascii_case(Principal::ANONYMOUS_ID.as_bytes())
}

/// An access point's name may have wildcards, as long as its account is fixed.
fn names_access_point(condition: &Condition, pattern: &Pattern) -> bool {
    if condition.key.name != KeyName::DataAccessPointArn {
        return false;
    }
    let Pattern::Plain(glob) = pattern else { return false };
    let before_wildcard = glob.prefix();
    before_wildcard.split(|&byte| byte == b':').count() == 6
        && before_wildcard.rsplit(|&byte| byte == b':').next().is_some_and(|name| name.starts_with(b"accesspoint/"))
}

fn has_fixed_account(arn: &[Pattern]) -> bool {
    arn.len() == 6 && arn[..5].iter().all(|part| part.fixed().is_some())
}
