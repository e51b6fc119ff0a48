//! Looking through the statements of policies.

use super::{Attached, Found, Policies, Source};
use crate::evaluation::Asked;
use crate::policy::{Effect, Reach};
use crate::principal::Principal;

/// The first statement that denies, in any policy.
///
/// The root of a bucket's account (and the operator) keeps the calls on the bucket's policy against that policy: whoever
/// locked everybody out can let them in again.
pub(crate) fn explicit_deny<'a>(asked: &Asked<'a>, policies: &Policies<'a>) -> Option<Found<'a>> {
    let keeps_policy_calls = asked.action.is_of_bucket_policy()
        && match asked.principal {
            Principal::Account(owner) => {
                asked.principal.is_operator()
                    || policies.bucket.is_some_and(|bucket| bucket.owner.account == owner.account)
            }
            _ => false,
        };
    policies
        .all()
        .filter(|attached| !(keeps_policy_calls && attached.source == Source::Bucket))
        .find_map(|attached| statement(&attached, asked, Effect::Deny).map(|(found, _)| found))
}

/// The first statement that allows, in any of `attached`.
pub(crate) fn first_allow<'a>(attached: &[Attached<'a>], asked: &Asked<'a>) -> Option<Found<'a>> {
    attached.iter().find_map(|attached| statement(attached, asked, Effect::Allow).map(|(found, _)| found))
}

/// The statement with `effect` that names who asks most directly.
pub(crate) fn statement<'a>(attached: &Attached<'a>, asked: &Asked<'a>, effect: Effect) -> Option<(Found<'a>, Reach)> {
    let policy = attached.policy;
    let mut best: Option<(Found<'a>, Reach)> = None;
    for (index, statement) in policy.statements().iter().enumerate() {
        if statement.effect != effect {
            continue;
        }
        let Ok(reach) = statement.applies(asked) else { continue };
        if best.is_none_or(|(_, least)| least < reach) {
            let sid = statement.sid.as_deref();
            best = Some((Found { source: attached.source, policy_id: policy.id(), index, sid }, reach));
        }
        // A Deny is a Deny, and nothing is more direct than this.
        if reach == Reach::Direct || effect == Effect::Deny {
            break;
        }
    }
    best
}
